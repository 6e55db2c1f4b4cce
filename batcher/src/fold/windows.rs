//! Windows: open parts, how they close, and what late files do to those that have.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use schemas::event::{
    CloseReason, Placement, PoolState, Refusal, Timer, WindowCloseAsked, WindowOpened,
};
use schemas::file::FileRef;
use schemas::id::{AccountId, BatchId};
use schemas::policy::Schedule;
use schemas::time::{EffectiveAt, LogTime, Window};
use serde::{Deserialize, Serialize};

use super::emit::Emit;
use super::page::Manifest;
use super::seen::IdHasher;
use super::work::Batch;
use super::{Pool, State};

/// Who has a file in a part. Its order is never looked at.
pub(super) type Clients = HashSet<AccountId, BuildHasherDefault<IdHasher>>;

/// The part of a window that takes files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// Counted from 1.
    pub(super) number: u32,
    pub(super) batch: BatchId,
    pub(super) manifest: Manifest,
    pub(super) clients: Clients,
    /// Whether the timer of its end is armed.
    end_armed: bool,
}

/// A window that has closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Past {
    /// The last part that became, or will become, a batch; 0 when none did.
    last_part: u32,
}

impl Part {
    fn new(pool: &Pool, window: &Window, number: u32) -> Self {
        Self {
            number,
            batch: BatchId::of(pool.id, window, number),
            manifest: Manifest::default(),
            clients: Clients::default(),
            end_armed: false,
        }
    }
}

impl Pool {
    /// The moment of the watermark at which a window closes.
    pub(super) fn bound(&self, window: &Window) -> EffectiveAt {
        window.end.plus(self.rules(window).close.grace_ms)
    }

    /// The moment of the log's clock at which it closes whoever is missing.
    pub(super) fn longest(&self, window: &Window) -> LogTime {
        let bound = self.bound(window).millis();
        LogTime::from_millis(bound).plus(self.rules(window).close.max_wait_ms)
    }
}

impl State {
    /// Whether files for it are late: it had closed, or would have if it had ever had a file.
    pub(super) fn is_late(&self, pool: &Pool, window: &Window) -> bool {
        !self.open.contains_key(window)
            && (self.past.contains_key(window)
                || (self.has_ended(pool, window) && !self.is_awaited(pool, window))
                || pool.is_before_rules(window))
    }

    /// Whether the watermark, by the window's own rules, has reached the moment at which it closes.
    pub(super) fn has_ended(&self, pool: &Pool, window: &Window) -> bool {
        let rules = pool.rules(window);
        let reached = self.watermark.by(self.clock, &rules.watermark, &rules.close);
        reached >= window.end.plus(rules.close.grace_ms)
    }

    /// Puts a file into the open part of a window: its own, or the next one where `falls_in`
    /// names its own.
    pub(super) fn add(
        &mut self,
        pool: &Pool,
        window: Window,
        falls_in: Option<Window>,
        file: &Arc<FileRef>,
        emit: &mut Emit<'_>,
    ) -> Placement {
        let (longest, latest) = (pool.longest(&window), pool.latest(&window));
        self.assigned_until = self.assigned_until.max(Some(window.end));
        let part = self.open.entry(window).or_insert_with(|| {
            self.timers.extend([longest, latest].map(|due| (due, Timer::MaxWait(window))));
            Part::new(pool, &window, 1)
        });
        if part.manifest.files == 0 {
            emit.say(WindowOpened {
                window,
                part: part.number,
                batch: part.batch,
                closes_at: pool.bound(&window),
                closes_at_latest: latest,
                policy_version: pool.at(window.start).version,
            });
        }
        part.manifest.add(part.batch, Arc::clone(file), emit);
        part.clients.insert(file.client);
        Placement::Window {
            window,
            part: part.number,
            batch: part.batch,
            revision: 1,
            late: falls_in.is_some(),
            falls_in,
            part_files: part.manifest.files,
            part_bytes: part.manifest.bytes,
            part_clients: u32::try_from(part.clients.len()).unwrap_or(u32::MAX),
        }
    }

    /// Puts a late file into the next window that is open.
    pub(super) fn add_next(
        &mut self,
        pool: &Pool,
        falls_in: Window,
        file: &Arc<FileRef>,
        emit: &mut Emit<'_>,
    ) -> Placement {
        let reached = self.watermark.at();
        let reached = reached.minus(pool.at(reached).policy.close.grace_ms);
        let mut next = pool.window_of(reached);
        while self.is_late(pool, &next) && next.end > reached {
            next = pool.window_of(next.end);
        }
        self.add(pool, next, Some(falls_in), file, emit)
    }

