//! What the tests stand on: a broker, fresh topics, drafts, and reading back what is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use engines::kafka::{KafkaConfig, KafkaLog};
use infra::clock::{Clock, SystemClock};
use infra::log::{Draft, Find, Read, Record, Tail};
use schemas::id::EventId;
use schemas::time::LogTime;
use schemas::topic::Topic;
use schemas::wire::Attributes;

/// So long may anything take that is not measured. Only a failure waits for it.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Whether real servers are left out, and where the broker is.
#[allow(clippy::disallowed_methods, reason = "the one place where tests read the environment")]
fn environment() -> (bool, Option<String>) {
    let word = |name: &str| std::env::var(name).ok().filter(|word| !word.is_empty());
    (word("SKIP_REAL").as_deref() == Some("1"), word("SLUICE_TEST_KAFKA"))
}

/// Whether to prove this; says so when not.
#[allow(clippy::print_stderr, reason = "whoever leaves it out shall read what was not proved")]
pub(crate) fn wanted(proof: &str) -> bool {
    let (skip, _) = environment();
    if skip {
        eprintln!("not proved (SKIP_REAL=1): {proof}");
    }
    !skip
}

/// The broker that the tests share, unless real servers are left out.
pub(crate) fn broker(proof: &str) -> Option<String> {
    let (skip, address) = environment();
    match address {
        Some(address) => Some(address),
        None if skip => wanted(proof).then(String::new),
        None => panic!(
            "no Kafka to test on: run infra/stack/kafka-up.sh single and set \
             SLUICE_TEST_KAFKA=127.0.0.1:29092, or set SKIP_REAL=1"
        ),
    }
}

/// A log on the broker at this address.
pub(crate) fn open(address: &str) -> Arc<KafkaLog> {
    KafkaLog::open(KafkaConfig::new(address)).unwrap()
}

/// A topic that was never there.
pub(crate) fn fresh(what: &str) -> Topic {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = SystemClock::new().now().millis();
    Topic::named(&format!("test.{what}.{now:x}.{}.{count}", std::process::id()))
}

/// A record that says `value`.
pub(crate) fn draft(value: impl Into<Bytes>) -> Draft {
    let attributes = Attributes {
        id: EventId::from_bits(1),
        source: "/test".into(),
        time: LogTime::from_millis(1),
        subject: None,
        cause: None,
    };
    Draft { key: "k".into(), type_name: "sluice.test.said.v1", attributes, value: value.into() }
}

/// What comes of it, soon.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("it takes too long")
}

/// Takes what a tail of one topic gives, up to `end`.
pub(crate) async fn take_to(tail: &mut dyn Tail, end: u64) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    while records.last().is_none_or(|last| last.offset + 1 < end) {
        records.extend(soon(tail.next()).await.unwrap().records);
    }
    records
}

/// All records of a topic, as text.
pub(crate) async fn texts(log: &KafkaLog, topic: &Topic) -> Vec<String> {
    let end = soon(log.find(topic, Find::End)).await.unwrap().next;
    let mut tail = log.tail(1 << 20).await.unwrap();
    tail.watch(topic, Some(soon(log.find(topic, Find::Start)).await.unwrap()));
    let records = if end == 0 { Vec::new() } else { take_to(&mut *tail, end).await };
    records.iter().map(|record| String::from_utf8_lossy(&record.value).into_owned()).collect()
}
