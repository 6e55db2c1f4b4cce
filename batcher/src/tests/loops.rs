//! What the loop must do whenever it is ended, doubled or lied to.

use infra::log::{Append as _, Draft};
use schemas::event::{Body as _, Derived, Event, SemanticsRaised, UploadReceived};
use schemas::time::{StoredAt, Wall};
use schemas::topic::Topic;

use super::world::{World, name, policy};
use crate::fold::{Input, State, step};
use crate::record;

fn kinds(derived: &[Derived]) -> Vec<&'static str> {
    let short =
        |body: &Derived| body.type_name().trim_start_matches("sluice.").trim_end_matches(".v1");
    derived.iter().map(short).collect()
}

#[tokio::test]
async fn what_follows_is_written_and_can_be_verified() {
    let world = World::new().await;
    let batcher = world.batcher().await;
    world.pool("one", policy(|ask| ask.count = Some(2))).await;
    world.file("one", 1, 1, 1_000).await;
    world.file("one", 2, 2, 2_000).await;
    world.until("one", "batch.ready", 1).await;
    batcher.stop().await;
    let derived = world.derived("one").await;
    assert_eq!(
        kinds(&derived),
        [
            "pool.policy-changed",
            "member.added",
            "member.added",
            "member.added",
            "window.opened",
            "file.placed",
            "file.placed",
            "manifest.page",
            "batch.ready"
        ]
    );
    let verified = world.verified("one").await;
    assert_eq!((verified.events, verified.equal, verified.missing), (5, 9, 0), "{verified:?}");
    assert_eq!(verified.differs, None);
}

#[tokio::test]
async fn an_idle_window_closes_by_the_logs_clock() {
    let world = World::new().await;
    let batcher = world.batcher().await;
    world.pool("one", policy(|_| ())).await;
    world.file("one", 1, 1, 1_000).await;
    world.until("one", "file.placed", 1).await;
    world.clock.advance(129_999);
    // Client 2 is heard of late files only: it has not passed the window's end.
    world.file("one", 2, 2, 2_000).await;
    world.file("one", 3, 1, 129_000).await;
    world.until("one", "file.placed", 3).await;
    assert!(!kinds(&world.derived("one").await).contains(&"batch.ready"));
    world.clock.advance(1);
    world.until("one", "batch.ready", 1).await;
    batcher.stop().await;
    assert_eq!(world.verified("one").await.differs, None);
}

#[tokio::test]
async fn a_restart_goes_on_where_the_output_ended() {
    let world = World::new().await;
    world.pool("one", policy(|ask| ask.count = Some(2))).await;
    for round in 0..10_u128 {
        let batcher = world.batcher().await;
        let at = i64::try_from(round).unwrap() * 100;
        world.file("one", 2 * round + 1, 1, at).await;
        if round % 2 == 0 {
            batcher.kill().await;
            world.file("one", 2 * round + 2, 2, at).await;
        } else {
            world.file("one", 2 * round + 2, 2, at).await;
            world.until("one", "batch.ready", usize::try_from(round).unwrap() + 1).await;
            batcher.stop().await;
        }
    }
    let batcher = world.batcher().await;
    world.until("one", "batch.ready", 10).await;
    batcher.stop().await;
    let verified = world.verified("one").await;
    assert_eq!((verified.differs, verified.copies, verified.missing), (None, 0, 0));
}

#[tokio::test]
async fn two_batchers_at_once_change_nothing() {
    let world = World::new().await;
    world.pool("one", policy(|ask| ask.count = Some(3))).await;
    let [first, second] = [world.batcher().await, world.batcher().await];
    for upload in 1..=60 {
        world.file("one", upload, upload % 2 + 1, 1_000).await;
    }
    world.until("one", "batch.ready", 20).await;
    first.stop().await;
    second.stop().await;
    let ready = kinds(&world.derived("one").await);
    assert_eq!(ready.iter().filter(|kind| **kind == "batch.ready").count(), 20);
    let verified = world.verified("one").await;
    assert_eq!((verified.differs, verified.missing), (None, 0));
    assert!(verified.copies > 0, "both wrote: the test would show nothing otherwise");
}

#[tokio::test]
async fn a_torn_tail_is_completed() {
    let world = World::new().await;
    world.pool("one", policy(|ask| ask.count = Some(1))).await;
    world.file("one", 1, 1, 1_000).await;
    // What a batcher would write that died in the middle of the last event's outputs.
    let (mut state, mut outputs) = (State::default(), Vec::new());
    for record in world.records(&Topic::events(&name("one"))).await {
        let (event, _) = schemas::wire::decode::<Event>(&record.value).unwrap();
        step(&mut state, Input { offset: record.offset, at: record.at, event }, &mut outputs);
    }
    let all = outputs.len();
    for output in outputs.iter().take(all - 2) {
        let draft = record::draft(&name("one"), state.pool_id(), output);
        world.append(&Topic::batches(&name("one")), draft).await;
    }
    let batcher = world.batcher().await;
    world.until("one", "batch.ready", 1).await;
    batcher.stop().await;
    assert_eq!(world.records(&Topic::batches(&name("one"))).await.len(), all);
    assert_eq!(world.verified("one").await.differs, None);
}

#[tokio::test]
async fn a_pool_that_cannot_be_folded_halts_and_the_others_go_on() {
    let world = World::new().await;
    let batcher = world.batcher().await;
    for pool in ["good", "poisoned", "newer"] {
        world.pool(pool, policy(|ask| ask.count = Some(1))).await;
    }
    world.say(&name("newer"), SemanticsRaised { semantics: 99 }).await;
    let said = infra::directory::said("/", Wall::default());
    let mut poison = Draft::new("", &Event::from(SemanticsRaised { semantics: 1 }), said);
    poison.value = bytes::Bytes::from_static(b"not a CloudEvent");
    world.append(&Topic::events(&name("poisoned")), poison).await;
    for pool in ["good", "poisoned", "newer"] {
        world.file(pool, 1, 1, 1_000).await;
    }
    world.until("good", "batch.ready", 1).await;
    for pool in ["poisoned", "newer"] {
        assert!(!kinds(&world.derived(pool).await).contains(&"file.placed"), "{pool} halted");
    }
    let halted = || batcher.metrics.halted.get();
    while halted() < 2 {
        tokio::task::yield_now().await;
    }
    batcher.stop().await;
}

#[tokio::test]
async fn a_snapshot_spares_the_beginning() {
    let world = World::new().await;
    world.pool("one", policy(|ask| ask.count = Some(100))).await;
    let batcher = world.batcher().await;
    let draft = |upload: u128| {
        let stored_at = StoredAt::from_millis(crate::fold::tests::BASE);
        let file = crate::fold::tests::file(upload, upload % 2 + 1, 1_000);
        let event = Event::from(UploadReceived { file, stored_at });
        Draft::new("", &event, infra::directory::said("/", Wall::default()))
    };
    for hundred in 0..101 {
        let drafts = (1..=100).map(|n| draft(hundred * 100 + n)).collect();
        world.log.append(&Topic::events(&name("one")), drafts).await.unwrap();
    }
    world.until("one", "batch.ready", 100).await;
    while batcher.metrics.snapshots.get() == 0 {
        tokio::task::yield_now().await;
    }
    batcher.stop().await;
    let batcher = world.batcher().await;
    world.file("one", 20_000, 1, 1_000).await;
    world.until("one", "file.placed", 10_101).await;
    let folded = batcher.metrics.folded.get();
    assert!(folded < 200, "{folded} events were folded again");
    batcher.stop().await;
    assert_eq!(world.verified("one").await.differs, None);
}
