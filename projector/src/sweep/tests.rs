//! Sweeping, on a real log, real tables and a real folder.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use infra::blobs::Folder;
use infra::clock::{Clock, ManualClock, SystemClock};
use infra::directory::{Directory, draft, said};
use infra::log::{Append as _, Draft, Options, SqliteLog};
use infra::supervise::{OnError, Stage, Supervisor};
use infra::telemetry::Metrics;
use infra::views::SqliteViews;
use schemas::event::{
    ContentErased, Derived, Event, FilePlaced, PolicyCopied, PoolLocated, SnapshotTaken,
    UploadReceived, example,
};
use schemas::file::FileRef;
use schemas::id::{EventId, UploadId};
use schemas::limit::Limits;
use schemas::name::{ObjectKey, PoolName};
use schemas::time::{LogTime, StoredAt, Wall};
use schemas::topic::Topic;
use schemas::wire::{Attributes, Cause};

use super::{SweepDeps, Sweeper};
use crate::metrics::ProjectorMetrics;
use crate::run::{Deps, run};
use crate::{Progress, Tables};

const SOON: Duration = Duration::from_secs(10);
const DAY_MS: u64 = 86_400_000;

struct World {
    log: Arc<SqliteLog>,
    deps: SweepDeps,
    clock: Arc<ManualClock>,
    metrics: Metrics,
    supervisor: Supervisor,
    _folder: tempfile::TempDir,
}

fn pool() -> PoolName {
    "tests".parse().unwrap()
}

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

fn upload(number: u128) -> UploadId {
    UploadId::from_bits(number)
}

fn object(number: u128, attempt: u32) -> ObjectKey {
    key(&format!("u/tests/{}/{attempt}", upload(number)))
}

fn file(number: u128) -> FileRef {
    let received = example::events().into_iter().find_map(|event| match event {
        Event::UploadReceived(received) => Some(received.file),
        _ => None,
    });
    FileRef { upload: upload(number), object: object(number, 1), ..received.unwrap() }
}

fn attributes(cause: Option<Cause>) -> Attributes {
    let id = EventId::from_bits(1);
    let time = LogTime::from_millis(1);
    Attributes { id, source: "/tests".into(), time, subject: None, cause }
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let real: Arc<dyn Clock> = SystemClock::new();
        let path = folder.path().join("log");
        let log = SqliteLog::open(&path, Options::default(), Arc::clone(&real)).await.unwrap();
        let log = Arc::new(log);
        let pool = pool();
        for topic in [
            Topic::directory(),
            Topic::events(&pool),
            Topic::batches(&pool),
            Topic::deliveries(&pool),
        ] {
            log.ensure(&topic).await.unwrap();
        }
        let metrics = Metrics::new(Arc::clone(&real), "tests");
        let limits = Limits { sweep_objects_max: 100, ..Limits::default() };
        let directory = Directory::new(Arc::clone(&real), &limits, &metrics);
        let supervisor = Supervisor::new();
        let tasks = supervisor.stage(Stage::Work);
        let (followed, read, token) = (Arc::clone(&directory), Arc::clone(&log), tasks.token());
        tasks.spawn("directory", OnError::Stop, async move { followed.follow(read, token).await });
        let views = Arc::new(SqliteViews::open(&folder.path().join("views")).await.unwrap());
        let progress = Progress::new();
        let clock = ManualClock::at(real.now());
        let deps = SweepDeps {
            read: log.clone(),
            tables: Tables::new(views.clone()),
            progress: Arc::clone(&progress),
            directory: Arc::clone(&directory),
            blobs: Arc::new(Folder::open(&folder.path().join("blobs")).await.unwrap()),
            clock: clock.clone(),
            limits: Arc::new(limits),
        };
        let running = Deps { read: log.clone(), views, directory, progress };
        let counted = Arc::new(ProjectorMetrics::new(&metrics));
        tasks.spawn("projector", OnError::Stop, run(running, counted, tasks.token()));
        let world = Self { log, deps, clock, metrics, supervisor, _folder: folder };
        world.locate().await;
        world
    }

    async fn locate(&self) {
        let name = pool();
        let located = PoolLocated {
            name: name.clone(),
            events: Topic::events(&name).name().into(),
            batches: Topic::batches(&name).name().into(),
            deliveries: Topic::deliveries(&name).name().into(),
        };
        let policy = example::directory().into_iter().find_map(|body| match body {
            schemas::event::Directory::PolicyCopied(copied) => Some(copied),
            _ => None,
        });
        let policy = PolicyCopied { pool: name, ..policy.unwrap() };
        let said = || said("/tests", Wall::from_millis(1));
        let drafts = vec![draft(located, said()), draft(policy, said())];
        self.log.append(&Topic::directory(), drafts).await.unwrap();
    }

    async fn put(&self, key: &ObjectKey) {
        let body = futures_util::stream::iter([Ok("bytes".into())]).boxed();
        self.deps.blobs.put(key, Some(5), body).await.unwrap();
    }

    async fn has(&self, key: &ObjectKey) -> bool {
        self.deps.blobs.stat(key).await.unwrap().is_some()
    }

    /// Says that a file is here; and, unless nobody has folded that yet, where it was put.
    async fn receive(&self, number: u128, folded: bool) {
        let stored_at = StoredAt::from_millis(1);
        let event: Event = UploadReceived { file: file(number), stored_at }.into();
        let said = Draft::new("k", &event, attributes(None));
        let offset = self.log.append(&Topic::events(&pool()), vec![said]).await.unwrap().last;
        if folded {
            let placed = example::derived().into_iter().find_map(|body| match body {
                Derived::FilePlaced(placed) => Some(placed),
                _ => None,
            });
            let file = Arc::new(file(number));
            self.derive(FilePlaced { file, ..placed.unwrap() }, offset).await;
        }
    }

    /// What follows from the event at `offset`; returns once it is in the tables.
    async fn derive(&self, body: impl Into<Derived>, offset: u64) {
        let cause = Cause { offset, index: 0, last: true };
        let draft = Draft::new("k", &body.into(), attributes(Some(cause)));
        self.log.append(&Topic::batches(&pool()), vec![draft]).await.unwrap();
        assert!(self.deps.progress.wait_events(&pool(), offset, SOON).await);
    }

    fn sweeper(&self) -> Sweeper {
        Sweeper::new(self.deps.clone(), &self.metrics)
    }

    /// Two rounds, as far apart as has to be.
    async fn sweep(&self, sweeper: &mut Sweeper) {
        sweeper.round().await.unwrap();
        self.clock.advance(self.deps.limits.sweep_settle_ms);
        sweeper.round().await.unwrap();
    }

    async fn end(self) {
        assert!(self.supervisor.drain(SOON).await.failure.is_none());
    }
}

