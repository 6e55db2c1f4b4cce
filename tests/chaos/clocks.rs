//! The machine's clock is set a day ahead and back under load, and a day back, and restarts fall
//! in between: nothing is lost, and nothing waits for a day.

use std::path::Path;
use std::time::Duration;

use super::kills::{seed, show};
use super::world::World;

const DAY_MS: i64 = 86_400_000;
/// How long the load goes on under each setting of the clock.
const LASTS: Duration = Duration::from_secs(3);

fn set(clock: &Path, ahead_ms: i64) {
    // Whole or not at all: it is read at any moment.
    let draft = clock.with_extension("draft");
    std::fs::write(&draft, ahead_ms.to_string()).unwrap();
    std::fs::rename(draft, clock).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_jump_by_a_day_lose_nothing_and_stop_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let clock = folder.path().join("clock");
    set(&clock, 0);
    let armed = format!("clock={}", clock.display());
    let mut world = World::new(seed(), &armed, None).await;
    let load = world.load();
    for (ahead_ms, restarts) in [
        (0, false),
        (DAY_MS, false),
        (0, false),
        (-DAY_MS, false),
        (DAY_MS, true),
        (-DAY_MS, true),
        (0, false),
    ] {
        set(&clock, ahead_ms);
        if restarts {
            world.crash_next_at(&armed);
        }
        tokio::time::sleep(LASTS).await;
        println!("{ahead_ms} ms ahead: {}", world.figures());
    }
    let broken = world.settle(load).await;
    assert!(broken.is_empty(), "{}", show(&broken));
}
