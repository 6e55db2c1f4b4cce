//! Asking over the embedded log, with a task that answers as a batcher would.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::future::join_all;
use schemas::event::{BatchFailed, Event, UploadRepeated, WindowCloseAsked};
use schemas::id::{AccountId, BatchId, EventId, UploadId};
use schemas::time::LogTime;
use schemas::wire::{Attributes, Cause};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::*;
use crate::clock::ManualClock;
use crate::faulty::{Faulty, Plan};
use crate::log::{Appended, Options, SqliteLog};

struct Rig {
    _folder: TempDir,
    clock: Arc<ManualClock>,
    log: Arc<SqliteLog>,
    answers: Arc<Answers>,
    events: Topic,
    batches: Topic,
    tasks: JoinSet<()>,
}

impl Rig {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Wall::from_millis(1_000_000));
        let path = folder.path().join("log.sqlite");
        let log = SqliteLog::open(&path, Options::default(), clock.clone()).await.unwrap();
        let log = Arc::new(log);
        let [events, batches] = ["p.events", "p.batches"].map(Topic::named);
        for topic in [&events, &batches] {
            log.ensure(topic).await.unwrap();
        }
        let answers = Answers::new(log.clone(), clock.clone(), 1 << 20);
        let mut tasks = JoinSet::new();
        tasks.spawn(answers.clone().run(CancellationToken::new()));
        Self { _folder: folder, clock, log, answers, events, batches, tasks }
    }

    /// Answers every event, each answer after a record that is none, and all of it twice.
    fn fold(&mut self) {
        let (log, events, batches) = (self.log.clone(), self.events.clone(), self.batches.clone());
        self.tasks.spawn(async move {
            let mut tail = log.tail(1 << 20).await.unwrap();
            tail.watch(&events, Some(log.find(&events, Find::Start).await.unwrap()));
            loop {
                for record in tail.next().await.unwrap().records {
                    let drafts = answers_to(record.offset);
                    log.append(&batches, drafts.clone()).await.unwrap();
                    log.append(&batches, drafts).await.unwrap();
                }
            }
        });
    }

    async fn ask(&self, append: &dyn Append, wait: Duration) -> Result<Answered> {
        let asked = self.answers.ask(append, &self.events, &self.batches, question(), wait);
        // Of real time: only a failure waits for it.
        tokio::time::timeout(Duration::from_mins(1), asked).await.expect("it takes too long")
    }

    /// Appends a derived record by hand.
    async fn derive(&self, cause: Offset) {
        self.log.append(&self.batches, answers_to(cause)).await.unwrap();
    }

    fn followed(&self) -> usize {
        self.answers.state().topics.len()
    }
}

fn attributes(cause: Option<Cause>) -> Attributes {
    Attributes {
        id: EventId::from_bits(1),
        source: "/test".into(),
        time: LogTime::from_millis(1),
        subject: None,
        cause,
    }
}

fn question() -> Draft {
    let asked = WindowCloseAsked { by: AccountId::from_bits(1), at: None };
    Draft::new("p", &Event::from(asked), attributes(None))
}

fn answers_to(cause: Offset) -> Vec<Draft> {
    let batch = BatchId::from_bits(1);
    let other = BatchFailed { batch, revision: 1, attempts: 3, reason: None };
    let answer = UploadRepeated { upload: UploadId::from_bits(u128::from(cause)), update: None };
    let at = |index, last| attributes(Some(Cause { offset: cause, index, last }));
    vec![
        Draft::new("p", &Derived::from(other), at(0, false)),
        Draft::new("p", &Derived::from(answer), at(1, true)),
    ]
}

/// Whom the answer answers.
fn answered(answered: Answered) -> Option<u128> {
    let Answered::With(heard) = answered else { return None };
    let Derived::UploadRepeated(body) = &heard.body else { panic!("no answer: {heard:?}") };
    let cause = heard.attributes.cause.unwrap();
    assert_eq!((u128::from(cause.offset), cause.index), (body.upload.bits(), 1));
    Some(body.upload.bits())
}

const LONG: Duration = Duration::from_hours(1);

#[tokio::test]
async fn each_who_asks_gets_its_own_answer() {
    let mut rig = Rig::new().await;
    rig.fold();
    for round in 0..5_u128 {
        let asked = join_all((0..50).map(|_| rig.ask(&*rig.log, LONG))).await;
        let mut causes: Vec<_> = asked.into_iter().map(|a| answered(a.unwrap()).unwrap()).collect();
        causes.sort_unstable();
        assert_eq!(causes, (50 * round..50 * (round + 1)).collect::<Vec<_>>());
    }
    assert_eq!(rig.answers.state().asks, 0);
}

#[tokio::test]
async fn what_is_not_answered_in_time_is_pending_at_its_offset() {
    let rig = Rig::new().await;
    let wait = Duration::from_secs(5);
    for offset in 0..2 {
        let mut asked = Box::pin(rig.ask(&*rig.log, wait));
        // Until it is appended.
        while rig.log.find(&rig.events, Find::End).await.unwrap().next == offset {
            _ = futures_util::poll!(&mut asked);
        }
        // Until it sleeps.
        while rig.answers.state().topics.get(&rig.batches).is_none_or(|i| !i.waits_for(offset)) {
            assert!(futures_util::poll!(&mut asked).is_pending());
            tokio::task::yield_now().await;
        }
        rig.clock.advance(4_999);
        assert!(futures_util::poll!(&mut asked).is_pending());
        rig.clock.advance(1);
        assert_eq!(asked.await, Ok(Answered::Pending { offset }));
        let state = rig.answers.state();
        assert!(!state.topics.get(&rig.batches).unwrap().waits_for(offset), "nothing is left");
    }
}

