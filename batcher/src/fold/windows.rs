//! Windows: open parts, and how they close.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use schemas::event::{CloseReason, PoolState, Refusal, Timer, WindowCloseAsked, WindowOpened};
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
    pub(super) last_part: u32,
}

/// How many, as records say it.
pub(super) fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
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

    /// Why a part with so much in it closes at once, if it does.
    fn is_full(&self, window: &Window, files: u32, bytes: u64) -> Option<CloseReason> {
        let close = &self.rules(window).close;
        // A part that can hold no more closes while the pool is paused as well: all else waits.
        let is_open = self.life != PoolState::Paused;
        if is_open && close.count.is_some_and(|count| files >= count) {
            Some(CloseReason::Count)
        } else if is_open && close.bytes.is_some_and(|most| bytes >= most) {
            Some(CloseReason::Bytes)
        } else {
            (files >= close.part_files_max).then_some(CloseReason::PartFull)
        }
    }

    /// The moment of the log's clock at which it closes whoever is missing.
    pub(super) fn longest(&self, window: &Window) -> LogTime {
        let bound = self.bound(window).millis();
        LogTime::from_millis(bound).plus(self.rules(window).close.max_wait_ms)
    }
}

impl State {
    /// Whether the watermark, by the window's own rules, has reached the moment at which it closes.
    pub(super) fn has_ended(&self, pool: &Pool, window: &Window) -> bool {
        let rules = pool.rules(window);
        let reached = self.watermark.by(self.clock, &rules.watermark, &rules.close);
        reached >= window.end.plus(rules.close.grace_ms)
    }

    /// The part of a window that takes files; said where it was empty until now.
    pub(super) fn open_part(
        &mut self,
        pool: &Pool,
        window: Window,
        emit: &mut Emit<'_>,
    ) -> &mut Part {
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
        part
    }

    /// Closes the open part of a window if it has as many files or bytes as it may.
    pub(super) fn close_if_full(&mut self, pool: &Pool, window: Window, emit: &mut Emit<'_>) {
        let (group, files, bytes) = match (self.open.get(&window), self.groups.of(&window)) {
            (Some(Part { manifest, .. }), _) => (None, manifest.files, manifest.bytes),
            (None, Some((first, group))) => (Some(first), group.count(), group.bytes),
            (None, None) => return,
        };
        let Some(reason) = pool.is_full(&window, files, bytes) else { return };
        let window = match group {
            Some(first) => self.name_group(pool, first, emit).unwrap_or(window),
            None => window,
        };
        self.close_part(pool, window, reason, emit);
    }

    pub(super) fn close_asked(&mut self, ask: &WindowCloseAsked, emit: &mut Emit<'_>) {
        match self.life() {
            Some(PoolState::Paused) => return emit.refuse(Refusal::PoolPaused),
            Some(PoolState::Archived) => return emit.refuse(Refusal::PoolArchived),
            Some(PoolState::Open) | None => {}
        }
        let Some(pool) = self.pool.take() else { return emit.refuse(Refusal::NoPool) };
        self.name_those_asked_for(&pool, ask, emit);
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

    /// The window takes no more files: what is in its open part becomes a batch, unless it lacks
    /// what the pool asks for.
    pub(super) fn end_window(&mut self, pool: &Pool, window: Window, emit: &mut Emit<'_>) {
        let below = self.open.get(&window).and_then(|part| pool.is_below_minimum(&window, part));
        if let Some(minimum) = below {
            return self.end_below_minimum(pool, window, minimum, emit);
        }
        let bound = pool.bound(&window);
        if let Some(part) = self.shut(pool, window) {
            let clients = self.watermark.clients_reached(bound, &pool.rules(&window).watermark);
            let reason = if clients { CloseReason::WindowEnd } else { CloseReason::MaxWait };
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
        batch.reported = count(part.clients.len());
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
            let filled = self.open.iter().filter(|(_, part)| part.manifest.files > 0);
            let filled = filled.map(|(window, _)| window.start);
            let mut filled = filled.chain(self.groups.iter().map(|(first, _)| first));
            filled.any(|at| pool.at(at).version == version)
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
        self.name_those_of(&pool, |version| versions.contains(&version), emit);
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
        self.is_too_late(pool, window).then_some((*window, past.last_part))
    }
}
