//! Batches of a range of time that someone asked for: a view, which takes nothing away from the
//! windows.
//!
//! The fold keeps no files, so it cannot list them. It says when the request stands; ingest lists
//! from the tables what had been placed before it, and says that in the log, page by page. The
//! batch is made of those pages: a replay reads the same ones.

use std::sync::Arc;

use schemas::event::{BatchRequested, CloseReason, PoolState, RangeListed, RangeOpened, Refusal};
use schemas::id::BatchId;
use schemas::time::{LogTime, Window, WindowKind};
use schemas::topic::Offset;
use serde::{Deserialize, Serialize};

use super::State;
use super::emit::Emit;
use super::work::Batch;

/// Most ranges that are remembered: then the oldest that nobody works on is forgotten.
const RANGES_MAX: usize = 1_000;
/// How long one is remembered.
const REMEMBERED_MS: u64 = 31 * 86_400_000;

/// What is said of one that is forgotten without a result.
const FORGOTTEN: &str = "nobody worked on it before others were asked for";

/// A range that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Range {
    batch: BatchId,
    asked: LogTime,
    before: Offset,
}

impl State {
    pub(super) fn request_batch(
        &mut self,
        ask: &BatchRequested,
        before: Offset,
        emit: &mut Emit<'_>,
    ) {
        let Some(pool) = self.pool_id() else { return emit.refuse(Refusal::NoPool) };
        if self.life() == Some(PoolState::Archived) {
            return emit.refuse(Refusal::PoolArchived);
        }
        let BatchRequested { request, from: start, to: end, .. } = *ask;
        let window = Window { start, end, kind: WindowKind::Range };
        let id = BatchId::requested(pool, request);
        let known = self.ranges.iter().find(|range| range.batch == id).copied();
        let opened =
            |before, pages, ready| RangeOpened { request, batch: id, window, before, pages, ready };
        if let (Some(batch), Some(known)) = (self.batches.get(&id), known) {
            if batch.window == window {
                emit.say(opened(known.before, batch.manifest.pages, batch.revision > 0));
            } else {
                emit.refuse(Refusal::RequestReused);
            }
        } else if self.make_room(emit) {
            self.batches.insert(id, Batch::new(window, 1));
            self.ranges.push_back(Range { batch: id, asked: self.clock, before });
            emit.say(opened(before, 0, false));
        } else {
            emit.refuse(Refusal::RangesFull);
        }
    }

    /// Takes the next page of a range; what was listed before is known and says nothing. With the
    /// last page the batch is out.
    pub(super) fn list_range(&mut self, list: RangeListed, emit: &mut Emit<'_>) {
        if self.life() == Some(PoolState::Archived) {
            return emit.refuse(Refusal::PoolArchived);
        }
        let Some(pool) = self.pool.take() else { return emit.refuse(Refusal::NoPool) };
        let id = BatchId::requested(pool.id, list.request);
        let (last, clients) = (list.page == list.pages, list.clients);
        match self.batches.get_mut(&id) {
            Some(batch) if batch.revision == 0 && list.page == batch.manifest.pages + 1 => {
                for file in list.files {
                    batch.manifest.add(id, Arc::new(file), emit);
                }
                batch.manifest.flush(id, emit);
                batch.reported = clients;
                if last {
                    self.make_ready(&pool, id, CloseReason::Requested, Vec::new(), emit);
                }
            }
            Some(batch) if list.page <= batch.manifest.pages => {}
            _ => emit.refuse(Refusal::RangeUnknown),
        }
        self.pool = Some(pool);
    }

    /// Forgets ranges that were asked for long ago; not while one is worked on.
    pub(super) fn forget_ranges(&mut self, emit: &mut Emit<'_>) {
        while let Some(range) = self.ranges.front().copied()
            && self.clock.since(range.asked) > REMEMBERED_MS
            && !self.batches.get(&range.batch).is_some_and(Batch::is_busy)
        {
            self.ranges.pop_front();
            self.forget_batch(range.batch, FORGOTTEN, emit);
        }
    }

    /// Whether there is room for one more range.
    fn make_room(&mut self, emit: &mut Emit<'_>) -> bool {
        if self.ranges.len() < RANGES_MAX {
            return true;
        }
        let busy = |range: &Range| self.batches.get(&range.batch).is_some_and(Batch::is_busy);
        let idle = self.ranges.iter().position(|range| !busy(range));
        let Some(range) = idle.and_then(|idle| self.ranges.remove(idle)) else { return false };
        self.forget_batch(range.batch, FORGOTTEN, emit);
        true
    }
}
