//! A crash at every boundary of an append, a put and a sync: each is reached, and nothing is lost.

use super::kills::{seed, show};
use super::world::World;

/// Passings of a point before the crash, at most: each has to be reached within a moment.
const PASSINGS_MAX: u64 = 12;

/// Points that are passed once in a while only.
const RARE: &[&str] = &[
    "batcher.before-snapshot",
    "batcher.after-snapshot",
    "batcher.torn-append",
    "kept.before-commit",
    "kept.after-commit",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_at_any_crash_point() {
    let mut random = crate::random::Random::new(seed());
    let mut world = World::new(random.next(), "", None).await;
    let load = world.load();
    for point in infra::faults::CRASH_POINTS {
        let passings = if RARE.contains(point) { 1 } else { random.within(1..PASSINGS_MAX) };
        world.crash_next_at(&format!("crash={point}:{passings}"));
        assert!(world.dies().await, "{point} is never reached");
        println!("{point}: crashed at passing {passings}");
    }
    world.begin_again("");
    let broken = world.settle(load).await;
    assert!(broken.is_empty(), "{}", show(&broken));
}
