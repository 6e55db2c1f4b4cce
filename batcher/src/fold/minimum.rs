//! The minimum: windows that have ended and are held back until they have enough.

use schemas::time::{LogTime, Window};

use super::windows::Part;
use super::{Pool, State};

/// Most windows that are held back at once: then the oldest closes with what it has.
const HELD_BACK_MAX: usize = 100;

impl Pool {
    /// The moment of the log's clock at which a window closes with whatever it has.
    pub(super) fn latest(&self, window: &Window) -> LogTime {
        let wait_ms = self.rules(window).close.minimum.map_or(0, |minimum| minimum.wait_ms);
        self.longest(window).plus(wait_ms)
    }

    /// Whether a part lacks files or clients; an empty one lacks nothing.
    pub(super) fn is_below_minimum(&self, window: &Window, part: &Part) -> bool {
        self.rules(window).close.minimum.is_some_and(|minimum| {
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
            if !pool.is_below_minimum(window, part) || self.clock >= pool.latest(window) {
                return Some(*window);
            }
            held_back += 1;
            oldest = oldest.or(Some(*window));
        }
        oldest.filter(|_| held_back > HELD_BACK_MAX)
    }
}