/// An append that returns only once its answer has been heard by others.
#[derive(Debug)]
struct Slow<'a>(&'a SqliteLog, tokio::sync::Mutex<Subscription>, &'a Topic);

#[async_trait]
impl Append for Slow<'_> {
    async fn append(&self, to: &Topic, drafts: Vec<Draft>) -> Result<Appended> {
        let appended = self.0.append(to, drafts).await?;
        self.0.append(self.2, answers_to(appended.last)).await?;
        let mut heard = self.1.lock().await;
        while heard.next().await.unwrap().attributes.cause.unwrap().pair() < (appended.last, 1) {}
        Ok(appended)
    }

    async fn ensure(&self, topic: &Topic) -> Result<()> {
        self.0.ensure(topic).await
    }
}

#[tokio::test]
async fn an_answer_heard_before_the_append_returned_is_not_lost() {
    let rig = Rig::new().await;
    let heard = rig.answers.subscribe(&rig.batches).await.unwrap();
    let slow = Slow(&rig.log, heard.into(), &rig.batches);
    for cause in 0..20 {
        assert_eq!(answered(rig.ask(&slow, LONG).await.unwrap()), Some(cause));
    }
}

#[tokio::test]
async fn an_append_that_fails_is_told_as_it_failed() {
    let rig = Rig::new().await;
    let nowhere = Topic::named("nowhere");
    let ask = |events, batches| rig.answers.ask(&*rig.log, events, batches, question(), LONG);
    let no_topic = Err(Error::NoTopic(nowhere.clone()));
    assert_eq!(ask(&nowhere, &rig.batches).await, no_topic);
    assert_eq!(ask(&rig.events, &nowhere).await, no_topic);
    assert_eq!(rig.log.find(&rig.events, Find::End).await.unwrap().next, 0, "before the append");
    assert_eq!(rig.answers.state().asks, 0);
}

#[tokio::test]
async fn a_subscriber_hears_all_or_is_told_what_it_missed() {
    let rig = Rig::new().await;
    rig.derive(0).await;
    let (mut quick, mut slow) = (
        rig.answers.subscribe(&rig.batches).await.unwrap(),
        rig.answers.subscribe(&rig.batches).await.unwrap(),
    );
    assert_eq!(quick.from(), rig.log.find(&rig.batches, Find::End).await.unwrap().next);
    for cause in 1..=200 {
        rig.derive(cause).await;
        for index in 0..2 {
            let heard = quick.next().await.unwrap();
            assert_eq!(heard.attributes.cause.unwrap().pair(), (cause, index), "from now on");
            assert_eq!(heard.offset, 2 * cause + u64::from(index));
        }
    }
    assert_eq!(slow.next().await, Err(Missed::Lagged(400 - 256)));
    assert_eq!(slow.next().await.unwrap().attributes.cause.unwrap().pair(), (73, 0));
}

#[tokio::test]
async fn a_topic_nobody_waits_for_is_not_read_for_long() {
    let mut rig = Rig::new().await;
    rig.fold();
    rig.ask(&*rig.log, LONG).await.unwrap();
    assert_eq!(rig.followed(), 1);
    let until = async |count| {
        let advanced = AtomicU64::new(0);
        while rig.followed() != count {
            rig.clock.advance(1_000);
            advanced.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
        advanced.into_inner()
    };
    assert!(until(0).await >= 60);
    // And then it is read again.
    assert!(answered(rig.ask(&*rig.log, LONG).await.unwrap()).is_some());
    let parked = rig.answers.subscribe(&rig.batches).await.unwrap();
    for _ in 0..200 {
        rig.clock.advance(1_000);
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.followed(), 1, "as long as someone listens");
    drop(parked);
    until(0).await;
}

#[tokio::test]
async fn answers_are_heard_over_a_log_that_fails() {
    let rig = Rig::new().await;
    let plan = Plan { seed: 1, refused_percent: 30, unknown_percent: 10, ..Plan::default() };
    let read = Faulty::<dyn Read>::new(rig.log.clone(), plan.clone());
    let append = Faulty::<dyn Append>::new(rig.log.clone(), plan);
    let answers = Answers::new(read, rig.clock.clone(), 1 << 20);
    let mut rig = Rig { answers: answers.clone(), ..rig };
    rig.tasks.spawn(answers.run(CancellationToken::new()));
    rig.fold();
    let mut seen = [0; 2];
    for _ in 0..200 {
        match rig.ask(&*append, LONG).await {
            Ok(told) => {
                assert!(answered(told).is_some());
                seen[0] += 1;
            }
            Err(error) => {
                assert!(error.retryable());
                seen[1] += 1;
            }
        }
    }
    assert!(seen[0] > 50 && seen[1] > 50, "{seen:?}");
    assert_eq!(rig.answers.state().asks, 0);
}
