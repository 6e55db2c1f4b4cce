//! The minimum: windows that have ended and are held back until they have enough, and what becomes
//! of those that never have.
//!
//! Files are carried over while the fold has their references: those of one page. A window with
//! more than that closes with what it has.

use std::ops::Bound;

use schemas::event::{CloseReason, WindowSkipped};
use schemas::policy::{BelowMinimum, Minimum};
use schemas::time::{LogTime, Window};

use super::emit::Emit;
use super::windows::{Part, count};
use super::{Pool, State};

/// Most windows that are held back at once: then the oldest waits no longer.
const HELD_BACK_MAX: usize = 100;

impl Pool {
    /// The moment of the log's clock until which a window is held back.
    pub(super) fn latest(&self, window: &Window) -> LogTime {
        let wait_ms = self.rules(window).close.minimum.map_or(0, |minimum| minimum.wait_ms);
        self.longest(window).plus(wait_ms)
    }

    /// What a part does not have that it must; an empty one lacks nothing.
    pub(super) fn is_below_minimum(&self, window: &Window, part: &Part) -> Option<Minimum> {
        self.rules(window).close.minimum.filter(|minimum| {
            let (files, clients) = (part.manifest.files, part.clients.len());
            files > 0 && (files < minimum.files || clients < minimum.clients as usize)
        })
    }
}

impl State {
    /// The first window whose bound the watermark has reached, and that neither waits for files under
    /// inspection nor is held back.
    pub(super) fn first_ended(&self, pool: &Pool) -> Option<Window> {
        let ended = self
            .open
            .iter()
            .filter(|(window, _)| self.has_ended(pool, window) && !self.is_awaited(pool, window));
        let (mut held_back, mut oldest) = (0, None);
        for (window, part) in ended {
            let waits = pool.is_below_minimum(window, part).is_some()
                && (self.clock < pool.latest(window) || self.waits_for_next(pool, window, part));
            if !waits {
                return Some(*window);
            }
            held_back += 1;
            oldest = oldest.or(Some(*window));
        }
        oldest.filter(|_| held_back > HELD_BACK_MAX)
    }

    /// Whether its files are to be carried over, and there is no window yet to take them.
    fn waits_for_next(&self, pool: &Pool, window: &Window, part: &Part) -> bool {
        let below = pool.is_below_minimum(window, part);
        below.is_some_and(|minimum| minimum.then == BelowMinimum::Carry)
            && part.manifest.references().is_some()
            && self.next_taking(pool, window, part.manifest.files).is_none()
    }

    /// The next open window with a file that has room for so many more.
    fn next_taking(&self, pool: &Pool, window: &Window, files: u32) -> Option<Window> {
        let later = self.open.range((Bound::Excluded(*window), Bound::Unbounded));
        let takes = |(window, part): &(&Window, &Part)| {
            let has = part.manifest.files;
            has > 0 && has.saturating_add(files) <= pool.rules(window).close.part_files_max
        };
        later.into_iter().find(takes).map(|(window, _)| *window)
    }

    /// A window that is below its minimum ends: as its pool says.
    pub(super) fn end_below_minimum(
        &mut self,
        pool: &Pool,
        window: Window,
        minimum: Minimum,
        emit: &mut Emit<'_>,
    ) {
        let carried = minimum.then == BelowMinimum::Carry;
        let files = self.open.get(&window).and_then(|part| part.manifest.references());
        let count = files.as_ref().map_or(0, |files| count(files.len()));
        let next = self.next_taking(pool, &window, count).filter(|_| carried);
        let Some(part) = self.shut(pool, window) else { return };
        match (minimum.then, files, next) {
            (BelowMinimum::Skip, ..) => emit.say(skipped(window, &part, minimum)),
            (BelowMinimum::Carry, Some(files), Some(next)) => {
                let to = self.open_part(pool, next, emit);
                to.take_over(next, Some(part.batch), &files, emit);
                self.close_if_full(pool, next, emit);
            }
            _ => self.become_batch(pool, window, part, CloseReason::BelowMinimum, emit),
        }
    }
}

fn skipped(window: Window, part: &Part, minimum: Minimum) -> WindowSkipped {
    let reported = count(part.clients.len());
    WindowSkipped {
        window,
        part: part.number,
        batch: part.batch,
        files: part.manifest.files,
        bytes: part.manifest.bytes,
        reported,
        files_missing: minimum.files.saturating_sub(part.manifest.files),
        clients_missing: minimum.clients.saturating_sub(reported),
    }
}
