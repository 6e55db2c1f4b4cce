//! Files that lie near each other are one batch, however many come and whenever.

use schemas::api::{BatchView, UploadState, UploadView, WindowState, WindowView};
use schemas::event::CloseReason;
use schemas::time::{EffectiveAt, WindowKind};

use super::person::Person;
use super::stage::{Stage, eventually};

const POOL: &str = "gusts";

async fn push(person: &Person, begin: EffectiveAt, second: u64) {
    let name = format!("{second}.txt");
    std::fs::write(person.folder.join(&name), format!("gust at {second}")).unwrap();
    person.says(["push", &name, "--at", &begin.plus(second * 1_000).to_string()]).await;
}

/// Where a file of a person is: its state, whether it was late, and its window in seconds.
async fn place(person: &Person, begin: EffectiveAt, second: u64) -> (UploadState, bool, u64, u64) {
    let history: Vec<UploadView> = person.reads(["history"]).await;
    let name = format!("{second}.txt");
    let view = history.iter().find(|view| view.name.as_str() == name).unwrap();
    assert_eq!(view.window.kind, WindowKind::Gap);
    assert_eq!(view.batch.is_none(), view.state == UploadState::Gathering);
    let seconds = |at: EffectiveAt| at.since(begin) / 1_000;
    (view.state, view.late, seconds(view.window.start), seconds(view.window.end))
}

/// Batches as their windows' seconds, revision, files and reason of the newest revision.
async fn batches(person: &Person, begin: EffectiveAt) -> Vec<(u64, u32, u32, CloseReason)> {
    let mut told = Vec::new();
    let batches: Vec<BatchView> = person.reads(["batches"]).await;
    for batch in &batches {
        let whole: Vec<BatchView> = person.reads(["batches", &batch.batch.to_string()]).await;
        let reason = whole[0].revisions.last().unwrap().closed.reason;
        let start = batch.window.start.since(begin) / 1_000;
        told.push((start, batch.revision, batch.files, reason));
    }
    told.sort_by_key(|(start, ..)| *start);
    told
}

/// Ten seconds from gust to gust, a minute in all. Times are seconds of an hour ago; the one client
/// that there is tells how far time has got, less six seconds of disorder and twelve of grace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_near_each_other_are_one_batch() {
    use UploadState::{Batched, Gathering};
    let mut stage = Stage::new(None);
    let owner = Person::signs_up(&stage, "gale", POOL).await;
    owner.ends_with(1, ["pool", "create", POOL, "--set", "windows.kind=gap"]).await;
    let rules = ["windows.kind=gap", "windows.gap_ms=10s", "windows.max_span_ms=1m"];
    let more = ["max_wait_ms=2m", "late_debounce_ms=100"];
    let rules = rules.iter().chain(&more).flat_map(|rule| ["--set", rule]);
    owner.says(["pool", "create", POOL].into_iter().chain(rules)).await;
    let mast = Person::joins(&stage, "mast", &owner, "contributor").await;
    let begin = EffectiveAt::from_millis(client::fresh::now().millis() - 60_000);

    push(&mast, begin, 20).await;
    push(&mast, begin, 25).await;
    let windows: Vec<WindowView> = eventually("both are seen to gather", async || {
        let windows: Vec<WindowView> = owner.reads(["pool", "windows", POOL]).await;
        windows.first().is_some_and(|window| window.files == 2).then_some(windows)
    })
    .await;
    let group = &windows[0];
    assert_eq!((windows.len(), group.state, group.batch), (1, WindowState::Gathering, None));
    assert_eq!((group.reported, group.missing_count), (1, 0));
    let when = group.closes_when.as_deref().unwrap();
    assert!(when.contains("no file may come within 10.000 s of its last"), "{when}");
    assert_eq!(group.closes_next.unwrap().because, CloseReason::MaxWait);
    assert_eq!(place(&mast, begin, 25).await, (Gathering, false, 10, 35));

    // What gathers is in the log: another process goes on with it.
    stage.without_server(async {}).await;
    push(&mast, begin, 54).await;
    eventually("the first group is a batch", async || {
        (place(&mast, begin, 20).await == (Batched, false, 10, 35)).then_some(())
    })
    .await;
    assert_eq!(place(&mast, begin, 54).await, (Gathering, false, 44, 64));
    assert_eq!(batches(&owner, begin).await, [(10, 1, 2, CloseReason::WindowEnd)]);

    // Late: one that lies in the window of the batch, and one that lies in none.
    push(&mast, begin, 12).await;
    push(&mast, begin, 0).await;
    eventually("both are in a batch", async || {
        let places = (place(&mast, begin, 12).await, place(&mast, begin, 0).await);
        (places == ((Batched, true, 10, 35), (Batched, true, 0, 10))).then_some(())
    })
    .await;

    owner.says(["pool", "close", POOL]).await;
    eventually("the last group is a batch", async || {
        (place(&mast, begin, 54).await == (Batched, false, 44, 64)).then_some(())
    })
    .await;
    let expected = [
        (0, 1, 1, CloseReason::Late),
        (10, 2, 3, CloseReason::Late),
        (44, 1, 1, CloseReason::Asked),
    ];
    assert_eq!(batches(&owner, begin).await, expected);
    let windows: Vec<WindowView> = owner.reads(["pool", "windows", POOL]).await;
    assert!(windows.iter().all(|window| window.state != WindowState::Gathering), "{windows:?}");
    stage.end();
}
