//! A log in a folder, a clock that stands still, and batchers that come and go.

use std::sync::Arc;
use std::time::Duration;

use infra::blobs::Folder;
use infra::clock::{Clock, ManualClock};
use infra::directory::{self, Directory};
use infra::log::{Append, Draft, Find, Options, Position, Read, Record, SqliteLog};
use infra::supervise::{OnError, Stage, Supervisor};
use infra::telemetry::Metrics;
use schemas::event::UploadReceived;
use schemas::event::{Body as _, Derived, Event, MemberAddRequested, PoolCreated, PoolLocated};
use schemas::id::{AccountId, PoolId};
use schemas::limit::Limits;
use schemas::name::PoolName;
use schemas::policy::{Policy, PolicyAsk, WindowsAsk};
use schemas::role::{Role, RoleSet};
use schemas::time::{StoredAt, Wall};
use schemas::topic::Topic;
use schemas::wire;

use crate::fold::tests::{BASE, file};
use crate::{BatcherMetrics, Deps, verify};

/// How long anything may take before the test has failed.
const SOON: Duration = Duration::from_secs(20);

pub(super) struct World {
    pub(super) clock: Arc<ManualClock>,
    pub(super) log: Arc<SqliteLog>,
    pub(super) blobs: Arc<Folder>,
    _folder: tempfile::TempDir,
}

/// A batcher that runs, and what it has done.
pub(super) struct Running {
    supervisor: Supervisor,
    pub(super) metrics: Arc<BatcherMetrics>,
}

pub(super) fn name(name: &str) -> PoolName {
    name.parse().unwrap()
}

impl World {
    pub(super) async fn new() -> Self {
        let clock = ManualClock::at(Wall::from_millis(BASE));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sqlite");
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let log = SqliteLog::open(&path, Options::default(), shared).await.unwrap();
        let blobs = Folder::open(&folder.path().join("blobs")).await.unwrap();
        let log = Arc::new(log);
        log.ensure(&Topic::directory()).await.unwrap();
        Self { clock, log, blobs: Arc::new(blobs), _folder: folder }
    }

    /// A directory and a batcher of their own, as another process would have.
    pub(super) async fn batcher(&self) -> Running {
        let supervisor = Supervisor::new();
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
        let metrics = Metrics::new(Arc::clone(&clock), "tests");
        let directory = Directory::new(Arc::clone(&clock), &Limits::default(), &metrics);
        let ground = supervisor.stage(Stage::Ground);
        let (followed, read) = (Arc::clone(&directory), Arc::<SqliteLog>::clone(&self.log));
        let token = ground.token();
        ground.spawn("directory", OnError::Stop, async move { followed.follow(read, token).await });
        directory.catch_up().await.unwrap();
        let deps = Deps {
            append: Arc::<SqliteLog>::clone(&self.log),
            read: Arc::<SqliteLog>::clone(&self.log),
            blobs: Arc::<Folder>::clone(&self.blobs),
            clock,
            directory,
            limits: Arc::default(),
        };
        let metrics = Arc::new(BatcherMetrics::default());
        let work = supervisor.stage(Stage::Work);
        let run = crate::run(deps, Arc::clone(&metrics), work.token());
        work.spawn("batcher", OnError::Stop, run);
        Running { supervisor, metrics }
    }

    /// Makes a pool of two contributors, as ingest would.
    pub(super) async fn pool(&self, pool: &str, policy: Policy) {
        let pool = name(pool);
        for topic in [Topic::events(&pool), Topic::batches(&pool), Topic::deliveries(&pool)] {
            self.log.ensure(&topic).await.unwrap();
        }
        let located = PoolLocated {
            name: pool.clone(),
            events: Topic::events(&pool).name().into(),
            batches: Topic::batches(&pool).name().into(),
            deliveries: Topic::deliveries(&pool).name().into(),
        };
        let said = directory::said("/sluice/tests", self.clock.now());
        let draft = directory::draft(located, said);
        self.log.append(&Topic::directory(), vec![draft]).await.unwrap();
        let owner = AccountId::from_bits(1_000);
        let id = PoolId::from_bits(7);
        self.say(
            &pool,
            PoolCreated {
                pool: id,
                name: pool.clone(),
                owner,
                semantics: 1,
                policy: Box::new(policy),
            },
        )
        .await;
        for client in 1..=2 {
            let (account, roles) =
                (AccountId::from_bits(client), RoleSet::of(&[Role::Contributor]));
            self.say(&pool, MemberAddRequested { by: owner, account, roles }).await;
        }
    }

