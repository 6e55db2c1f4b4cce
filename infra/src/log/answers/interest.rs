//! What is awaited from one topic of derived records: plain data, no waiting.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use schemas::event::Derived;
use schemas::time::LogTime;
use schemas::topic::Offset;
use schemas::wire::Attributes;
use tokio::sync::{broadcast, oneshot};

use crate::log::Position;

/// Answers kept for asks that do not know their offset yet.
const ANSWERED_MAX: usize = 1_024;

/// Records that a subscriber may be behind.
const BEHIND_MAX: usize = 256;

/// A derived record, as it was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What it says.
    pub body: Derived,
    /// Its attributes; the cause among them.
    pub attributes: Attributes,
    /// Its place in the topic.
    pub offset: Offset,
    /// When it was appended.
    pub at: LogTime,
}

/// Who waits for what from one topic.
#[derive(Debug)]
pub(super) struct Interest {
    /// Where to read on.
    pub(super) next: Position,
    /// The greatest pair heard: a copy by a second batcher is at or below it.
    highest: Option<(Offset, u32)>,
    /// Asks that are appending, by the highest cause heard before they began: theirs is above.
    appending: BTreeMap<Offset, usize>,
    /// Answers heard since the first of those began, by their cause.
    answered: BTreeMap<Offset, Arc<Heard>>,
    /// Asks that know the cause they wait for.
    waiting: HashMap<Offset, oneshot::Sender<Arc<Heard>>>,
    listeners: broadcast::Sender<Arc<Heard>>,
    /// Since when nobody waits, by the uptime of the process.
    quiet_since: Option<Duration>,
}

impl Interest {
    pub(super) fn new(next: Position) -> Self {
        Self {
            next,
            highest: None,
            appending: BTreeMap::new(),
            answered: BTreeMap::new(),
            waiting: HashMap::new(),
            listeners: broadcast::Sender::new(BEHIND_MAX),
            quiet_since: None,
        }
    }

    /// An ask begins to append; it is told what to give back.
    pub(super) fn begin(&mut self) -> Offset {
        let above = self.highest.map_or(0, |(cause, _)| cause);
        *self.appending.entry(above).or_default() += 1;
        above
    }

    /// An ask has appended, or failed to.
    pub(super) fn done(&mut self, above: Offset) {
        if let Some(count) = self.appending.get_mut(&above) {
            *count -= 1;
            if *count == 0 {
                self.appending.remove(&above);
            }
        }
        match self.appending.first_key_value() {
            Some((lowest, _)) => self.answered = self.answered.split_off(lowest),
            None => self.answered.clear(),
        }
    }

    /// Waits for the answer to the event at `cause`.
    pub(super) fn wait(&mut self, cause: Offset) -> oneshot::Receiver<Arc<Heard>> {
        let (tell, told) = oneshot::channel();
        match self.answered.get(&cause) {
            Some(heard) => _ = tell.send(Arc::clone(heard)),
            None => _ = self.waiting.insert(cause, tell),
        }
        told
    }

    /// An ask waits no longer.
    pub(super) fn stop(&mut self, cause: Offset) {
        self.waiting.remove(&cause);
    }

    /// Hears all that comes from now on.
    pub(super) fn listen(&self) -> broadcast::Receiver<Arc<Heard>> {
        self.listeners.subscribe()
    }

    /// A record was read. One that was heard before is ignored.
    pub(super) fn hear(&mut self, heard: Heard) {
        let Some(cause) = heard.attributes.cause else { return };
        if self.highest.is_some_and(|highest| cause.pair() <= highest) {
            return;
        }
        self.highest = Some(cause.pair());
        let heard = Arc::new(heard);
        if heard.body.answers() {
            if let Some(waiting) = self.waiting.remove(&cause.offset) {
                _ = waiting.send(Arc::clone(&heard));
            } else if !self.appending.is_empty() {
                // The first answer of a cause is the answer.
                self.answered.entry(cause.offset).or_insert_with(|| Arc::clone(&heard));
                if self.answered.len() > ANSWERED_MAX {
                    self.answered.pop_first();
                }
            }
        }
        // It fails when nobody listens.
        _ = self.listeners.send(heard);
    }

    /// Whether an ask waits for the answer to the event at `cause`.
    #[cfg(test)]
    pub(super) fn waits_for(&self, cause: Offset) -> bool {
        self.waiting.contains_key(&cause)
    }

