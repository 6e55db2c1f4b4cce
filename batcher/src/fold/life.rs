//! The life of a pool: paused, resumed, archived.

use schemas::event::{
    BatchCancelled, CloseReason, ExpiryReason, OpenWindows, PoolArchiveRequested, PoolArchived,
    PoolPaused, PoolResumed, PoolState, Refusal, Timer,
};
use schemas::id::{AccountId, BatchId};
use schemas::time::Window;

use super::emit::Emit;
use super::work::Batch;
use super::{Pool, State};

impl State {
    /// Windows close no more. Files are taken, and what is ready is worked on, as ever.
    pub(super) fn pause(&mut self, by: AccountId, emit: &mut Emit<'_>) {
        if self.live(PoolState::Paused, emit) {
            emit.say(PoolPaused { by });
        }
    }

    /// What would have closed by now closes once this event is settled.
    pub(super) fn resume(&mut self, by: AccountId, emit: &mut Emit<'_>) {
        if !self.live(PoolState::Open, emit) {
            return;
        }
        // Those whose timers came while nothing could be done about them.
        let armed = |timers: &std::collections::BTreeSet<_>, id| {
            timers.iter().any(|(_, timer)| *timer == Timer::Debounce(id))
        };
        for (id, batch) in &self.batches {
            if batch.gathering && !armed(&self.timers, *id) {
                self.timers.insert((self.clock, Timer::Debounce(*id)));
            }
        }
        emit.say(PoolResumed { by });
        if let Some(pool) = self.pool.take() {
            let open = self.open.keys().copied();
            let groups = self.groups.iter().map(|(first, _)| self.window_of(&pool, first));
            for window in open.chain(groups).collect::<Vec<_>>() {
                self.close_if_full(&pool, window, emit);
            }
            self.pool = Some(pool);
        }
    }

    /// Another life, unless it is over. A repeat is as good as the first.
    fn live(&mut self, life: PoolState, emit: &mut Emit<'_>) -> bool {
        match self.pool.as_mut() {
            None => emit.refuse(Refusal::NoPool),
            Some(Pool { life: PoolState::Archived, .. }) => emit.refuse(Refusal::PoolArchived),
            Some(pool) => {
                pool.life = life;
                return true;
            }
        }
        false
    }

    /// Nothing more is taken, for ever. A repeat says the same again, and changes nothing.
    pub(super) fn archive(&mut self, ask: &PoolArchiveRequested, emit: &mut Emit<'_>) {
        let PoolArchiveRequested { by, open_windows } = *ask;
        let Some(mut pool) = self.pool.take() else { return emit.refuse(Refusal::NoPool) };
        if pool.life != PoolState::Archived {
            pool.life = PoolState::Archived;
            self.end_leases(emit);
            self.name_those_of(&pool, |_| true, emit);
            match open_windows {
                OpenWindows::Close => self.close_all(&pool, emit),
                OpenWindows::Cancel => self.cancel_all(&pool, emit),
            }
            self.timers.retain(|(_, timer)| {
                !matches!(timer, Timer::Debounce(_) | Timer::Schedule | Timer::Group)
            });
            self.schedule = None;
            self.group_due = None;
        }
        self.pool = Some(pool);
        emit.say(PoolArchived { by, open_windows });
    }

    fn end_leases(&mut self, emit: &mut Emit<'_>) {
        let leased: Vec<BatchId> = self.leases.values().copied().collect();
        for id in leased {
            self.give_back(id, ExpiryReason::Archived, true, None, emit);
        }
    }

    fn close_all(&mut self, pool: &Pool, emit: &mut Emit<'_>) {
        let windows: Vec<Window> = self.open.keys().copied().collect();
        for window in windows {
            if let Some(part) = self.shut(pool, window) {
                self.become_batch(pool, window, part, CloseReason::Archived, emit);
            }
        }
        let gathering = |(id, batch): (&BatchId, &Batch)| batch.gathering.then_some(*id);
        let gathering: Vec<BatchId> = self.batches.iter().filter_map(gathering).collect();
        for id in gathering {
            if let Some(batch) = self.batches.get_mut(&id) {
                batch.gathering = false;
                self.make_ready(pool, id, CloseReason::Late, Vec::new(), emit);
            }
        }
    }

    fn cancel_all(&mut self, pool: &Pool, emit: &mut Emit<'_>) {
        let windows: Vec<Window> = self.open.keys().copied().collect();
        for window in windows {
            if let Some(part) = self.shut(pool, window) {
                let (batch, number) = (part.batch, part.number);
                let (files, part) = (part.manifest.files, number);
                emit.say(BatchCancelled { batch, window, part, revision: 1, out: 0, files });
            }
        }
        for (id, batch) in &mut self.batches {
            if !batch.gathering && !batch.lacks_result() {
                continue;
            }
            let revision = batch.first_without_result();
            let Batch { window, part, revision: out, .. } = *batch;
            let files = batch.manifest.files;
            batch.cancel();
            emit.say(BatchCancelled { batch: *id, window, part, revision, out, files });
        }
        self.claimable.clear();
    }
}
