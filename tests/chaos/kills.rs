//! SIGKILL at random moments under load, crash points one by one, planted bugs one by one.

use super::judge::Violation;
use super::world::World;

/// Kills in the run of every test; `make chaos` takes more.
const KILLS: u32 = 60;

/// The seed of a run: from the environment, or the clock. Printed, so that it can be repeated.
#[allow(clippy::disallowed_methods, reason = "a run may be given its seed")]
fn seed() -> u64 {
    let given = std::env::var("SLUICE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| client::fresh::now().millis().unsigned_abs() % 1_000_000);
    println!("seed {seed}: repeat with SLUICE_SEED={seed}");
    seed
}

fn show(broken: &[Violation]) -> String {
    let lines: Vec<_> = broken.iter().take(20).map(ToString::to_string).collect();
    format!("{} violations:\n{}", broken.len(), lines.join("\n"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_whenever_the_server_is_killed() {
    let mut world = World::new(seed(), "", None).await;
    let load = world.load();
    world.kill(KILLS).await;
    println!("{KILLS} kills: {}", world.figures());
    let broken = world.settle(load).await;
    assert!(broken.is_empty(), "{}", show(&broken));
}