    /// Gathers a late file for the next revision of its window's last part, or for a part of its
    /// own where there is none or it is full.
    pub(super) fn add_late(
        &mut self,
        pool: &Pool,
        window: Window,
        file: &Arc<FileRef>,
        emit: &mut Emit<'_>,
    ) -> Placement {
        self.assigned_until = self.assigned_until.max(Some(window.end));
        let rules = pool.rules(&window);
        let past = self.past.entry(window).or_insert(Past { last_part: 0 });
        let last = BatchId::of(pool.id, &window, past.last_part);
        let full = rules.close.part_files_max;
        let room = self.batches.get(&last).is_some_and(|batch| batch.manifest.files < full);
        let id = if room {
            last
        } else {
            past.last_part += 1;
            BatchId::of(pool.id, &window, past.last_part)
        };
        let part = past.last_part;
        let batch = self.batches.entry(id).or_insert_with(|| Batch::new(window, part));
        batch.manifest.add(id, Arc::clone(file), emit);
        if !std::mem::replace(&mut batch.gathering, true) {
            let due = self.clock.plus(rules.late.debounce_ms);
            self.timers.insert((due, Timer::Debounce(id)));
        }
        Placement::Window {
            window,
            part,
            batch: id,
            revision: batch.revision + 1,
            late: true,
            falls_in: None,
            part_files: batch.manifest.files,
            part_bytes: batch.manifest.bytes,
            part_clients: batch.reported,
        }
    }

    /// Closes the open part of a window if it has as many files or bytes as it may.
    pub(super) fn close_if_full(&mut self, pool: &Pool, window: Window, emit: &mut Emit<'_>) {
        let Some(Part { manifest, .. }) = self.open.get(&window) else { return };
        let (files, bytes) = (manifest.files, manifest.bytes);
        let close = &pool.rules(&window).close;
        if pool.life == PoolState::Paused {
            // A part that can hold no more closes all the same: all else waits.
            if files >= close.part_files_max {
                self.close_part(pool, window, CloseReason::PartFull, emit);
            }
        } else if close.count.is_some_and(|count| files >= count) {
            self.close_part(pool, window, CloseReason::Count, emit);
        } else if close.bytes.is_some_and(|most| bytes >= most) {
            self.close_part(pool, window, CloseReason::Bytes, emit);
        } else if files >= close.part_files_max {
            self.close_part(pool, window, CloseReason::PartFull, emit);
        }
    }

    pub(super) fn close_asked(&mut self, ask: &WindowCloseAsked, emit: &mut Emit<'_>) {
        match self.life() {
            Some(PoolState::Paused) => return emit.refuse(Refusal::PoolPaused),
            Some(PoolState::Archived) => return emit.refuse(Refusal::PoolArchived),
            Some(PoolState::Open) | None => {}
        }
        let Some(pool) = self.pool.take() else { return emit.refuse(Refusal::NoPool) };
        let asked = |(window, part): (&Window, &Part)| {
            let meant = ask.at.is_none_or(|at| window.contains(at));
            (meant && part.manifest.files > 0).then_some(*window)
        };
        let windows: Vec<Window> = self.open.iter().filter_map(asked).collect();
        if windows.is_empty() {
            emit.refuse(Refusal::NoOpenWindow);
        }
        for window in windows {
            self.close_part(&pool, window, CloseReason::Asked, emit);
        }
        self.pool = Some(pool);
    }

    /// The open part becomes a batch; the window goes on with its next part.
    pub(super) fn close_part(
        &mut self,
        pool: &Pool,
        window: Window,
        reason: CloseReason,
        emit: &mut Emit<'_>,
    ) {
        let Some(part) = self.open.get_mut(&window) else { return };
        let next = Part { end_armed: part.end_armed, ..Part::new(pool, &window, part.number + 1) };
        let part = std::mem::replace(part, next);
        self.become_batch(pool, window, part, reason, emit);
    }

    /// The window takes no more files: its part, if there is anything in it.
    pub(super) fn shut(&mut self, pool: &Pool, window: Window) -> Option<Part> {
        let part = self.open.remove(&window)?;
        let bound = pool.bound(&window);
        for due in [pool.longest(&window), pool.latest(&window)] {
            self.timers.remove(&(due, Timer::MaxWait(window)));
        }
        self.timers.remove(&(LogTime::from_millis(bound.millis()), Timer::WindowEnd(window)));
        let last_part = if part.manifest.files == 0 { part.number - 1 } else { part.number };
        self.past.insert(window, Past { last_part });
        Some(part).filter(|part| part.manifest.files > 0)
    }

