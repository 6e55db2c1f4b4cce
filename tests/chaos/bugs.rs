//! Planted bugs, one after another: of each the oracle must complain, or it proves nothing.

use std::time::Duration;

use super::kills::show;
use super::world::World;

/// A bug, what else is armed so that it does harm, and what the oracle has to say of it.
struct Planted {
    bug: &'static str,
    /// A crash at the moment at which the bug does harm; else the server is killed at random.
    crash: Option<&'static str>,
    shows: &'static str,
}

const fn planted(bug: &'static str, crash: Option<&'static str>, shows: &'static str) -> Planted {
    Planted { bug, crash, shows }
}

/// Every bug there is.
const PLANTED: &[Planted] = &[
    planted("answer-before-sync", None, "has no bytes"),
    planted("ack-before-commit", Some("log.before-commit"), "is lost"),
    planted("event-before-bytes", Some("ingest.after-append"), "has no bytes"),
    planted("offset-before-effect", Some("views.before-rows"), "tables differ"),
    planted("duplicate-not-dropped", None, "twice"),
    planted("close-by-wall-clock", None, "a replay differs"),
    planted("epoch-ignored", None, "stale worker's result"),
    planted("late-dropped", None, "is lost"),
];

/// Ends the server at a passing of this point, each time a later one: not at each is there something
/// to lose.
async fn crash(world: &mut World, bug: &str, point: &str) {
    for passing in PASSINGS {
        world.crash_next_at(&format!("bug={bug} crash={point}:{passing}"));
        assert!(world.dies().await, "{point} is never reached");
    }
    world.begin_again(&format!("bug={bug}"));
}

const PASSINGS: std::ops::Range<u32> = 20..28;
/// Kills per bug that needs no crash at one moment.
const KILLS: u64 = 6;

/// How long a system with a bug may take to come to rest, which it may never do.
const QUIET_MAX: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oracle_complains_of_every_planted_bug() {
    let named: Vec<_> = PLANTED.iter().map(|planted| planted.bug).collect();
    let all: Vec<_> = infra::faults::BUGS.iter().map(|(name, _)| *name).collect();
    assert_eq!(named, all, "each bug has its row here");
    for (seed, planted) in (0..).zip(PLANTED) {
        let bug = format!("bug={}", planted.bug);
        let mut world = World::new(seed, &bug, None).await;
        if planted.bug == "epoch-ignored" {
            // A stale result does harm only while another worker holds the newer lease.
            world.asleep_percent = 60;
        }
        let load = world.load();
        match planted.crash {
            Some(point) => crash(&mut world, planted.bug, point).await,
            None => world.kill(KILLS).await,
        }
        let broken = world.settle_within(load, QUIET_MAX).await;
        let found: Vec<_> =
            broken.iter().filter(|violation| violation.what.contains(planted.shows)).collect();
        let said = found.first().unwrap_or_else(|| panic!("{}: {}", planted.bug, show(&broken)));
        println!("{}: {} such violations, the first: {said}", planted.bug, found.len());
    }
}
