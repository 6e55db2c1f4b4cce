//! Time that has passed: the one place here that looks at a clock.

use std::time::{Duration, Instant};

/// Counts from when it was begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[allow(clippy::disallowed_methods, reason = "measuring time is what this program is for")]
    pub(crate) fn begin() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    pub(crate) fn seconds(self) -> f64 {
        self.elapsed().as_secs_f64()
    }

    pub(crate) fn millis(self) -> f64 {
        self.seconds() * 1e3
    }
}
