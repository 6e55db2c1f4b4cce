//! What becomes of an append: one report for each of its records, one answer in the end.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use infra::log::{Appended, Error, Result};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use schemas::time::LogTime;
use schemas::topic::Topic;
use tokio::sync::oneshot;

use super::refusal::definite;
use super::told::{all_down, pass_on};

/// An append under way. Every record of it carries one through librdkafka and back.
#[derive(Debug)]
pub(super) struct Pending {
    /// Where to.
    pub(super) topic: Topic,
    size_bytes: usize,
    under_way: Arc<AtomicUsize>,
    tally: Mutex<Tally>,
}

#[derive(Debug)]
struct Tally {
    left: usize,
    stored: usize,
    last: Option<Appended>,
    failure: Option<Failure>,
    answer: Option<oneshot::Sender<Result<Appended>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Failure {
    Same(RDKafkaErrorCode),
    Mixed(RDKafkaErrorCode),
}

impl Pending {
    /// An append of so many records, whose bytes count as under way until the last is reported.
    pub(super) fn new(
        topic: &Topic,
        records: usize,
        size_bytes: usize,
        under_way: &Arc<AtomicUsize>,
    ) -> (Arc<Self>, oneshot::Receiver<Result<Appended>>) {
        under_way.fetch_add(size_bytes, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        let tally =
            Tally { left: records, stored: 0, last: None, failure: None, answer: Some(answer) };
        let pending = Self {
            topic: topic.clone(),
            size_bytes,
            under_way: under_way.clone(),
            tally: Mutex::new(tally),
        };
        (Arc::new(pending), answered)
    }

    /// Whether it has its answer.
    pub(super) fn answered(&self) -> bool {
        self.tally().answer.is_none()
    }

    /// Answers that its outcome is unknown, unless it has its answer. Whether it had none.
    pub(super) fn give_up(&self, why: &str) -> bool {
        let answer = self.tally().answer.take();
        let had_none = answer.is_some();
        if let Some(answer) = answer {
            // Whoever asked may have left.
            _ = answer.send(Err(Error::Unknown(format!("append to {}: {why}", self.topic))));
        }
        had_none
    }

    fn reported(&self, report: Result<Appended, RDKafkaErrorCode>) {
        let mut tally = self.tally();
        match report {
            Ok(appended) => {
                tally.stored += 1;
                tally.last = Some(appended);
            }
            Err(code) => {
                tally.failure = Some(match tally.failure.take() {
                    None => Failure::Same(code),
                    Some(Failure::Same(first)) if first == code => Failure::Same(code),
                    Some(Failure::Same(first) | Failure::Mixed(first)) => Failure::Mixed(first),
                });
            }
        }
        tally.left -= 1;
        if tally.left == 0
            && let Some(answer) = tally.answer.take()
        {
            _ = answer.send(self.outcome(&tally));
        }
    }

    /// Only what was not stored at all, and for one certain reason, was not appended for certain.
    fn outcome(&self, tally: &Tally) -> Result<Appended> {
        match (&tally.failure, tally.last) {
            (None, Some(last)) => Ok(last),
            (Some(Failure::Same(code)), None) => Err(definite(*code, &self.topic, self.size_bytes)
                .unwrap_or_else(|| Error::Unknown(format!("append to {}: {code}", self.topic)))),
            (Some(Failure::Same(code) | Failure::Mixed(code)), _) => Err(Error::Unknown(format!(
                "append to {}: {code} after {} records",
                self.topic, tally.stored
            ))),
            (None, None) => Err(Error::Unknown("an append of nothing".into())),
        }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().expect("nothing panics while it holds the tally")
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.give_up("the producer ended");
        self.under_way.fetch_sub(self.size_bytes, Ordering::Relaxed);
    }
}

/// Takes a producer's reports.
#[derive(Debug, Default)]
pub(super) struct Reports {
    failed: AtomicBool,
    all_down: AtomicBool,
}

impl Reports {
    /// Whether a record has failed since this was asked last.
    pub(super) fn failed(&self) -> bool {
        self.failed.swap(false, Ordering::AcqRel)
    }

    /// Whether no broker could be reached at some time since this was asked last.
    pub(super) fn all_down(&self) -> bool {
        self.all_down.swap(false, Ordering::AcqRel)
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        pass_on(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
        if all_down(&error) {
            self.all_down.store(true, Ordering::Release);
        }
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Pending>;

    fn delivery(&self, delivered: &DeliveryResult<'_>, pending: Arc<Pending>) {
        let report = match delivered {
            Ok(record) => appended(record.offset(), record.timestamp().to_millis()),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)),
        };
        if report.is_err() {
            self.failed.store(true, Ordering::Release);
        }
        pending.reported(report);
    }
}

/// A record that was retried may be known to be stored, but not where: then it must be looked for.
fn appended(offset: i64, millis: Option<i64>) -> Result<Appended, RDKafkaErrorCode> {
    match (u64::try_from(offset), millis) {
        (Ok(last), Some(millis)) => Ok(Appended { last, at: LogTime::from_millis(millis) }),
        _ => Err(RDKafkaErrorCode::NoOffset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: i64) -> Result<Appended, RDKafkaErrorCode> {
        appended(offset, Some(7))
    }

    #[test]
    fn an_answer_is_as_certain_as_its_reports() {
        use RDKafkaErrorCode as Code;
        let topic = Topic::named("t");
        let none = Error::NoTopic(topic.clone());
        let last = Appended { last: 2, at: LogTime::from_millis(7) };
        let cases = [
            (vec![at(0), at(1), at(2)], Some(Ok(last))),
            (vec![Err(Code::UnknownTopic), Err(Code::UnknownTopic)], Some(Err(none))),
            (vec![Err(Code::MessageSizeTooLarge)], Some(Err(Error::TooLarge(10)))),
            // From here on: unknown.
            (vec![at(0), Err(Code::UnknownTopic)], None),
            (vec![Err(Code::UnknownTopic), Err(Code::PurgeQueue)], None),
            (vec![Err(Code::PurgeQueue), Err(Code::PurgeQueue)], None),
            (vec![at(0), at(-1001)], None),
            (vec![at(-1001)], None),
        ];
        let under_way = Arc::default();
        for (reports, expected) in cases {
            let (pending, mut answered) = Pending::new(&topic, reports.len(), 10, &under_way);
            for report in reports.clone() {
                assert!(answered.try_recv().is_err());
                pending.reported(report);
            }
            let answer = answered.try_recv().unwrap();
            match expected {
                Some(expected) => assert_eq!(answer, expected, "{reports:?}"),
                None => assert!(matches!(answer, Err(Error::Unknown(_))), "{reports:?}"),
            }
            assert!(pending.answered());
        }
        assert_eq!(under_way.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_append_that_is_given_up_or_forgotten_is_unknown() {
        let (under_way, topic) = (Arc::default(), Topic::named("t"));
        let (pending, mut answered) = Pending::new(&topic, 2, 10, &under_way);
        assert!(pending.give_up("late") && !pending.give_up("late"));
        assert!(matches!(answered.try_recv().unwrap(), Err(Error::Unknown(_))));
        pending.reported(at(1));
        pending.reported(at(2));
        assert_eq!(under_way.load(Ordering::Relaxed), 10, "until the last report is gone");
        drop(pending);
        let (pending, mut answered) = Pending::new(&topic, 2, 10, &under_way);
        drop(pending);
        assert!(matches!(answered.try_recv().unwrap(), Err(Error::Unknown(_))));
        assert_eq!(under_way.load(Ordering::Relaxed), 0);
    }
}
