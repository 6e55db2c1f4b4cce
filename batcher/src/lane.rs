//! The way out of one pool's fold: outputs, then their copies for the directory, in order, one
//! append at a time.

use std::sync::Arc;
use std::time::Duration;

use infra::directory;
use infra::faults;
use infra::log::{Append, Appended, Draft, Error, Position, Result};
use schemas::name::PoolName;
use schemas::topic::Topic;

use crate::Deps;
use crate::snapshot::{self, Taken};

/// Bytes of outputs that may wait before the pool's events are read no further.
pub(crate) const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What waits to be written.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    drafts: Vec<Draft>,
    copies: Vec<Draft>,
    snapshot: Option<Taken>,
    bytes: usize,
    /// Whether an append is under way.
    pub(crate) busy: bool,
}

/// One load: written in this order.
#[derive(Debug)]
pub(crate) struct Load {
    drafts: Vec<Draft>,
    copies: Vec<Draft>,
    snapshot: Option<Taken>,
}

/// What became of a load.
#[derive(Debug)]
pub(crate) struct Unloaded {
    /// Where the next derived record will go.
    pub(crate) batches: Position,
    /// Outputs written.
    pub(crate) written: u64,
    /// Whether a snapshot was stored.
    pub(crate) snapshot: bool,
}

impl Lane {
    pub(crate) fn push(&mut self, draft: Draft) {
        self.bytes += draft.value.len();
        self.drafts.push(draft);
    }

    pub(crate) fn copy(&mut self, copy: Draft) {
        self.copies.push(copy);
    }

    /// Stored once all that is before it in the lane is durable.
    pub(crate) fn snapshot(&mut self, taken: Taken) {
        self.snapshot = Some(taken);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.drafts.is_empty() && self.copies.is_empty() && self.snapshot.is_none()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= WAITING_BYTES_MAX
    }

    /// All that waits, unless a load is under way.
    pub(crate) fn take(&mut self) -> Option<Load> {
        if self.busy || self.is_empty() {
            return None;
        }
        self.busy = true;
        self.bytes = 0;
        Some(Load {
            drafts: std::mem::take(&mut self.drafts),
            copies: std::mem::take(&mut self.copies),
            snapshot: self.snapshot.take(),
        })
    }
}

/// Writes a load. An error means that it may have been written in part: the pool is opened anew.
pub(crate) async fn unload(
    deps: Deps,
    name: PoolName,
    batches: Topic,
    mut next: Position,
    load: Load,
) -> Result<Unloaded> {
    let written = load.drafts.len() as u64;
    if written > 0 {
        faults::crash_point("batcher.before-append");
        next.next = append_outputs(&deps.append, &batches, load.drafts).await?.last + 1;
        faults::crash_point("batcher.after-append");
    }
    if !load.copies.is_empty() {
        faults::crash_point("batcher.before-copy");
        append(&deps.append, &Topic::directory(), load.copies).await?;
    }
    let snapshot = match load.snapshot {
        Some(taken) => store(&deps, &name, taken, next).await,
        None => false,
    };
    Ok(Unloaded { batches: next, written, snapshot })
}

/// Appends; what was refused and did not happen is tried again until it does.
async fn append(log: &Arc<dyn Append>, to: &Topic, drafts: Vec<Draft>) -> Result<Appended> {
    let mut warned = false;
    loop {
        match log.append(to, drafts.clone()).await {
            Err(Error::Refused { reason, retry_after }) => {
                if !std::mem::replace(&mut warned, true) {
                    tracing::warn!(topic = %to, reason, "append refused; tried again");
                }
                tokio::time::sleep(retry_after.max(Duration::from_millis(10))).await;
            }
            outcome => return outcome,
        }
    }
}

/// Appends outputs; a process armed to tear them appends the first half and ends.
async fn append_outputs(
    log: &Arc<dyn Append>,
    to: &Topic,
    mut drafts: Vec<Draft>,
) -> Result<Appended> {
    if faults::armed_for("batcher.torn-append") && drafts.len() > 1 {
        let rest = drafts.split_off(drafts.len() / 2);
        append(log, to, drafts).await?;
        faults::crash_point("batcher.torn-append");
        return append(log, to, rest).await;
    }
    append(log, to, drafts).await
}

/// Stores a snapshot and says so. Failing that there is none, and the next one will do.
async fn store(deps: &Deps, name: &PoolName, taken: Taken, batches: Position) -> bool {
    let older = deps.directory.pool(name).and_then(|pool| pool.snapshot);
    let stored = match taken.store(deps.blobs.as_ref(), deps.clock.as_ref(), batches).await {
        Ok(stored) => stored,
        Err(error) => {
            tracing::warn!(pool = %name, %error, "snapshot not stored");
            return false;
        }
    };
    let said = directory::said(source(name), deps.clock.now());
    let record = directory::draft(stored, said);
    if let Err(error) = append(&deps.append, &Topic::directory(), vec![record]).await {
        tracing::warn!(pool = %name, %error, "snapshot not announced");
        return false;
    }
    if let Some(older) = older {
        snapshot::remove(deps.blobs.as_ref(), deps.clock.as_ref(), &older).await;
    }
    true
}

/// Who writes for a pool.
pub(crate) fn source(name: &PoolName) -> String {
    format!("/sluice/pools/{name}")
}