    /// The window takes no more files: what is in its open part becomes a batch.
    pub(super) fn end_window(&mut self, pool: &Pool, window: Window, emit: &mut Emit<'_>) {
        let bound = pool.bound(&window);
        if let Some(part) = self.shut(pool, window) {
            let clients = self.watermark.clients_reached(bound, &pool.rules(&window).watermark);
            let reason = match clients {
                _ if pool.is_below_minimum(&window, &part) => CloseReason::BelowMinimum,
                true => CloseReason::WindowEnd,
                false => CloseReason::MaxWait,
            };
            self.become_batch(pool, window, part, reason, emit);
        }
    }

    pub(super) fn become_batch(
        &mut self,
        pool: &Pool,
        window: Window,
        part: Part,
        reason: CloseReason,
        emit: &mut Emit<'_>,
    ) {
        let mut batch = Batch::new(window, part.number);
        batch.manifest = part.manifest;
        batch.reported = u32::try_from(part.clients.len()).unwrap_or(u32::MAX);
        self.batches.insert(part.batch, batch);
        let missing = self.contributors().filter(|client| !part.clients.contains(client)).collect();
        self.make_ready(pool, part.batch, reason, missing, emit);
    }

    /// Arms the timer of a window's end where the clients are ahead of the log's clock: then the
    /// passing of time alone will close it. Elsewhere no timer would help, and none is written.
    pub(super) fn arm_ends(&mut self, pool: &Pool) {
        for (window, part) in &mut self.open {
            let bound = pool.bound(window);
            let clients = self.watermark.clients_reached(bound, &pool.rules(window).watermark);
            if clients && !std::mem::replace(&mut part.end_armed, true) {
                let due = LogTime::from_millis(bound.millis());
                self.timers.insert((due, Timer::WindowEnd(*window)));
            }
        }
    }

    /// Waits for the next moment of the schedule, as long as there is something to close then.
    pub(super) fn arm_schedule(&mut self, pool: &Pool) {
        if self.schedule.is_some() && !pool.has_older() {
            return;
        }
        let open = |version: u32| {
            let mut filled = self.open.iter().filter(|(_, part)| part.manifest.files > 0);
            filled.any(|(window, _)| pool.at(window.start).version == version)
        };
        let next = |(version, schedule): (u32, &Schedule)| {
            open(version).then(|| schedule.next(self.clock)).flatten()
        };
        let Some(due) = pool.schedules().filter_map(next).min() else { return };
        let armed = self.schedule.replace(due).filter(|armed| *armed <= due);
        if let Some(armed) = armed {
            self.schedule = Some(armed);
        } else {
            self.timers.retain(|(_, timer)| *timer != Timer::Schedule);
            self.timers.insert((due, Timer::Schedule));
        }
    }

    /// A moment of a schedule has come: all that is open, of the versions that have this moment in
    /// their schedule, becomes batches.
    pub(super) fn close_scheduled(&mut self, due: LogTime, emit: &mut Emit<'_>) {
        self.schedule = None;
        if self.life() != Some(PoolState::Open) {
            return;
        }
        let Some(pool) = self.pool.take() else { return };
        let has = |(version, schedule): (u32, &Schedule)| {
            (schedule.next(due.minus(1)) == Some(due)).then_some(version)
        };
        let versions: Vec<u32> = pool.schedules().filter_map(has).collect();
        let filled = |(window, part): (&Window, &Part)| {
            let meant = versions.contains(&pool.at(window.start).version);
            (meant && part.manifest.files > 0).then_some(*window)
        };
        let windows: Vec<Window> = self.open.iter().filter_map(filled).collect();
        for window in windows {
            self.close_part(&pool, window, CloseReason::Schedule, emit);
        }
        self.pool = Some(pool);
    }

    /// The oldest closed window, once it is older than late files may be.
    pub(super) fn first_forgotten(&self, pool: &Pool) -> Option<(Window, u32)> {
        let (window, past) = self.past.first_key_value()?;
        let end = LogTime::from_millis(window.end.millis());
        (self.clock.since(end) > pool.rules(window).late.allowed_ms)
            .then_some((*window, past.last_part))
    }
}
