//! Doors that fail, for tests: by a seed, so that a run can be repeated.
//!
//! `Faulty<dyn Append>` is an `Append`, and so with the other doors. What a door's error cannot
//! say, it does not say: where there is no `Unknown`, what may have happened is refused.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::clock::Clock;

/// Which calls fail, and how.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The same seed and order of calls, the same faults.
    pub seed: u64,
    /// So many calls are refused before any other is made.
    pub first: u32,
    /// Of the others, so many in a hundred are refused.
    pub refused_percent: u64,
    /// And of so many in a hundred the outcome is not told: half of them happen.
    pub unknown_percent: u64,
    /// Calls wait before they are made, up to so many milliseconds of this clock.
    pub delay: Option<(Arc<dyn Clock>, u64)>,
}

/// A door that fails as planned.
pub struct Faulty<D: ?Sized> {
    pub(crate) inner: Arc<D>,
    pub(crate) faults: Arc<Faults>,
}

impl<D: ?Sized> Faulty<D> {
    /// A door that fails as planned, over one that does not.
    pub fn new(inner: Arc<D>, plan: Plan) -> Arc<Self> {
        let state = AtomicU64::new(plan.seed);
        let (first, stopped) = (AtomicU32::new(plan.first), AtomicBool::new(false));
        Arc::new(Self { inner, faults: Arc::new(Faults { plan, state, first, stopped }) })
    }

    /// From now on nothing fails.
    pub fn stop(&self) {
        self.faults.stopped.store(true, Ordering::Relaxed);
    }
}

impl<D: fmt::Debug + ?Sized> fmt::Debug for Faulty<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is made.
    Made,
    /// It is refused.
    Refused,
    /// It is made, and its outcome not told.
    MadeUnknown,
    /// It is not made, and that is not told.
    NotMadeUnknown,
}

/// An error that faults can be told with.
pub(crate) trait Fault {
    /// It did nothing.
    fn refused() -> Self;
    /// It may have happened.
    fn unknown() -> Self;
}

/// The plan and how far it has got.
#[derive(Debug)]
pub(crate) struct Faults {
    plan: Plan,
    state: AtomicU64,
    first: AtomicU32,
    stopped: AtomicBool,
}

impl Faults {
    /// A number below `end`: splitmix64.
    pub(crate) fn below(&self, end: u64) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end.max(1)
    }

    /// Decides what becomes of a call, after its delay.
    pub(crate) async fn fate(&self) -> Fate {
        if self.stopped.load(Ordering::Relaxed) {
            return Fate::Made;
        }
        if let Some((clock, millis_max)) = &self.plan.delay {
            clock.sleep_until(clock.now().plus(self.below(millis_max + 1))).await;
        }
        let one_less = |left: u32| left.checked_sub(1);
        if self.first.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
            return Fate::Refused;
        }
        let Plan { refused_percent, unknown_percent, .. } = self.plan;
        match self.below(100) {
            n if n < refused_percent => Fate::Refused,
            n if n < refused_percent + unknown_percent => match self.below(2) {
                0 => Fate::MadeUnknown,
                _ => Fate::NotMadeUnknown,
            },
            _ => Fate::Made,
        }
    }

    /// Makes a call that changes something, or not.
    pub(crate) async fn write<T, E: Fault>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match self.fate().await {
            Fate::Made => call.await,
            Fate::Refused => Err(E::refused()),
            Fate::MadeUnknown => call.await.and_then(|_| Err(E::unknown())),
            Fate::NotMadeUnknown => Err(E::unknown()),
        }
    }

    /// Makes a call that changes nothing, or refuses.
    pub(crate) async fn read<T, E: Fault>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        if self.fate().await == Fate::Made { call.await } else { Err(E::refused()) }
    }
}

/// What every refusal of a fault says.
pub(crate) const REASON: &str = "a planned fault";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use schemas::time::Wall;

    async fn fates(plan: Plan, count: usize) -> Vec<Fate> {
        let faulty = Faulty::new(Arc::new(()), plan);
        let mut fates = Vec::new();
        for _ in 0..count {
            fates.push(faulty.faults.fate().await);
        }
        fates
    }

    #[tokio::test]
    async fn the_same_seed_gives_the_same_faults_in_the_planned_shares() {
        let plan = Plan { seed: 7, refused_percent: 10, unknown_percent: 20, ..Plan::default() };
        let seen = fates(plan.clone(), 10_000).await;
        assert_eq!(seen, fates(plan.clone(), 10_000).await);
        assert_ne!(seen, fates(Plan { seed: 8, ..plan }, 10_000).await);
        let share = |fate| seen.iter().filter(|seen| **seen == fate).count();
        for (fate, expected) in [
            (Fate::Refused, 1_000),
            (Fate::MadeUnknown, 1_000),
            (Fate::NotMadeUnknown, 1_000),
            (Fate::Made, 7_000),
        ] {
            assert!(share(fate).abs_diff(expected) < 200, "{fate:?}: {}", share(fate));
        }
    }

    #[tokio::test]
    async fn the_first_are_refused_and_then_it_goes_on() {
        let seen = fates(Plan { first: 3, ..Plan::default() }, 5).await;
        assert_eq!(seen, [[Fate::Refused; 3].as_slice(), &[Fate::Made; 2]].concat());
    }

    #[tokio::test]
    async fn a_delayed_call_waits_for_its_clock() {
        let clock = ManualClock::at(Wall::from_millis(0));
        let plan = Plan { delay: Some((clock.clone(), 100)), seed: 1, ..Plan::default() };
        let faulty = Faulty::new(Arc::new(()), plan);
        let mut waited = 0;
        for _ in 0..10 {
            let mut fate = Box::pin(faulty.faults.fate());
            while futures_util::poll!(&mut fate).is_pending() {
                clock.advance(1);
                waited += 1;
            }
        }
        assert!((100..1_000).contains(&waited), "{waited} ms");
        faulty.stop();
        assert!(futures_util::poll!(Box::pin(faulty.faults.fate())).is_ready());
    }
}
