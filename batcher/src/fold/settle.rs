//! What the passing of time decides: windows that end, timers that fire, what is forgotten.

use schemas::event::{BatchFailed, CloseReason, ExpiryReason, Timer, TimerDue};
use schemas::id::BatchId;
use schemas::time::Window;

use super::emit::Emit;
use super::work::Batch;
use super::{Pool, State};

impl State {
    /// Moves the watermark on and closes the windows it has reached.
    pub(super) fn settle(&mut self, emit: &mut Emit<'_>) {
        let Some(pool) = self.pool.take() else { return };
        self.watermark.advance(self.clock, &pool.policy.watermark, &pool.policy.close);
        while let Some(window) = self.first_ended(&pool) {
            self.end_window(&pool, window, emit);
        }
        while let Some(window) = self.first_with_quorum(&pool) {
            self.close_part(&pool, window, CloseReason::Quorum, emit);
        }
        self.arm_ends(&pool);
        self.arm_schedule(&pool);
        self.arm_erase(&pool);
        while let Some((window, parts)) = self.first_forgotten(&pool)
            && self.forget(&pool, window, parts, emit)
        {}
        self.pool = Some(pool);
    }

    /// A timer is said to be due: it acts only if it is armed for that moment and the log's clock
    /// has reached it. What window timers are for, `settle` does.
    pub(super) fn fire(&mut self, due: &TimerDue, emit: &mut Emit<'_>) {
        if due.due > self.clock || !self.timers.remove(&(due.due, due.timer)) {
            return;
        }
        match due.timer {
            Timer::WindowEnd(_) | Timer::MaxWait(_) => {}
            Timer::Schedule => self.close_scheduled(emit),
            Timer::Debounce(batch) => self.amend(batch, emit),
            Timer::Confirm(batch) => self.expire(batch, ExpiryReason::Unconfirmed, emit),
            Timer::Lease(batch) => self.expire(batch, ExpiryReason::Expired, emit),
            Timer::Erase => self.erase(emit),
        }
    }

    /// Forgets a window that no late file may reach any more; not while its batches are worked on.
    fn forget(&mut self, pool: &Pool, window: Window, parts: u32, emit: &mut Emit<'_>) -> bool {
        let ids = || (1..=parts).map(|part| BatchId::of(pool.id, &window, part));
        if ids().any(|id| self.batches.get(&id).is_some_and(Batch::is_busy)) {
            return false;
        }
        for id in ids() {
            let Some(batch) = self.batches.remove(&id) else { continue };
            self.claimable.remove(&(batch.turn, id));
            if batch.lacks_result() && !batch.failed {
                let (revision, attempts) = (batch.revision, batch.attempts);
                let reason = Some("nobody worked on it while late files could come".into());
                emit.say(BatchFailed { batch: id, revision, attempts, reason });
            }
        }
        self.past.remove(&window);
        true
    }
}
