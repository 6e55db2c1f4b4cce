//! What the passing of time decides: windows that end, timers that fire, what is forgotten.

use schemas::event::{CloseReason, ExpiryReason, PoolState, Timer, TimerDue};
use schemas::id::BatchId;
use schemas::time::{EffectiveAt, Window, WindowKind};

use super::emit::Emit;
use super::work::Batch;
use super::{Pool, State};

impl State {
    /// Moves the watermark on and closes the windows it has reached.
    pub(super) fn settle(&mut self, emit: &mut Emit<'_>) {
        let Some(mut pool) = self.pool.take() else { return };
        let in_force = pool.at(EffectiveAt::from_millis(self.clock.millis())).policy;
        self.watermark.advance(self.clock, &in_force.watermark, &in_force.close);
        if pool.life == PoolState::Open {
            self.name_ended(&pool, emit);
            while let Some(window) = self.first_ended(&pool) {
                self.end_window(&pool, window, emit);
            }
            self.name_those_with_quorum(&pool, emit);
            while let Some(window) = self.first_with_quorum(&pool) {
                self.close_part(&pool, window, CloseReason::Quorum, emit);
            }
            self.arm_ends(&pool);
            self.arm_groups(&pool);
            self.arm_schedule(&pool);
        }
        self.arm_erase(&pool);
        while let Some((window, parts)) = self.first_forgotten(&pool)
            && self.forget(&pool, window, parts, emit)
        {}
        self.forget_versions(&mut pool);
        self.forget_ranges(emit);
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
            Timer::Group => self.group_due = None,
            Timer::Schedule => self.close_scheduled(due.due, emit),
            // Until the pool is resumed: then it is armed again.
            Timer::Debounce(_) if self.life() == Some(PoolState::Paused) => {}
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
            self.forget_batch(id, "nobody worked on it while late files could come", emit);
        }
        self.past.remove(&window);
        if window.kind == WindowKind::Gap {
            self.forgotten_until = self.forgotten_until.max(window.end);
        }
        true
    }
}
