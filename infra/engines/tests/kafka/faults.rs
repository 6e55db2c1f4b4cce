//! Brokers that stop, die and come back while appends are under way.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engines::kafka::{KafkaConfig, KafkaLog};
use infra::clock::{Clock, SystemClock};
use infra::log::{Append, Error, Find, Read};
use schemas::topic::Topic;
use tokio::task::JoinSet;

use crate::broker::Brokers;
use crate::ledger::{Answers, Ledger};
use crate::rig::{self, draft, soon};

/// Appenders that go on whatever they are told, until they are stopped.
struct Appenders {
    ledger: Arc<Ledger>,
    tasks: JoinSet<()>,
    stop: Arc<AtomicBool>,
    slowest: Arc<std::sync::Mutex<Duration>>,
    topics: Vec<Topic>,
}

impl Appenders {
    /// Eight tasks over four topics, one to three records at a time.
    async fn start(log: &Arc<KafkaLog>) -> Self {
        let mut topics = Vec::new();
        for _ in 0..4 {
            let topic = rig::fresh("fault");
            soon(log.ensure(&topic)).await.unwrap();
            topics.push(topic);
        }
        let mut all = Self {
            ledger: Arc::default(),
            tasks: JoinSet::new(),
            stop: Arc::default(),
            slowest: Arc::default(),
            topics,
        };
        for task in 0..8_usize {
            let (log, ledger, stop) = (log.clone(), all.ledger.clone(), all.stop.clone());
            let (topic, slowest) = (all.topics[task % 4].clone(), all.slowest.clone());
            all.tasks.spawn(async move {
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    let asked_at = SystemClock::new();
                    let name = format!("{task}-{count}");
                    let answer = ledger.append(&log, &topic, name, 1 + count % 3).await;
                    if answer.is_ok() {
                        let mut slowest = slowest.lock().unwrap();
                        *slowest = slowest.max(asked_at.uptime());
                    }
                    if let Err(Error::Refused { retry_after, .. }) = answer {
                        tokio::time::sleep(retry_after.min(Duration::from_millis(100))).await;
                    }
                    count += 1;
                }
            });
        }
        all
    }

    /// Waits until the answers are so.
    async fn until(&self, enough: impl Fn(Answers) -> bool) -> Answers {
        let asked_at = SystemClock::new();
        loop {
            let answers = self.ledger.answers();
            if enough(answers) {
                return answers;
            }
            assert!(asked_at.uptime() < rig::SOON, "it takes too long: {answers:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until so many more are stored.
    async fn store_more(&self, count: usize) -> Answers {
        let stored = self.ledger.answers().stored;
        self.until(|answers| answers.stored >= stored + count).await
    }

    /// Stops them, and holds what they were told against what is there. The slowest that was stored.
    async fn judge(mut self, log: &KafkaLog) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        soon(async { while self.tasks.join_next().await.is_some() {} }).await;
        self.ledger.judge(log, &self.topics).await;
        *self.slowest.lock().unwrap()
    }
}

fn impatient(address: &str) -> Arc<KafkaLog> {
    let patience = Duration::from_secs(2);
    KafkaLog::open(KafkaConfig { patience, ..KafkaConfig::new(address) }).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_killed_during_appends_loses_nothing_it_acknowledged() {
    if !rig::wanted("a broker killed during appends loses nothing it acknowledged") {
        return;
    }
    let brokers = Brokers::start("single");
    let log = impatient(&brokers.address());
    let appenders = Appenders::start(&log).await;
    for round in 0..3 {
        appenders.store_more(500).await;
        let before = appenders.ledger.answers();
        brokers.kill("kafka").await;
        if round > 0 {
            // Down for longer than an append may take: those under way become unknown, those that
            // come later are refused.
            appenders
                .until(|now| now.unknown > before.unknown && now.refused > before.refused)
                .await;
        }
        brokers.up();
        appenders.store_more(500).await;
    }
    let slowest = appenders.judge(&log).await;
    report(&format!("slowest append over three kills of the one broker: {slowest:?}"));
    assert!(log.close(rig::SOON).await, "its threads end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_stops_answering_makes_appends_unknown_then_refused() {
    if !rig::wanted("a broker that stops answering makes appends unknown, then refused") {
        return;
    }
    let brokers = Brokers::start("single");
    let log = impatient(&brokers.address());
    let appenders = Appenders::start(&log).await;
    for _ in 0..2 {
        appenders.store_more(500).await;
        let before = appenders.ledger.answers();
        brokers.signal("kafka", "STOP");
        appenders.until(|now| now.unknown > before.unknown && now.refused > before.refused).await;
        brokers.signal("kafka", "CONT");
        appenders.store_more(500).await;
    }
    // A pause shorter than an append may take is not even noticed.
    let before = appenders.store_more(10).await;
    brokers.signal("kafka", "STOP");
    tokio::time::sleep(Duration::from_millis(800)).await;
    brokers.signal("kafka", "CONT");
    let after = appenders.store_more(500).await;
    assert_eq!((after.unknown, after.refused), (before.unknown, before.refused));
    appenders.judge(&log).await;
    assert!(log.close(rig::SOON).await, "its threads end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_loses_a_broker_and_nothing_else() {
    if !rig::wanted("a cluster loses a broker and nothing else") {
        return;
    }
    let brokers = Brokers::start("cluster");
    let config = KafkaConfig { replication: 3, min_isr: 2, ..KafkaConfig::new(brokers.address()) };
    let log = KafkaLog::open(config).unwrap();
    let appenders = Appenders::start(&log).await;
    let mut tail = log.tail(1 << 20).await.unwrap();
    let mut next = HashMap::new();
    for topic in &appenders.topics {
        tail.watch(topic, Some(soon(log.find(topic, Find::Start)).await.unwrap()));
        next.insert(topic.clone(), 0);
    }
    for victim in ["kafka1", "kafka2", "kafka3"] {
        appenders.store_more(500).await;
        brokers.kill(victim).await;
        appenders.store_more(500).await;
        brokers.up();
    }
    let answers = appenders.ledger.answers();
    assert_eq!(answers.unknown, 0, "patience outlasts an election: {answers:?}");
    let topics = appenders.topics.clone();
    let slowest = appenders.judge(&log).await;
    report(&format!("slowest append over the death of each of three brokers: {slowest:?}"));
    // A reader that was there all the time has read all of it, without an error.
    for topic in &topics {
        let end = soon(log.find(topic, Find::End)).await.unwrap().next;
        while next[topic] < end {
            let chunk = soon(tail.next()).await.unwrap();
            assert_eq!(next.insert(chunk.topic, chunk.end), Some(chunk.records[0].offset));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_a_broker_lost_are_a_gap_for_who_has_read_them() {
    if !rig::wanted("records that a broker lost are a gap") {
        return;
    }
    let brokers = Brokers::start("single");
    let log = rig::open(&brokers.address());
    let topic = rig::filled(&log, "lost", 5).await;
    let segment = format!("kafka/data/{topic}-0/00000000000000000000.log");
    let segment = brokers.folder().join(segment);
    let half_bytes = std::fs::metadata(&segment).unwrap().len();
    rig::fill(&log, &topic, 5..10).await;
    let mut tail = log.tail(1 << 20).await.unwrap();
    tail.watch(&topic, Some(soon(log.find(&topic, Find::Start)).await.unwrap()));
    rig::take_to(&mut *tail, 10).await;
    brokers.kill("kafka").await;
    let kept = std::fs::OpenOptions::new().write(true).open(&segment).unwrap();
    assert!(kept.metadata().unwrap().len() > half_bytes);
    kept.set_len(half_bytes).unwrap();
    brokers.up();
    let other = rig::open(&brokers.address());
    rig::fill(&other, &topic, 100..120).await;
    assert_eq!(soon(tail.next()).await, Err(Error::Gap(topic)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_permission_appends_are_told_so() {
    if !rig::wanted("without permission appends are told so") {
        return;
    }
    let brokers = Brokers::start("secure");
    let as_user = |user: &str, password: &str| {
        let mut config = KafkaConfig::new(brokers.address());
        for (name, value) in [
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.username", user),
            ("sasl.password", password),
        ] {
            config.options.push((name.into(), value.into()));
        }
        KafkaLog::open(config).unwrap()
    };
    let (admin, alice) = (as_user("admin", "admin-secret"), as_user("alice", "alice-secret"));
    let topic = rig::filled(&admin, "secret", 3).await;
    let say = || vec![draft("x")];
    for denied in [
        soon(alice.append(&topic, say())).await.map(drop),
        soon(alice.find(&topic, Find::End)).await.map(drop),
        soon(alice.ensure(&rig::fresh("denied"))).await,
    ] {
        assert!(matches!(denied, Err(Error::Misconfigured(_))), "{denied:?}");
    }
    assert_eq!(rig::texts(&admin, &topic).await.len(), 3);
    let mallory = as_user("admin", "wrong");
    assert!(soon(mallory.append(&topic, say())).await.is_err_and(|error| match error {
        Error::Refused { .. } | Error::Misconfigured(_) => true,
        other => panic!("{other}"),
    }));
}

#[allow(clippy::print_stderr, reason = "a figure for whoever runs it with --nocapture")]
fn report(figure: &str) {
    eprintln!("figure: {figure}");
}
