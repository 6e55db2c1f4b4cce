//! How far the tables have got, per pool: what a read waits for that must see its own write.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use schemas::name::PoolName;
use schemas::topic::Offset;
use schemas::wire::Cause;
use tokio::sync::watch;

/// How far one pool's tables have got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reached {
    /// The first event of `.events` whose outputs are not all in the tables.
    events: Offset,
    /// The first record of `.batches` that is not.
    batches: Offset,
}

/// How far the tables of each pool have got.
#[derive(Debug)]
pub struct Progress {
    pools: RwLock<HashMap<PoolName, Reached>>,
    /// The first record of the audit log that is not in the tables.
    audit: AtomicU64,
    version: watch::Sender<u64>,
}

impl Progress {
    /// Nothing yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            pools: RwLock::default(),
            audit: AtomicU64::default(),
            version: watch::Sender::new(0),
        })
    }

    /// All records of the pool's `.batches` before `batches` are in the tables; `cause` is the
    /// greatest among them.
    pub(crate) fn reached(&self, pool: &PoolName, batches: Offset, cause: Option<Cause>) {
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        let reached = pools.entry(pool.clone()).or_default();
        reached.batches = reached.batches.max(batches);
        if let Some(cause) = cause {
            reached.events = reached.events.max(cause.offset + u64::from(cause.last));
        }
        drop(pools);
        self.version.send_modify(|version| *version += 1);
    }

    /// All records of the audit log before `audit` are in the tables.
    pub(crate) fn reached_audit(&self, audit: Offset) {
        self.audit.fetch_max(audit, Ordering::AcqRel);
        self.version.send_modify(|version| *version += 1);
    }

    /// Returns true once all records of the audit log before `audit` are in the tables; false when
    /// they do not get there in time.
    pub(crate) async fn wait_audit(&self, audit: Offset, wait_max: Duration) -> bool {
        self.until(wait_max, || self.audit.load(Ordering::Acquire) >= audit).await
    }

    /// The first event of the pool whose outputs are not all in the tables.
    pub(crate) fn events(&self, pool: &PoolName) -> Offset {
        let pools = self.pools.read().unwrap_or_else(PoisonError::into_inner);
        pools.get(pool).copied().unwrap_or_default().events
    }

    /// Changes whenever the tables of any pool have moved on.
    pub(crate) fn version(&self) -> u64 {
        *self.version.borrow()
    }

    /// Returns true once all that follows from event `events` of the pool is in the tables; false
    /// when they do not get there in time.
    pub async fn wait_events(&self, pool: &PoolName, events: Offset, wait_max: Duration) -> bool {
        self.wait(pool, wait_max, |reached| reached.events > events).await
    }

    /// Returns true once all records of `.batches` before `batches` are in the tables; false when
    /// they do not get there in time.
    pub async fn wait_batches(&self, pool: &PoolName, batches: Offset, wait_max: Duration) -> bool {
        self.wait(pool, wait_max, |reached| reached.batches >= batches).await
    }

    async fn wait(
        &self,
        pool: &PoolName,
        wait_max: Duration,
        there: impl Fn(Reached) -> bool,
    ) -> bool {
        let is_there = || {
            let pools = self.pools.read().unwrap_or_else(PoisonError::into_inner);
            there(pools.get(pool).copied().unwrap_or_default())
        };
        self.until(wait_max, is_there).await
    }

    async fn until(&self, wait_max: Duration, is_there: impl Fn() -> bool) -> bool {
        let mut version = self.version.subscribe();
        let waited = async { while !is_there() && version.changed().await.is_ok() {} };
        tokio::time::timeout(wait_max, waited).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(offset: Offset, last: bool) -> Cause {
        Cause { offset, index: 0, last }
    }

    #[tokio::test]
    async fn a_read_waits_until_all_that_follows_from_its_write_is_there() {
        let (progress, pool) = (Progress::new(), "one".parse().unwrap());
        let now = Duration::ZERO;
        assert!(!progress.wait_events(&pool, 4, now).await);
        progress.reached(&pool, 10, Some(cause(4, false)));
        assert!(!progress.wait_events(&pool, 4, now).await, "more follows from it");
        assert!(progress.wait_events(&pool, 3, now).await);
        let waiting = progress.wait_events(&pool, 4, Duration::from_mins(1));
        let (there, ()) = tokio::join!(waiting, async {
            progress.reached(&pool, 11, Some(cause(4, true)));
        });
        assert!(there && progress.wait_batches(&pool, 11, now).await);
        assert!(!progress.wait_batches(&pool, 12, now).await);
    }
}