    pub(super) async fn say(&self, pool: &PoolName, event: impl Into<Event>) -> u64 {
        let said = directory::said("/sluice/tests", self.clock.now());
        self.append(&Topic::events(pool), Draft::new("", &event.into(), said)).await
    }

    pub(super) async fn append(&self, to: &Topic, draft: Draft) -> u64 {
        self.log.append(to, vec![draft]).await.unwrap().last
    }

    /// A file of a client, made as many milliseconds after `BASE`.
    pub(super) async fn file(&self, pool: &str, upload: u128, client: u128, at: i64) -> u64 {
        let stored_at = StoredAt::from_millis(self.clock.now().millis());
        self.say(&name(pool), UploadReceived { file: file(upload, client, at), stored_at }).await
    }

    /// All records of a topic now.
    pub(super) async fn records(&self, topic: &Topic) -> Vec<Record> {
        let end = self.log.find(topic, Find::End).await.unwrap();
        let mut tail = self.log.tail(1 << 20).await.unwrap();
        tail.watch(topic, Some(Position { next: 0, ..end }));
        let mut records = Vec::new();
        while (records.len() as u64) < end.next {
            records.extend(tail.next().await.unwrap().records);
        }
        records
    }

    /// The types of a pool's derived records now, copies left out.
    pub(super) async fn derived(&self, pool: &str) -> Vec<Derived> {
        let mut highest = None;
        let mut derived = Vec::new();
        for record in self.records(&Topic::batches(&name(pool))).await {
            let (body, attributes) = wire::decode::<Derived>(&record.value).unwrap();
            let pair = attributes.cause.map(wire::Cause::pair);
            if pair > highest {
                highest = pair;
                derived.push(body);
            }
        }
        derived
    }

    /// Returns once a derived record of this type, the `nth`, is there.
    pub(super) async fn until(&self, pool: &str, kind: &str, nth: usize) {
        let topic = Topic::batches(&name(pool));
        let there = async {
            let mut tail = self.log.tail(1 << 20).await.unwrap();
            let start = self.log.find(&topic, Find::Start).await.unwrap();
            tail.watch(&topic, Some(start));
            let (mut seen, mut highest) = (0, None);
            while seen < nth {
                for record in tail.next().await.unwrap().records {
                    let (body, attributes) = wire::decode::<Derived>(&record.value).unwrap();
                    let pair = attributes.cause.map(wire::Cause::pair);
                    if pair > highest {
                        highest = pair;
                        seen += usize::from(body.type_name().contains(kind));
                    }
                }
            }
        };
        let waited = tokio::time::timeout(SOON, there).await;
        let end = self.log.find(&topic, Find::End).await.unwrap();
        assert!(waited.is_ok(), "no {nth} {kind} in {pool}, which has {} records", end.next);
    }

    pub(super) async fn verified(&self, pool: &str) -> verify::Verified {
        let pool = name(pool);
        let (events, batches) = (Topic::events(&pool), Topic::batches(&pool));
        verify::verify(self.log.as_ref(), &pool, &events, &batches).await.unwrap()
    }
}

impl Running {
    /// Ends it, as a process ends that is told to.
    pub(super) async fn stop(self) {
        let drained = self.supervisor.drain(SOON).await;
        assert_eq!(drained.failure, None);
    }

    /// Ends it wherever it is: what it was doing is dropped.
    pub(super) async fn kill(self) {
        self.supervisor.drain(Duration::ZERO).await;
    }
}

/// Minute windows; both contributors must have passed a window's end.
pub(super) fn policy(change: impl FnOnce(&mut PolicyAsk)) -> Policy {
    crate::fold::tests::policy(|ask| {
        ask.windows = Some(WindowsAsk::Tumbling { period_ms: None, origin: None });
        change(ask);
    })
}
