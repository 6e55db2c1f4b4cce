//! Where a file goes: its window, or what late files do to one that has closed.

use std::sync::Arc;

use schemas::event::{Placement, Timer};
use schemas::file::FileRef;
use schemas::id::BatchId;
use schemas::policy::LateMode;
use schemas::time::{EffectiveAt, LogTime, Window, WindowKind};

use super::emit::Emit;
use super::windows::{Past, count};
use super::work::Batch;
use super::{Pool, State};

impl State {
    /// Whether files for it are late: it had closed, or would have if it had ever had a file.
    pub(super) fn is_late(&self, pool: &Pool, window: &Window) -> bool {
        !self.open.contains_key(window)
            && self.groups.of(window).is_none()
            && (self.past.contains_key(window)
                || (self.has_ended(pool, window) && !self.is_awaited(pool, window))
                || pool.is_before_rules(window))
    }

    /// Whether files for it, were they late, are so late that its batches may be forgotten.
    pub(super) fn is_too_late(&self, pool: &Pool, window: &Window) -> bool {
        let end = LogTime::from_millis(window.end.millis());
        let forgotten = window.kind == WindowKind::Gap && window.start < self.forgotten_until;
        let allowed_ms = pool.rules(window).late.allowed_ms;
        self.clock.since(end) > allowed_ms || pool.is_before_rules(window) || forgotten
    }

    /// Puts a file into its window, or where late ones go.
    pub(super) fn place(
        &mut self,
        pool: &Pool,
        window: Window,
        late: LateMode,
        file: &Arc<FileRef>,
        emit: &mut Emit<'_>,
    ) -> Placement {
        if !self.is_late(pool, &window) {
            self.put(pool, window, (file.effective_at, None), file, emit)
        } else if late == LateMode::Next {
            self.add_next(pool, window, file, emit)
        } else {
            self.add_late(pool, window, file, emit)
        }
    }

    /// Puts a file, grouped by `at`, into a window that takes files, or among those that gather.
    pub(super) fn put(
        &mut self,
        pool: &Pool,
        window: Window,
        (at, falls_in): (EffectiveAt, Option<Window>),
        file: &Arc<FileRef>,
        emit: &mut Emit<'_>,
    ) -> Placement {
        match pool.at(at).policy.windows.gap() {
            Some(gap) if !self.open.contains_key(&window) => {
                self.gather(pool, (at, falls_in), gap, file, emit)
            }
            _ => self.add(pool, window, falls_in, file, emit),
        }
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
        let part = self.open_part(pool, window, emit);
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
            part_clients: count(part.clients.len()),
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
        let (mut at, mut next) = (reached, self.window_of(pool, reached));
        while self.is_late(pool, &next) && next.end > reached {
            at = next.end;
            next = self.window_of(pool, at);
        }
        self.put(pool, next, (at, Some(falls_in)), file, emit)
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
}
