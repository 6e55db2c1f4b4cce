//! Request and answer over the log: appends an event, waits for the derived record it causes.
//!
//! One tail serves all who ask. Whoever asks is known before its event is appended, so no answer
//! can pass by unheard, however fast the fold is. What took too long is pending, never failed: the
//! event is in the log and will have its answer there.

mod interest;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use schemas::event::Derived;
use schemas::time::Wall;
use schemas::topic::{Offset, Topic};
use schemas::wire;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

use self::interest::Interest;
use super::{Append, Chunk, Draft, Error, Find, Read, Result, Tail};
use crate::clock::Clock;

pub use interest::Heard;

/// Asks and topics there may be at once; more are refused.
const ASKS_MAX: usize = 10_000;
const TOPICS_MAX: usize = 10_000;

/// A topic nobody waits for is read for so long.
const QUIET_MAX: Duration = Duration::from_mins(1);

/// How often it is looked for such topics.
const SWEEP_EVERY_MS: u64 = 10_000;

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The fold has answered.
    With(Arc<Heard>),
    /// The event is in the log; it is not answered yet.
    Pending {
        /// Where it is.
        offset: Offset,
    },
}

/// Why a subscription has no next record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missed {
    /// So many records went by unheard; it goes on with those after.
    #[error("{0} records went by")]
    Lagged(u64),
    /// The topic cannot be read any more.
    #[error("the topic is not read any more")]
    Ended,
}

/// All derived records of one topic from some moment on.
#[derive(Debug)]
pub struct Subscription {
    heard: broadcast::Receiver<Arc<Heard>>,
    from: Offset,
}

impl Subscription {
    /// Every record from this offset on is heard; what lies before it, the tables may know.
    pub fn from(&self) -> Offset {
        self.from
    }

    /// The next record; waits for one. Cancel-safe.
    pub async fn next(&mut self) -> Result<Arc<Heard>, Missed> {
        self.heard.recv().await.map_err(|error| match error {
            broadcast::error::RecvError::Lagged(count) => Missed::Lagged(count),
            broadcast::error::RecvError::Closed => Missed::Ended,
        })
    }
}

/// Those who wait for answers, and the one tail that hears them.
pub struct Answers {
    read: Arc<dyn Read>,
    clock: Arc<dyn Clock>,
    ahead_bytes_max: usize,
    state: Mutex<State>,
    /// There is something in `changed`.
    todo: Notify,
}

#[derive(Debug, Default)]
struct State {
    topics: HashMap<Topic, Interest>,
    /// Topics whose watch the tail must set anew.
    changed: BTreeSet<Topic>,
    asks: usize,
}

impl Answers {
    /// Answers from this log. Nothing is heard until [`run`](Self::run) runs.
    pub fn new(read: Arc<dyn Read>, clock: Arc<dyn Clock>, ahead_bytes_max: usize) -> Arc<Self> {
        let (state, todo) = (Mutex::default(), Notify::new());
        Arc::new(Self { read, clock, ahead_bytes_max, state, todo })
    }

    /// Appends `draft` to `events` and waits, at most for `wait`, for the record in `batches` that
    /// answers it. An error means that the append failed as it says.
    #[allow(clippy::too_many_arguments, reason = "in the order it happens; called in a few places")]
    pub async fn ask(
        &self,
        append: &dyn Append,
        events: &Topic,
        batches: &Topic,
        draft: Draft,
        wait: Duration,
    ) -> Result<Answered> {
        let mut asking = self.begin(batches).await?;
        let offset = append.append(events, vec![draft]).await?.last;
        let Some(told) = asking.wait(offset) else { return Ok(Answered::Pending { offset }) };
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let late = self.clock.now().plus(wait_ms);
        Ok(tokio::select! {
            biased;
            // It fails when the topic cannot be read any more: that is no answer.
            heard = told => heard.map_or(Answered::Pending { offset }, Answered::With),
            () = self.clock.sleep_until(late) => Answered::Pending { offset },
        })
    }

    /// Hears all derived records of a topic from now on; a few of before may come first.
    pub async fn subscribe(&self, batches: &Topic) -> Result<Subscription> {
        let subscribed = |_: &mut usize, interest: &mut Interest| {
            Ok(Subscription { heard: interest.listen(), from: interest.next.next })
        };
        self.with(batches, subscribed).await
    }

