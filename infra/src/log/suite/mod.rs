//! The duties of the log door as a suite: every back end runs it, and panics where it fails.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_imports,
    reason = "a suite is a test that other crates can run; its files share one set of tools"
)]

mod appending;
mod finding;
mod tailing;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use schemas::id::EventId;
use schemas::time::LogTime;
use schemas::topic::{Offset, Topic};
use schemas::wire::Attributes;

use super::{Append, Draft, Error, Find, Position, Read, Record, Tail};

/// A back end under test.
#[async_trait]
pub trait Rig: Send {
    /// Its half that writes.
    fn append(&self) -> Arc<dyn Append>;

    /// Its half that reads.
    fn read(&self) -> Arc<dyn Read>;

    /// A name no topic has had, with `what` in it.
    fn fresh(&mut self, what: &str) -> Topic;

    /// The largest record it takes.
    fn record_bytes_max(&self) -> usize;

    /// Ends it and begins anew on the same data, as after a restart.
    async fn reopen(&mut self);
}

/// Checks every duty. It takes some seconds; no duty depends on another.
pub async fn run(rig: &mut dyn Rig) {
    appending::records_come_back_in_order_and_without_gaps(rig).await;
    appending::many_appenders_at_once_lose_nothing(rig).await;
    appending::a_topic_is_made_once(rig).await;
    appending::what_was_not_made_is_told(rig).await;
    appending::what_is_too_large_appends_nothing(rig).await;
    appending::the_newest_of_a_key_stays(rig).await;
    finding::start_end_and_times(rig).await;
    finding::a_tail_begins_where_it_is_told(rig).await;
    finding::a_place_that_is_not_in_the_topic_is_a_gap(rig).await;
    finding::one_process_owns_every_shard(rig).await;
    tailing::a_tail_that_waits_is_woken(rig).await;
    tailing::a_chunk_is_bounded(rig).await;
    tailing::a_busy_topic_does_not_starve_a_quiet_one(rig).await;
    tailing::a_topic_that_is_stopped_or_moved_is_not_heard_from_before(rig).await;
    tailing::next_may_be_dropped_at_any_time(rig).await;
    appending::what_was_appended_survives(rig).await;
}

/// So long may anything take. Only a failure waits for it.
const SOON: Duration = Duration::from_mins(1);

/// What comes of it, soon.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("it takes too long")
}

/// A record that says `value`.
fn draft(key: &str, value: impl Into<Bytes>) -> Draft {
    let attributes = Attributes {
        id: EventId::from_bits(1),
        source: "/suite".into(),
        time: LogTime::from_millis(1),
        subject: None,
        cause: None,
    };
    Draft { key: key.into(), type_name: "sluice.suite.said.v1", attributes, value: value.into() }
}

/// Records that say `<what> 0`, `<what> 1` …
fn drafts(what: &str, count: usize) -> Vec<Draft> {
    (0..count).map(|n| draft("k", format!("{what} {n}"))).collect()
}

fn text(record: &Record) -> &str {
    std::str::from_utf8(&record.value).unwrap()
}

/// A fresh topic, made.
async fn made(rig: &mut dyn Rig, what: &str) -> Topic {
    let topic = rig.fresh(what);
    rig.append().ensure(&topic).await.unwrap();
    topic
}

/// A topic with `count` records.
async fn filled(rig: &mut dyn Rig, what: &str, count: usize) -> Topic {
    let topic = made(rig, what).await;
    for some in drafts(what, count).chunks(500) {
        rig.append().append(&topic, some.to_vec()).await.unwrap();
    }
    topic
}

async fn find(rig: &dyn Rig, topic: &Topic, at: Find) -> Position {
    soon(rig.read().find(topic, at)).await.unwrap()
}

/// A tail of one topic from its start.
async fn tail_of(rig: &dyn Rig, topic: &Topic, ahead_bytes_max: usize) -> Box<dyn Tail> {
    let mut tail = rig.read().tail(ahead_bytes_max).await.unwrap();
    tail.watch(topic, Some(find(rig, topic, Find::Start).await));
    tail
}

/// Takes what a tail of one topic gives, up to `end`.
async fn take_to(tail: &mut dyn Tail, topic: &Topic, end: Offset) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    while records.last().is_none_or(|last| last.offset + 1 < end) {
        let chunk = soon(tail.next()).await.unwrap();
        assert_eq!(chunk.topic, *topic);
        assert!(!chunk.records.is_empty(), "a chunk has a record");
        assert!(chunk.records.last().unwrap().offset < chunk.end);
        records.extend(chunk.records);
    }
    assert!(records.is_sorted_by(|a, b| a.offset < b.offset), "in order, none twice");
    assert!(records.is_sorted_by_key(|record| record.at), "times never run backwards");
    records
}

/// All records of a topic.
async fn all(rig: &dyn Rig, topic: &Topic) -> Vec<Record> {
    let end = find(rig, topic, Find::End).await.next;
    let mut tail = tail_of(rig, topic, 1 << 20).await;
    if end == 0 { Vec::new() } else { take_to(&mut *tail, topic, end).await }
}

/// Checks that a topic has exactly these records, counted from 0.
async fn expect_texts(rig: &dyn Rig, topic: &Topic, expected: &[String]) {
    let records = all(rig, topic).await;
    let offsets: Vec<Offset> = records.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, (0..expected.len() as u64).collect::<Vec<_>>());
    assert_eq!(records.iter().map(text).collect::<Vec<_>>(), expected);
}
