//! Door: the clock. The only place that knows the time.
//!
//! Nothing that decides about a pool asks it: the log carries the time of every decision. It serves
//! token lives, deadlines, timeouts and the stamps that ingest writes into events.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemas::time::Wall;
use tokio::sync::watch;

use crate::faults;

/// What time it is.
#[async_trait]
pub trait Clock: Debug + Send + Sync {
    /// Now, by the wall clock. May jump either way.
    fn now(&self) -> Wall;

    /// Time since the clock was made. Never runs backwards.
    fn uptime(&self) -> Duration;

    /// Returns once `now` has reached `at`, at once if it has already. Cancel-safe.
    async fn sleep_until(&self, at: Wall) {
        loop {
            let left = Duration::from_millis(at.since(self.now()));
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(SLEEP_MAX)).await;
        }
    }

    /// Says that it has been `at` before, in another process perhaps: a clock that never runs
    /// backwards goes on from there.
    fn raise(&self, _at: Wall) {}
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: std::time::Instant,
}

impl SystemClock {
    /// The machine's clock, its uptime counted from here.
    #[allow(clippy::disallowed_methods, reason = "this is the one home of the machine's clock")]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { started: std::time::Instant::now() })
    }
}

/// The longest sleep before the wall clock is looked at again: it may have jumped.
const SLEEP_MAX: Duration = Duration::from_secs(1);

#[async_trait]
impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the one home of the machine's clock")]
    fn now(&self) -> Wall {
        let millis = chrono::Utc::now().timestamp_millis();
        Wall::from_millis(millis.saturating_add(faults::clock_ahead_ms()))
    }

    fn uptime(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that stands still until it is told to go on. For tests.
#[derive(Debug)]
pub struct ManualClock {
    now: watch::Sender<Wall>,
    started: Wall,
}

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn at(now: Wall) -> Arc<Self> {
        Arc::new(Self { now: watch::Sender::new(now), started: now })
    }

    /// Goes on by `millis`, waking those that sleep.
    pub fn advance(&self, millis: u64) {
        self.now.send_modify(|now| *now = now.plus(millis));
    }

    /// Jumps to `now`, forwards or backwards.
    pub fn set(&self, now: Wall) {
        self.now.send_replace(now);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Wall {
        *self.now.borrow()
    }

    fn uptime(&self) -> Duration {
        Duration::from_millis(self.now().since(self.started))
    }

    async fn sleep_until(&self, at: Wall) {
        let mut now = self.now.subscribe();
        // The sender lives as long as `self`, so the wait cannot fail.
        _ = now.wait_for(|now| *now >= at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_those_whose_time_has_come() {
        let clock = ManualClock::at(Wall::from_millis(1_000));
        let mut sleeping = Box::pin(clock.sleep_until(Wall::from_millis(1_500)));
        clock.advance(499);
        assert!(futures_util::poll!(&mut sleeping).is_pending());
        clock.advance(1);
        sleeping.await;
        assert_eq!(clock.uptime(), Duration::from_millis(500));
    }

    #[tokio::test]
    async fn the_machines_clock_goes_on() {
        let clock = SystemClock::new();
        let start = clock.now();
        clock.sleep_until(start.plus(5)).await;
        assert!(clock.now() >= start.plus(5) && clock.uptime() > Duration::ZERO);
    }
}
