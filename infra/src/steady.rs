//! A clock that never runs backwards and never stands still, whatever is done to the machine's.
//!
//! The log's clock is the running maximum of append times: were a machine's clock set a day ahead
//! and back again, windows and leases would wait for a day. This one follows a jump ahead at once,
//! and after a jump back goes on at half speed until the machine's clock has caught up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use schemas::time::Wall;

use crate::clock::Clock;

/// How much slower it goes while it is ahead.
const SLOWER: u32 = 2;

/// Another clock, made steady.
#[derive(Debug)]
pub struct SteadyClock {
    inner: Arc<dyn Clock>,
    told: Mutex<Told>,
}

/// What time it was, and when that was said.
#[derive(Clone, Copy, Debug)]
struct Told {
    now: Wall,
    /// Beyond whole milliseconds.
    rest: Duration,
    uptime: Duration,
}

impl SteadyClock {
    /// As this clock goes.
    pub fn new(inner: Arc<dyn Clock>) -> Arc<Self> {
        let told = Told { now: inner.now(), rest: Duration::ZERO, uptime: inner.uptime() };
        Arc::new(Self { inner, told: Mutex::new(told) })
    }
}

#[async_trait]
impl Clock for SteadyClock {
    fn now(&self) -> Wall {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (wall, uptime) = (self.inner.now(), self.inner.uptime());
        let passed = told.rest + uptime.saturating_sub(told.uptime) / SLOWER;
        let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        let slow = told.now.plus(millis);
        *told = if wall >= slow {
            Told { now: wall, rest: Duration::ZERO, uptime }
        } else {
            Told { now: slow, rest: passed.saturating_sub(Duration::from_millis(millis)), uptime }
        };
        told.now
    }

    fn uptime(&self) -> Duration {
        self.inner.uptime()
    }

    fn raise(&self, at: Wall) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.now = told.now.max(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine whose clock is set at will.
    #[derive(Debug, Default)]
    struct Machine(Mutex<(i64, u64)>);

    impl Machine {
        fn passes(&self, millis: u64) {
            let mut both = self.0.lock().unwrap();
            both.0 += i64::try_from(millis).unwrap();
            both.1 += millis;
        }

        fn jumps(&self, millis: i64) {
            self.0.lock().unwrap().0 += millis;
        }
    }

    #[async_trait]
    impl Clock for Machine {
        fn now(&self) -> Wall {
            Wall::from_millis(self.0.lock().unwrap().0)
        }

        fn uptime(&self) -> Duration {
            Duration::from_millis(self.0.lock().unwrap().1)
        }

        async fn sleep_until(&self, _: Wall) {}
    }

    const DAY: i64 = 86_400_000;

    #[test]
    fn it_follows_ahead_and_goes_slower_after_a_jump_back() {
        let machine = Arc::new(Machine::default());
        machine.jumps(10 * DAY);
        let clock = SteadyClock::new(machine.clone());
        let check = |expected: i64| assert_eq!(clock.now().millis() - 10 * DAY, expected);
        machine.passes(1_000);
        check(1_000);
        machine.jumps(DAY);
        check(DAY + 1_000);
        machine.jumps(-DAY);
        machine.passes(1_000);
        check(DAY + 1_500);
        // However often it is asked.
        for _ in 0..1_000 {
            machine.passes(1);
            clock.now();
        }
        check(DAY + 2_000);
        // In two days the machine's clock has caught up.
        machine.passes(2 * 86_400_000);
        assert_eq!(clock.now(), machine.now());
        machine.jumps(-DAY);
        let before = clock.now();
        machine.passes(10);
        assert_eq!(clock.now().since(before), 5);
    }

    #[test]
    fn after_a_restart_it_begins_where_the_log_had_got() {
        let machine = Arc::new(Machine::default());
        machine.jumps(10 * DAY);
        let clock = SteadyClock::new(machine.clone());
        clock.raise(Wall::from_millis(11 * DAY));
        machine.passes(1_000);
        assert_eq!(clock.now().millis(), 11 * DAY + 500);
        clock.raise(Wall::from_millis(5 * DAY));
        assert!(clock.now().millis() > 11 * DAY);
    }
}
