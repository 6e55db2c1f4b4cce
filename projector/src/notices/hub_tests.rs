//! Listening, on a real log.

use std::cell::Cell;
use std::sync::Arc;

use infra::clock::{Clock, SystemClock};
use infra::directory::Directory;
use infra::identity::Caller;
use infra::log::{Append as _, Options, SqliteLog};
use infra::telemetry::Metrics;
use schemas::id::{AccountId, SessionId};
use schemas::limit::Limits;
use schemas::name::PoolName;
use schemas::time::Wall;
use schemas::topic::Topic;

use super::{Hub, HubParts};
use crate::metrics::ProjectorMetrics;
use crate::progress::Progress;
use crate::samples::record;

#[tokio::test]
async fn whoever_begins_to_listen_can_read_what_it_will_not_hear() {
    let folder = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = SystemClock::new();
    let (path, options) = (folder.path().join("log"), Options::default());
    let log = Arc::new(SqliteLog::open(&path, options, Arc::clone(&clock)).await.unwrap());
    let pool: PoolName = "tests".parse().unwrap();
    let topic = Topic::batches(&pool);
    log.ensure(&topic).await.unwrap();
    log.append(&topic, vec![record()]).await.unwrap();
    let metrics = Metrics::new(Arc::clone(&clock), "tests");
    let counted = Arc::new(ProjectorMetrics::new(&metrics));
    let progress = Progress::new();
    let parts = HubParts {
        read: log,
        directory: Directory::new(Arc::clone(&clock), &Limits::default(), &metrics),
        clock,
        progress: Arc::clone(&progress),
        metrics: Arc::clone(&counted),
    };
    let hub = Hub::new(parts, &Limits::default());
    let caller = Caller {
        account: AccountId::from_bits(1),
        name: None,
        platform_admin: false,
        session: SessionId::from_bits(1),
        expires_at: Wall::from_millis(i64::MAX),
    };
    let in_tables = Cell::new(false);
    tokio::join!(
        async {
            let ear = hub.listen(&pool, &topic, &caller, false).await.unwrap();
            assert!(ear.from == 1 && in_tables.get(), "the record is neither heard nor read");
        },
        async {
            while counted.listeners.get() == 0 {
                tokio::task::yield_now().await;
            }
            in_tables.set(true);
            progress.reached(&pool, 1, None);
        }
    );
}
