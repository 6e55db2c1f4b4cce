//! Figures, not proofs: run with `cargo test --release -p engines --test kafka figures -- --ignored
//! --nocapture`, the broker started with `KAFKA_JAVA_OPTS=`.

#![allow(clippy::print_stderr, reason = "figures are for whoever asks for them")]

use std::time::Duration;

use infra::clock::{Clock, SystemClock};
use infra::log::{Append, Find, Read};
use tokio::task::JoinSet;

use crate::rig::{self, draft};

/// A value about as long as an event's.
fn value(n: usize) -> String {
    format!("{{\"n\":{n},\"data\":\"{:0>360}\"}}", n.wrapping_mul(2_654_435_761))
}

async fn appends(address: &str, callers: usize, topics: usize) {
    let log = rig::open(address);
    let mut to = Vec::new();
    for _ in 0..topics {
        to.push(rig::filled(&log, "figure", 1).await);
    }
    let (span, began) = (Duration::from_secs(5), SystemClock::new());
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let (log, topic) = (log.clone(), to[caller % topics].clone());
        let began = began.clone();
        tasks.spawn(async move {
            let mut took = Vec::new();
            while began.uptime() < span {
                let asked_at = SystemClock::new();
                log.append(&topic, vec![draft(value(took.len()))]).await.unwrap();
                took.push(asked_at.uptime());
            }
            took
        });
    }
    let mut took: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    took.sort_unstable();
    let per_second = took.len() as f64 / began.uptime().as_secs_f64();
    let (median, most) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    eprintln!(
        "{callers} callers, {topics} topics: {per_second:.0} appends/s, {median:?}, p99 {most:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a figure"]
async fn appends_per_second() {
    let Some(address) = rig::broker("figures") else { return };
    for (callers, topics) in [(1, 1), (64, 1), (64, 8), (64, 64)] {
        appends(&address, callers, topics).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a figure"]
async fn catching_up() {
    const RECORDS: usize = 2_000_000;
    let Some(address) = rig::broker("figures") else { return };
    let log = rig::open(&address);
    let topic = rig::filled(&log, "catch", 0).await;
    let began = SystemClock::new();
    let mut under_way = JoinSet::new();
    for from in (0..RECORDS).step_by(2_000) {
        let drafts = (from..from + 2_000).map(|n| draft(value(n))).collect();
        let (log, topic) = (log.clone(), topic.clone());
        under_way.spawn(async move { log.append(&topic, drafts).await.unwrap() });
        if under_way.len() == 16 {
            under_way.join_next().await;
        }
    }
    under_way.join_all().await;
    let per_second = RECORDS as f64 / began.uptime().as_secs_f64();
    eprintln!("filling, 2,000 records an append: {per_second:.0} records/s");
    for ahead_mib in [1, 8, 32, 8] {
        let start = log.find(&topic, Find::Start).await.unwrap();
        let began = SystemClock::new();
        let mut tail = log.tail(ahead_mib << 20).await.unwrap();
        tail.watch(&topic, Some(start));
        let (mut left, mut chunks, mut bytes) = (RECORDS, 0, 0);
        while left > 0 {
            let chunk = tail.next().await.unwrap();
            left -= chunk.records.len();
            chunks += 1;
            bytes += chunk.records.iter().map(|record| record.value.len()).sum::<usize>();
        }
        let seconds = began.uptime().as_secs_f64();
        eprintln!(
            "{ahead_mib} MiB ahead: {:.2} million records/s, {:.0} MB/s, {} records a chunk",
            RECORDS as f64 / seconds / 1e6,
            bytes as f64 / seconds / 1e6,
            RECORDS / chunks
        );
    }
}
