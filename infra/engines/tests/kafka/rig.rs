//! What the tests stand on: a broker, fresh topics, drafts, and reading back what is there.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use engines::kafka::{KafkaConfig, KafkaLog};
use infra::clock::{Clock, SystemClock};
use infra::log::{Append, Draft, Find, Read, Record, Tail};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use schemas::id::EventId;
use schemas::time::LogTime;
use schemas::topic::Topic;
use schemas::wire::Attributes;

/// So long may anything take that is not measured. Only a failure waits for it.
pub(crate) const SOON: Duration = Duration::from_mins(1);

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

/// A topic with records that say `0`, `1` …
pub(crate) async fn filled(log: &KafkaLog, what: &str, count: usize) -> Topic {
    let topic = fresh(what);
    log.ensure(&topic).await.unwrap();
    fill(log, &topic, 0..count).await;
    topic
}

/// Appends records that say these numbers.
pub(crate) async fn fill(log: &KafkaLog, topic: &Topic, numbers: Range<usize>) {
    let drafts: Vec<Draft> = numbers.map(|n| draft(n.to_string())).collect();
    for some in drafts.chunks(1_000) {
        soon(log.append(topic, some.to_vec())).await.unwrap();
    }
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

/// A log of the broker's own, for what no back end does.
pub(crate) fn admin(address: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", address).create().unwrap()
}

/// Deletes a topic, and waits until the broker has.
pub(crate) async fn delete(address: &str, topic: &Topic) {
    let (admin, options) = (admin(address), AdminOptions::new().operation_timeout(Some(SOON)));
    let deleted = admin.delete_topics(&[topic.name()], &options).await.unwrap();
    assert_eq!(deleted, [Ok(topic.name().to_owned())]);
    let log = open(address);
    while log.find(topic, Find::End).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

/// Makes a topic as somebody else might.
pub(crate) async fn make(address: &str, topic: &Topic, partitions: i32, settings: &[(&str, &str)]) {
    let mut wanted = NewTopic::new(topic.name(), partitions, TopicReplication::Fixed(1));
    for (name, value) in settings {
        wanted = wanted.set(name, value);
    }
    let made = admin(address).create_topics([&wanted], &AdminOptions::new()).await.unwrap();
    assert_eq!(made, [Ok(topic.name().to_owned())]);
}