    async fn begin(&self, batches: &Topic) -> Result<Asking<'_>> {
        let begun = |asks: &mut usize, interest: &mut Interest| {
            if *asks >= ASKS_MAX {
                return Err(refused("too many wait for answers"));
            }
            *asks += 1;
            Ok(interest.begin())
        };
        let above = self.with(batches, begun).await?;
        Ok(Asking { answers: self, topic: batches.clone(), stage: Stage::Appending { above } })
    }

    /// Does something with the interest in a topic, which is read from its end if it was not yet.
    async fn with<T>(
        &self,
        topic: &Topic,
        mut then: impl FnMut(&mut usize, &mut Interest) -> Result<T>,
    ) -> Result<T> {
        {
            let State { topics, asks, .. } = &mut *self.state();
            if let Some(interest) = topics.get_mut(topic) {
                return then(asks, interest);
            }
        }
        let end = self.read.find(topic, Find::End).await?;
        let State { topics, changed, asks } = &mut *self.state();
        if topics.len() >= TOPICS_MAX {
            return Err(refused("too many topics are waited for"));
        }
        let interest = topics.entry(topic.clone()).or_insert_with(|| {
            changed.insert(topic.clone());
            self.todo.notify_one();
            Interest::new(end)
        });
        then(asks, interest)
    }

    /// Hears what there is to hear, until cancelled. Only one may run at a time.
    pub async fn run(self: Arc<Self>, token: CancellationToken) {
        tokio::select! {
            () = token.cancelled() => {}
            () = self.hear() => {}
        }
    }

    async fn hear(&self) {
        let mut tail = loop {
            match self.read.tail(self.ahead_bytes_max).await {
                Ok(tail) => break tail,
                Err(error) => pause_after(&error).await,
            }
        };
        {
            let State { topics, changed, .. } = &mut *self.state();
            changed.extend(topics.keys().cloned());
        }
        let mut sweep_at = self.next_sweep();
        loop {
            self.set_watches(&mut *tail);
            tokio::select! {
                () = self.todo.notified() => {}
                () = self.clock.sleep_until(sweep_at) => {
                    self.sweep();
                    sweep_at = self.next_sweep();
                }
                read = tail.next() => match read {
                    Ok(chunk) => self.take(&chunk),
                    Err(Error::Gap(topic) | Error::NoTopic(topic)) => self.end(&topic),
                    Err(error) => pause_after(&error).await,
                },
            }
        }
    }

    fn set_watches(&self, tail: &mut dyn Tail) {
        let State { topics, changed, .. } = &mut *self.state();
        while let Some(topic) = changed.pop_first() {
            tail.watch(&topic, topics.get(&topic).map(|interest| interest.next));
        }
    }

    fn take(&self, chunk: &Chunk) {
        let topic = &chunk.topic;
        let heard: Vec<Heard> = chunk
            .records
            .iter()
            .filter_map(|record| match wire::decode::<Derived>(&record.value) {
                Ok((body, attributes)) => {
                    Some(Heard { body, attributes, offset: record.offset, at: record.at })
                }
                Err(error) => {
                    tracing::warn!(%topic, record.offset, "a derived record is not heard: {error}");
                    None
                }
            })
            .collect();
        // A topic just given up may still be heard from.
        let mut state = self.state();
        let Some(interest) = state.topics.get_mut(topic) else { return };
        let next = interest.next.next;
        heard.into_iter().filter(|heard| heard.offset >= next).for_each(|h| interest.hear(h));
        interest.next.next = next.max(chunk.end);
    }

    /// A topic was made again or cut short: who waits for it is not answered.
    fn end(&self, topic: &Topic) {
        tracing::error!(%topic, "no answers are heard any more: a gap, or the topic is gone");
        self.state().topics.remove(topic);
    }

    fn sweep(&self) {
        let uptime = self.clock.uptime();
        let State { topics, changed, .. } = &mut *self.state();
        topics.retain(|topic, interest| {
            let over = interest.over(uptime, QUIET_MAX);
            if over {
                changed.insert(topic.clone());
            }
            !over
        });
    }

    fn next_sweep(&self) -> Wall {
        self.clock.now().plus(SWEEP_EVERY_MS)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while holding it")
    }
}

/// One who asks, until dropped.
struct Asking<'a> {
    answers: &'a Answers,
    topic: Topic,
    stage: Stage,
}

enum Stage {
    Appending { above: Offset },
    Waiting { cause: Offset },
}

impl Asking<'_> {
    /// The event is at `cause`. `None` when the topic is not read any more.
    fn wait(&mut self, cause: Offset) -> Option<tokio::sync::oneshot::Receiver<Arc<Heard>>> {
        let mut state = self.answers.state();
        let interest = state.topics.get_mut(&self.topic)?;
        let told = interest.wait(cause);
        if let Stage::Appending { above } = self.stage {
            interest.done(above);
        }
        self.stage = Stage::Waiting { cause };
        Some(told)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let State { topics, asks, .. } = &mut *self.answers.state();
        *asks -= 1;
        let Some(interest) = topics.get_mut(&self.topic) else { return };
        match self.stage {
            Stage::Appending { above } => interest.done(above),
            Stage::Waiting { cause } => interest.stop(cause),
        }
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").field("read", &self.read).finish_non_exhaustive()
    }
}

fn refused(reason: &str) -> Error {
    Error::Refused { reason: reason.to_owned(), retry_after: RETRY_AFTER }
}

/// Lets a log that cannot be read come to itself.
async fn pause_after(error: &Error) {
    tracing::warn!("answers cannot be heard: {error}");
    let Error::Refused { retry_after, .. } = error else {
        return tokio::time::sleep(RETRY_AFTER).await;
    };
    tokio::time::sleep((*retry_after).min(RETRY_AFTER)).await;
}
