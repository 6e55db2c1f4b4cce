//! What the tables knew of a window a moment ago: many uploads into one window ask the same.
//!
//! An answer is given again while the tables have not moved on, and never for long: another process
//! may be moving them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use infra::clock::Clock;
use infra::known::KnownPart;
use infra::views::Result;
use schemas::name::PoolName;
use schemas::time::Window;
use tokio::sync::Mutex as Turn;

/// Longest that an answer is given again.
const AGE_MAX: Duration = Duration::from_millis(50);
/// Windows that are remembered; beyond it all are forgotten.
const WINDOWS_MAX: usize = 1_000;

/// An answer, and when the tables gave it.
#[derive(Clone, Copy, Debug)]
struct Look {
    version: u64,
    at: Duration,
    part: Option<KnownPart>,
}

/// One window's: whoever asks while it is being looked up waits for that.
type Slot = Arc<Turn<Option<Look>>>;

/// The windows asked for lately.
pub(crate) struct Parts {
    clock: Arc<dyn Clock>,
    windows: Mutex<HashMap<(PoolName, Window), Slot>>,
}

impl Parts {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, windows: Mutex::default() }
    }

    /// The answer for a window: the last one if the tables are where they were then, else `look`'s.
    pub(crate) async fn get(
        &self,
        pool: &PoolName,
        window: &Window,
        version: impl Fn() -> u64,
        look: impl Future<Output = Result<Option<KnownPart>>>,
    ) -> Result<Option<KnownPart>> {
        let slot = self.slot(pool, window);
        let mut last = slot.lock().await;
        // Before the look: what it sees may be newer, never older.
        let (version, at) = (version(), self.clock.uptime());
        if let Some(last) = *last
            && last.version == version
            && at.saturating_sub(last.at) < AGE_MAX
        {
            return Ok(last.part);
        }
        let part = look.await?;
        *last = Some(Look { version, at, part });
        Ok(part)
    }

    fn slot(&self, pool: &PoolName, window: &Window) -> Slot {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= WINDOWS_MAX {
            windows.clear();
        }
        Arc::clone(windows.entry((pool.clone(), *window)).or_default())
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use infra::clock::ManualClock;
    use schemas::time::{EffectiveAt, Wall, WindowKind};
    use std::cell::Cell;

    #[tokio::test]
    async fn an_answer_holds_while_the_tables_stand_still_and_never_for_long() {
        let clock = ManualClock::at(Wall::from_millis(1));
        let parts = Parts::new(Arc::<ManualClock>::clone(&clock));
        let pool: PoolName = "tests".parse().unwrap();
        let end = EffectiveAt::from_millis(60_000);
        let window = Window { start: EffectiveAt::from_millis(0), end, kind: WindowKind::Grid };
        let (looks, version) = (Cell::new(0), Cell::new(1));
        let get = || {
            let look = async {
                looks.set(looks.get() + 1);
                Ok(Some(KnownPart { files: looks.get(), closed: false }))
            };
            parts.get(&pool, &window, || version.get(), look)
        };
        let files = |known: Result<Option<KnownPart>>| known.unwrap().map(|part| part.files);
        assert_eq!(files(get().await), Some(1));
        assert_eq!(files(get().await), Some(1), "the tables stand still");
        version.set(2);
        assert_eq!(files(get().await), Some(2), "they have moved on");
        clock.advance(50);
        assert_eq!(files(get().await), Some(3), "another process may have moved them");
    }
}
