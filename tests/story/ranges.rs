//! A processor asks for a range of time; the owner changes the rules while windows are open.

use std::io::Read as _;

use schemas::api::{BatchView, PolicyView, RequestedBatch, WindowState, WindowView};
use schemas::event::CloseReason;
use schemas::time::{EffectiveAt, WindowKind};

use super::person::Person;
use super::stage::{Stage, eventually};

const POOL: &str = "buoys";
const HOUR_MS: i64 = 3_600_000;
/// Exit code of a command that was refused.
const REFUSED: i32 = 1;
/// Exit code of a command that one may not give.
const FORBIDDEN: i32 = 4;

async fn push(person: &Person, at: EffectiveAt) {
    let name = format!("{}.txt", at.millis());
    std::fs::write(person.folder.join(&name), format!("level at {at}")).unwrap();
    person.says(["push", &name, "--at", &at.to_string()]).await;
}

/// Windows are hours that nobody's files close; files come of the last hours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_is_a_batch_beside_the_windows_and_new_rules_hold_from_the_next() {
    let stage = Stage::new(None);
    let owner = Person::signs_up(&stage, "olga", POOL).await;
    let rules =
        ["--set", "windows.kind=tumbling", "--set", "max_wait_ms=2d", "--set", "grace_ms=6h"];
    owner.says(["pool", "create", POOL, "--every", "1h"].into_iter().chain(rules)).await;
    let buoy = Person::joins(&stage, "buoy", &owner, "contributor").await;
    let worker = Person::joins(&stage, "worker", &owner, "processor").await;
    let now_ms = client::fresh::now().millis();
    let hour = |hours: i64| EffectiveAt::from_millis(now_ms - now_ms % HOUR_MS + hours * HOUR_MS);
    for minute in [0, 30, 59] {
        push(&buoy, EffectiveAt::from_millis(hour(-2).millis() + minute * 60_000)).await;
    }
    push(&buoy, hour(-1)).await;

    // From half past to the end of the next hour: two of the first hour's files, one of the second.
    let half_past = EffectiveAt::from_millis(hour(-2).millis() + 30 * 60_000);
    let range = ["batches", "--from", &half_past.to_string(), "--to", &hour(0).to_string()];
    let made: Vec<RequestedBatch> = worker.reads(range).await;
    assert_eq!((made[0].files, made[0].window.kind), (Some(3), WindowKind::Range));
    assert!(!made[0].repeated);
    buoy.ends_with(FORBIDDEN, range).await;
    let empty = ["batches", "--from", "1990-01-01T00:00:00Z", "--to", "1990-01-01T01:00:00Z"];
    worker.ends_with(REFUSED, empty).await;
    let batches: Vec<BatchView> = eventually("the batch is shown", async || {
        let batches: Vec<BatchView> = owner.reads(["batches"]).await;
        (!batches.is_empty()).then_some(batches)
    })
    .await;
    assert_eq!((batches.len(), batches[0].batch, batches[0].files), (1, made[0].batch, 3));
    let view: Vec<BatchView> = owner.reads(["batches", &made[0].batch.to_string()]).await;
    let closed = &view[0].revisions[0].closed;
    assert_eq!((closed.reason, closed.reported), (CloseReason::Requested, 1));

    // The range is worked on as any other batch, and shared; what a worker gets one by one, it can
    // have in one archive.
    let id = made[0].batch.to_string();
    let packed = worker.prints(0, ["batches", &id, "--tar"]).await;
    let mut archive = tar::Archive::new(packed.as_slice());
    let texts = archive.entries().unwrap().map(|entry| {
        let mut text = String::new();
        entry.unwrap().read_to_string(&mut text).unwrap();
        text
    });
    let texts = texts.collect::<Vec<_>>();
    let minutes = [30, 59, 60].map(|minute| hour(-2).millis() + minute * 60_000);
    let said = minutes.map(|at| format!("level at {}", EffectiveAt::from_millis(at)));
    assert_eq!(texts, said, "in the order of their times");
    buoy.ends_with(FORBIDDEN, ["batches", &id, "--tar"]).await;
    let all = "cat \"$SLUICE_INPUTS\"/* > \"$SLUICE_OUTPUT\"";
    worker.says(["work", "--once", "--exec", all, "--name", "range.txt"]).await;
    let received = buoy.receives(1, &[]).await;
    let result = &received[0].result;
    assert_eq!((result.batch, result.window.kind), (made[0].batch, WindowKind::Range));
    let bytes = std::fs::read_to_string(&received[0].path).unwrap();
    assert!(said.iter().all(|text| bytes.contains(text)) && bytes.len() == said.concat().len());

    // The windows have all their files; the rules change for the windows after those begun.
    let set = ["pool", "policy", "set", POOL, "--every", "1h", "--set", "count=2"];
    owner.ends_with(REFUSED, set.into_iter().chain(["--if-version", "7"])).await;
    let changed: Vec<PolicyView> = owner.reads(set.into_iter().chain(["--if-version", "1"])).await;
    assert_eq!((changed[0].version, changed[0].before), (2, Some(1)));
    assert!(changed[0].effective_from >= hour(1), "the hour that has begun is not cut");
    let shown: Vec<PolicyView> = owner.reads(["pool", "policy", "show", POOL]).await;
    assert_eq!(shown, changed);
    for minute in [1, 2] {
        push(&buoy, EffectiveAt::from_millis(hour(-1).millis() + minute * 60_000)).await;
    }
    let windows: Vec<WindowView> = owner.reads(["pool", "windows", POOL]).await;
    let told = windows.iter().map(|w| (w.window.start, w.files, w.state, w.policy_version));
    let open = WindowState::Open;
    assert_eq!(told.collect::<Vec<_>>(), [(hour(-1), 3, open, 1), (hour(-2), 3, open, 1)]);
    stage.end();
}
