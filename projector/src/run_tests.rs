//! The loop, on a real log and real tables.

use std::sync::Arc;
use std::time::Duration;

use infra::clock::{Clock, SystemClock};
use infra::directory::{Directory, draft, said};
use infra::log::{Append as _, Draft, Options, SqliteLog};
use infra::supervise::{OnError, Stage, Supervisor};
use infra::telemetry::Metrics;
use infra::views::SqliteViews;
use schemas::event::PoolLocated;
use schemas::limit::Limits;
use schemas::name::PoolName;
use schemas::time::Wall;
use schemas::topic::Topic;

use crate::metrics::ProjectorMetrics;
use crate::progress::Progress;
use crate::run::{Deps, run};
use crate::samples::record;

const SOON: Duration = Duration::from_secs(10);

fn located(pool: &PoolName) -> Draft {
    let body = PoolLocated {
        name: pool.clone(),
        events: Topic::events(pool).name().into(),
        batches: Topic::batches(pool).name().into(),
        deliveries: Topic::deliveries(pool).name().into(),
    };
    draft(body, said("/tests", Wall::from_millis(1)))
}

#[tokio::test]
async fn a_topic_that_cannot_be_opened_stops_no_other_pool() {
    let folder = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = SystemClock::new();
    let path = folder.path().join("log");
    let log =
        Arc::new(SqliteLog::open(&path, Options::default(), Arc::clone(&clock)).await.unwrap());
    let [there, missing]: [PoolName; 2] = ["there", "missing"].map(|name| name.parse().unwrap());
    for topic in [Topic::directory(), Topic::batches(&there), Topic::deliveries(&there)] {
        log.ensure(&topic).await.unwrap();
    }
    log.append(&Topic::batches(&there), vec![record()]).await.unwrap();
    // Those that are missing are found before and after the one that is there.
    let known = vec![located(&missing), located(&there), located(&missing)];
    log.append(&Topic::directory(), known).await.unwrap();
    let metrics = Metrics::new(Arc::clone(&clock), "tests");
    let directory = Directory::new(Arc::clone(&clock), &Limits::default(), &metrics);
    let supervisor = Supervisor::new();
    let tasks = supervisor.stage(Stage::Work);
    let (followed, read, token) = (Arc::clone(&directory), Arc::clone(&log), tasks.token());
    tasks.spawn("directory", OnError::Stop, async move { followed.follow(read, token).await });
    let progress = Progress::new();
    let deps = Deps {
        read: log,
        views: Arc::new(SqliteViews::open(&folder.path().join("views")).await.unwrap()),
        directory,
        progress: Arc::clone(&progress),
    };
    let counted = Arc::new(ProjectorMetrics::new(&metrics));
    tasks.spawn("projector", OnError::Stop, run(deps, counted, tasks.token()));
    assert!(progress.wait_batches(&there, 1, SOON).await, "its record is in the tables");
    assert!(supervisor.drain(SOON).await.failure.is_none());
}
