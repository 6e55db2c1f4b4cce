//! What librdkafka tells beside records: which topic of a name it sees, cuts, bars.
//!
//! Kafka gives every topic a UUID, and librdkafka knows it, but its safe interface has no call that
//! returns it; it says so in its debug log, once when it first sees a topic and again when the topic
//! was deleted and made again (after which it would silently read on in the new one, as a FIXME
//! beside that line admits). Those lines are put before records in the queue that both come from,
//! so a reader that listens knows of the change before it gets the first record of the new topic.
//! The version of librdkafka is pinned, and `tests/kafka` fails if the lines change.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use infra::log::Group;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use uuid::Uuid;

/// Listens to one client.
#[derive(Debug, Default)]
pub(super) struct Told {
    heard: AtomicU64,
    news: AtomicBool,
    topics: Mutex<Topics>,
}

#[derive(Debug, Default)]
struct Topics {
    ids: HashMap<Box<str>, Uuid>,
    news: News,
}

/// What is new since it was last asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Topics whose id was told.
    pub(super) sighted: Vec<Box<str>>,
    /// Topics that lost records which were there.
    pub(super) cut: Vec<Box<str>>,
    /// Whether a topic cannot be used, for lack of permission for one: no error is raised then.
    pub(super) barred: bool,
}

impl Told {
    /// How many lines and errors were heard so far.
    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Acquire)
    }

    /// The id of the topic of this name, as last told. Nil when the brokers have no ids.
    pub(super) fn id_of(&self, topic: &str) -> Uuid {
        self.topics().ids.get(topic).copied().unwrap_or_default()
    }

    /// What is new, if anything is. Cheap when nothing is.
    pub(super) fn news(&self) -> Option<News> {
        if !self.news.load(Ordering::Acquire) || !self.news.swap(false, Ordering::AcqRel) {
            return None;
        }
        Some(std::mem::take(&mut self.topics().news))
    }

    fn topics(&self) -> std::sync::MutexGuard<'_, Topics> {
        self.topics.lock().expect("nothing panics while it holds the topics")
    }

    fn hear(&self, line: &str) {
        if let Some((topic, id)) = sighting(line) {
            let mut topics = self.topics();
            topics.ids.insert(topic.into(), id);
            topics.news.sighted.push(topic.into());
        } else if let Some(topic) = cut(line) {
            self.topics().news.cut.push(topic.into());
        } else if line.starts_with("Topic ") && line.contains(" has permanent error: ") {
            self.topics().news.barred = true;
        } else {
            return;
        }
        self.news.store(true, Ordering::Release);
    }
}

impl ClientContext for Told {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.hear(line);
        pass_on(level, facility, line);
        self.heard.fetch_add(1, Ordering::Release);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
        self.heard.fetch_add(1, Ordering::Release);
    }
}

impl ConsumerContext for Told {}

/// Gives librdkafka's own log lines to ours. Its debug lines are for [`Told`] alone.
pub(super) fn pass_on(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Debug => {}
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
            tracing::debug!(target: "kafka", facility, "{line}");
        }
        _ => tracing::warn!(target: "kafka", facility, "{line}"),
    }
}

/// Whether this error says that no broker can be reached.
pub(super) fn all_down(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown)
}

/// The name of a group's members in thread names and logs.
pub(super) fn name_of(group: Group) -> &'static str {
    match group {
        Group::Batchers => "batchers",
        Group::Projectors => "projectors",
        Group::Inspectors => "inspectors",
    }
}

/// `Topic T changed id from OLD to NEW`.
fn sighting(line: &str) -> Option<(&str, Uuid)> {
    let (topic, ids) = line.strip_prefix("Topic ")?.split_once(" changed id from ")?;
    let (_, id) = ids.split_once(" to ")?;
    Some((topic, uuid_of(id)?))
}

/// `T [0]: offset reset (at …) to …: …: Local: Partition log truncation detected`: what comes after
/// the election of a leader that lacks records which were read.
fn cut(line: &str) -> Option<&str> {
    let (topic, rest) = line.split_once(" [0]: offset reset (at ")?;
    rest.contains("truncation").then_some(topic)
}

/// A UUID in the 22 characters of base64 that Kafka writes it in, of either alphabet.
fn uuid_of(text: &str) -> Option<Uuid> {
    if text.len() != 22 {
        return None;
    }
    let mut bits: u128 = 0;
    for (index, character) in text.bytes().enumerate() {
        let six = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        // 22 characters are 132 bits: the last has four of padding.
        bits = if index == 21 {
            bits << 2 | u128::from(six >> 4)
        } else {
            bits << 6 | u128::from(six)
        };
    }
    Some(Uuid::from_u128(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_librdkafkas_own_words() {
        let told = Told::default();
        assert_eq!(told.news(), None);
        told.log(
            RDKafkaLogLevel::Debug,
            "METADATA",
            "Topic a.b changed id from AAAAAAAAAAAAAAAAAAAAAA to ////////////////////3w",
        );
        let id = Uuid::from_u128(u128::MAX - 0x20);
        assert_eq!((told.id_of("a.b"), told.id_of("a"), told.heard()), (id, Uuid::nil(), 1));
        assert_eq!(told.news().unwrap().sighted, ["a.b".into()]);
        assert_eq!(told.news(), None);
        for other in [
            "Topic a.b [0] Leader 1 Epoch 0",
            "Topic a.b changed id from AAAAAAAAAAAAAAAAAAAAAA to nonsense",
            "a.b [0]: offset reset (at offset 5 (leader epoch 0), broker 1) to END: x: y",
        ] {
            told.hear(other);
            assert_eq!(told.news(), None, "{other}");
        }
    }

    #[test]
    fn a_topic_that_is_barred_is_told() {
        let told = Told::default();
        told.hear("Topic a.b has permanent error: Broker: Topic authorization failed");
        assert_eq!(told.news(), Some(News { barred: true, ..News::default() }));
    }

    #[test]
    fn cuts_are_told_with_their_topic() {
        let told = Told::default();
        told.hear(
            "a.b [0]: offset reset (at offset INVALID (leader epoch 2), broker 1) to offset INVALID \
             (leader epoch -1): Partition log truncation detected at offset 10 (leader epoch 0): \
             broker end offset is 5 (offset leader epoch 0). Reset to INVALID.: Local: Partition \
             log truncation detected",
        );
        assert_eq!(told.news().unwrap().cut, ["a.b".into()]);
    }
}
