//! SIGKILL at random moments under load, crash points one by one, planted bugs one by one.

use super::judge::Violation;
use super::world::World;

/// Kills in the run of every test; `make chaos` takes more.
const KILLS: u64 = 60;

/// A number from the environment.
#[allow(clippy::disallowed_methods, reason = "a run may be given its seed and its length")]
fn given(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// The seed of a run: from the environment, or the clock. Printed, so that it can be repeated.
pub(super) fn seed() -> u64 {
    let seed = given("SLUICE_SEED")
        .unwrap_or_else(|| client::fresh::now().millis().unsigned_abs() % 1_000_000);
    println!("seed {seed}: repeat with SLUICE_SEED={seed}");
    seed
}

pub(super) fn show(broken: &[Violation]) -> String {
    let lines: Vec<_> = broken.iter().take(20).map(ToString::to_string).collect();
    format!("{} violations:\n{}", broken.len(), lines.join("\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_whenever_the_server_is_killed() {
    let kills = given("SLUICE_KILLS").unwrap_or(KILLS);
    let mut world = World::new(seed(), "", None).await;
    let load = world.load();
    world.kill(kills).await;
    println!("{kills} kills: {}", world.figures());
    let broken = world.settle(load).await;
    assert!(broken.is_empty(), "{}", show(&broken));
}