#[tokio::test]
async fn what_nothing_names_goes_once_it_is_old_and_the_rest_stays() {
    let world = World::new().await;
    world.receive(1, true).await;
    let kept = key("s/tests/10-current");
    let snapshot = SnapshotTaken {
        pool: pool(),
        object: kept.clone(),
        sha256: schemas::digest::Digest::of(b"bytes"),
        size_bytes: 5,
        next: 10,
    };
    let taken = draft(snapshot, said("/tests", Wall::from_millis(1)));
    world.log.append(&Topic::directory(), vec![taken]).await.unwrap();
    let named = [object(1, 1), kept];
    let result = key("r/tests/0199f3a2-5c1e-7d53-b0a4-3d2f0c7f9a11/1");
    let unnamed = [object(1, 2), object(2, 1), key("s/tests/5-older"), result];
    let doubtful = [object(3, 1).as_str().replace("tests", "other"), "x/tests/1".to_owned()];
    let doubtful = doubtful.map(|text| key(&text));
    for key in named.iter().chain(&unnamed).chain(&doubtful) {
        world.put(key).await;
    }
    let mut sweeper = world.sweeper();
    world.sweep(&mut sweeper).await;
    for key in named.iter().chain(&unnamed).chain(&doubtful) {
        assert!(world.has(key).await, "{key} is young");
    }
    world.clock.advance(DAY_MS);
    let look = Sweeper::look(&world.deps).await.unwrap();
    assert!(look.dry_run && look.complete && look.looked_at == 8);
    assert_eq!((look.named, look.unnamed, look.doubtful, look.young), (2, 4, 2, 0));
    assert_eq!(look.objects.len(), 4);
    let first = sweeper.round().await.unwrap();
    assert_eq!((first.unnamed, first.suspect), (0, 4), "a clock may have jumped");
    assert!(world.has(&unnamed[0]).await, "looking removes nothing");
    world.sweep(&mut sweeper).await;
    for key in &unnamed {
        assert!(!world.has(key).await, "{key} goes");
    }
    for key in named.iter().chain(&doubtful) {
        assert!(world.has(key).await, "{key} stays");
    }
    world.end().await;
}

#[tokio::test]
async fn what_an_event_names_that_nobody_has_folded_stays() {
    let world = World::new().await;
    world.receive(1, true).await;
    world.receive(2, false).await;
    for key in [object(1, 1), object(2, 1), object(3, 1)] {
        world.put(&key).await;
    }
    world.clock.advance(2 * DAY_MS);
    let mut sweeper = world.sweeper();
    world.sweep(&mut sweeper).await;
    for key in [object(1, 1), object(2, 1), object(3, 1)] {
        assert!(world.has(&key).await, "{key}: the tables do not know all");
    }
    let placed = example::derived().into_iter().find_map(|body| match body {
        Derived::FilePlaced(placed) => Some(placed),
        _ => None,
    });
    world.derive(FilePlaced { file: Arc::new(file(2)), ..placed.unwrap() }, 1).await;
    world.sweep(&mut sweeper).await;
    assert!(world.has(&object(1, 1)).await && world.has(&object(2, 1)).await);
    assert!(!world.has(&object(3, 1)).await);
    world.end().await;
}

#[tokio::test]
async fn what_was_kept_for_long_enough_goes_at_once() {
    let world = World::new().await;
    world.receive(1, true).await;
    world.put(&object(1, 1)).await;
    let long_ago =
        ContentErased { inputs_before: Some(LogTime::from_millis(1_000)), results_before: None };
    world.derive(long_ago, 1).await;
    let mut sweeper = world.sweeper();
    world.sweep(&mut sweeper).await;
    assert!(world.has(&object(1, 1)).await, "it came later than that");
    let now = LogTime::from_millis(SystemClock::new().now().plus(1_000).millis());
    let erased = ContentErased { inputs_before: Some(now), results_before: None };
    world.derive(erased, 2).await;
    assert_eq!(sweeper.round().await.unwrap().erased, 1);
    assert!(!world.has(&object(1, 1)).await);
    world.end().await;
}

#[tokio::test]
async fn a_round_is_bounded_and_the_next_goes_on_from_there() {
    let mut world = World::new().await;
    world.deps.limits = Arc::new(Limits { sweep_objects_max: 3, ..Limits::default() });
    for number in 0..7 {
        world.put(&object(number, 1)).await;
    }
    world.clock.advance(60_000);
    let mut sweeper = world.sweeper();
    let mut looked_at = Vec::new();
    loop {
        let report = sweeper.round().await.unwrap();
        looked_at.push(report.looked_at);
        if report.complete {
            break;
        }
    }
    assert_eq!(looked_at, [3, 3, 1]);
    world.end().await;
}