    /// Whether nobody has waited for `quiet_max`.
    pub(super) fn over(&mut self, uptime: Duration, quiet_max: Duration) -> bool {
        let wanted = !self.appending.is_empty()
            || !self.waiting.is_empty()
            || self.listeners.receiver_count() > 0;
        if wanted {
            self.quiet_since = None;
            return false;
        }
        uptime.saturating_sub(*self.quiet_since.get_or_insert(uptime)) >= quiet_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::event::{BatchFailed, UploadRepeated};
    use schemas::id::{BatchId, EventId, UploadId};
    use schemas::wire::Cause;
    use uuid::Uuid;

    fn interest() -> Interest {
        Interest::new(Position { topic_id: Uuid::nil(), next: 0 })
    }

    fn heard(cause: Offset, index: u32, body: impl Into<Derived>) -> Heard {
        let attributes = Attributes {
            id: EventId::from_bits(1),
            source: "/test".into(),
            time: LogTime::from_millis(1),
            subject: None,
            cause: Some(Cause { offset: cause, index, last: true }),
        };
        Heard { body: body.into(), attributes, offset: 0, at: LogTime::from_millis(1) }
    }

    fn answer(cause: Offset, index: u32) -> Heard {
        heard(cause, index, UploadRepeated { upload: UploadId::from_bits(1), update: None })
    }

    fn other(cause: Offset, index: u32) -> Heard {
        let batch = BatchId::from_bits(1);
        heard(cause, index, BatchFailed { batch, revision: 1, attempts: 3, reason: None })
    }

    #[test]
    fn an_ask_hears_the_first_answer_of_its_cause_and_nothing_else() {
        let mut interest = interest();
        let above = interest.begin();
        let mut told = interest.wait(7);
        interest.done(above);
        for other in [answer(6, 0), other(7, 0)] {
            interest.hear(other);
            assert!(told.try_recv().is_err());
        }
        interest.hear(answer(7, 1));
        interest.hear(answer(7, 2));
        assert_eq!(told.try_recv().unwrap().attributes.cause.unwrap().index, 1);
    }

    #[test]
    fn an_answer_that_came_before_its_offset_was_known_is_kept() {
        let mut interest = interest();
        interest.hear(answer(3, 0));
        let (first, second) = (interest.begin(), interest.begin());
        interest.hear(answer(8, 0));
        interest.hear(answer(8, 1));
        let told = interest.wait(8).try_recv().unwrap();
        assert_eq!(told.attributes.cause.unwrap().index, 0);
        interest.done(first);
        assert_eq!(interest.answered.len(), 1, "the other may be answered already");
        interest.done(second);
        assert!(interest.answered.is_empty() && interest.appending.is_empty());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut interest = interest();
        let old = interest.begin();
        for cause in 1..5_000 {
            interest.hear(answer(cause, 0));
        }
        assert_eq!(interest.answered.len(), ANSWERED_MAX);
        let new = interest.begin();
        interest.done(old);
        assert_eq!(interest.answered.len(), 1, "only what the newer may wait for: above 4999");
        interest.done(new);
    }

    #[test]
    fn a_copy_by_a_second_batcher_is_not_heard() {
        let mut interest = interest();
        let mut listener = interest.listen();
        for heard in [answer(5, 0), answer(5, 1), answer(5, 0), answer(4, 9), answer(5, 1)] {
            interest.hear(heard);
        }
        interest.hear(answer(6, 0));
        let mut pairs = Vec::new();
        while let Ok(heard) = listener.try_recv() {
            pairs.push(heard.attributes.cause.unwrap().pair());
        }
        assert_eq!(pairs, [(5, 0), (5, 1), (6, 0)]);
    }

    #[test]
    fn it_is_over_when_nobody_has_waited_for_long() {
        let mut interest = interest();
        let over = |interest: &mut Interest, seconds| {
            interest.over(Duration::from_secs(seconds), Duration::from_mins(1))
        };
        let above = interest.begin();
        assert!(!over(&mut interest, 1_000));
        interest.done(above);
        assert!(!over(&mut interest, 1_001) && !over(&mut interest, 1_060));
        let listener = interest.listen();
        assert!(!over(&mut interest, 1_061));
        drop(listener);
        assert!(!over(&mut interest, 1_062) && over(&mut interest, 1_122));
    }
}
