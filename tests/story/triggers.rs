//! Every trigger, and what the server says of it: what would close a part while it is open, and
//! then why it closed, who had reported and who was missing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use client::{Client, PageAsk, Progress, Source, Upload};
use schemas::api::{CreatePool, RequestBatch, WindowState, WindowView};
use schemas::event::CloseReason::{
    Archived, Asked, BelowMinimum as Below, Bytes, Count, Late, MaxWait, PartFull, Quorum,
    Requested, Schedule, WindowEnd,
};
use schemas::event::{CloseReason, OpenWindows};
use schemas::id::AccountId;
use schemas::name::PoolName;
use schemas::policy::{BelowMinimum, PolicyAsk, QuorumOf, WindowsAsk};
use schemas::role::{Role, RoleSet};
use schemas::time::{EffectiveAt, ObservedAt};

use super::stage::SOON;
use crate::server::{Server, Setup};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// A server whose clock can be set ahead, an owner, a processor and three contributors.
struct Stand {
    server: Server,
    clock: PathBuf,
    owner: Client,
    worker: Client,
    people: [(AccountId, Client); 3],
    processor: AccountId,
    /// The hour whose windows are looked at: it ended over an hour ago.
    hour: EffectiveAt,
}

fn set(clock: &Path, ahead_ms: u64) {
    let draft = clock.with_extension("draft");
    std::fs::write(&draft, ahead_ms.to_string()).unwrap();
    std::fs::rename(draft, clock).unwrap();
}

/// Windows are hours; two hours may pass until a silent client is waited for no longer.
fn rules() -> PolicyAsk {
    PolicyAsk {
        windows: Some(WindowsAsk::Tumbling { period_ms: Some(HOUR_MS), origin: None }),
        update_every_ms: Some(HOUR_MS),
        quantile_permille: Some(1_000),
        disorder_ms: Some(0),
        activity_ms: Some(90 * HOUR_MS),
        grace_ms: Some(5 * MINUTE_MS),
        max_wait_ms: Some(4 * HOUR_MS),
        late_debounce_ms: Some(100),
        ..PolicyAsk::default()
    }
}

/// Asks until there is an answer.
async fn eventually<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let answer = tokio::time::timeout(SOON, asking).await;
    answer.unwrap_or_else(|_| panic!("not after {SOON:?}: {what}"))
}

impl Stand {
    async fn new(folder: &Path) -> Self {
        let clock = folder.join("clock");
        set(&clock, 0);
        let setup = Setup::new(&folder.join("data")).faults(format!("clock={}", clock.display()));
        let server = Server::start(setup);
        let anyone = server.client();
        let enter = async |name: &str| {
            let name = name.parse().unwrap();
            let account = anyone.sign_up(&name, "a long password").await.unwrap().user_id;
            (account, anyone.clone().signing_in(name, "a long password"))
        };
        let (_, owner) = enter("owner").await;
        let (processor, worker) = enter("worker").await;
        let people = [enter("ann").await, enter("ben").await, enter("cat").await];
        let now_ms = u64::try_from(client::fresh::now().millis()).unwrap();
        let hour = EffectiveAt::default().plus(now_ms - now_ms % HOUR_MS - 2 * HOUR_MS);
        Self { server, clock, owner, worker, people, processor, hour }
    }

    /// The longest that the hour's window waits.
    fn latest(&self) -> String {
        self.hour.plus(5 * HOUR_MS + 5 * MINUTE_MS).to_string()
    }

    /// A pool with these rules, and all the people in it.
    async fn pool(&self, name: &str, change: impl FnOnce(&mut PolicyAsk)) -> PoolName {
        let (pool, mut policy): (PoolName, _) = (name.parse().unwrap(), rules());
        change(&mut policy);
        self.owner.create_pool(&CreatePool { name: pool.clone(), policy }).await.unwrap();
        let contributor = RoleSet::of(&[Role::Contributor]);
        for (account, _) in &self.people {
            self.owner.add_member(&pool, *account, contributor).await.unwrap();
        }
        let processor = RoleSet::of(&[Role::Processor]);
        self.owner.add_member(&pool, self.processor, processor).await.unwrap();
        pool
    }

    /// A file of five bytes of somebody, of a minute of the hour.
    async fn file(&self, pool: &PoolName, person: usize, minute: i64) {
        let at = self.hour.millis() + minute * i64::try_from(MINUTE_MS).unwrap();
        let name = format!("{person}-{minute}.txt").parse().unwrap();
        let mut upload = Upload::new(name, Source::bytes("12345"));
        upload.observed_at = Some(ObservedAt::from_millis(at));
        self.people[person].1.upload(pool, &upload, &Progress::none()).await.unwrap();
    }

    async fn windows(&self, pool: &PoolName) -> Vec<WindowView> {
        self.owner.windows(pool, &PageAsk::default()).await.unwrap().items
    }

    /// The part of a pool's hour, once it is as it should be.
    async fn part(
        &self,
        pool: &PoolName,
        number: u32,
        is: impl Fn(&WindowView) -> bool,
    ) -> WindowView {
        eventually(&format!("part {number} of {pool}"), async || {
            let mut windows = self.windows(pool).await.into_iter();
            windows.find(|window| {
                window.window.start == self.hour && window.part == number && is(window)
            })
        })
        .await
    }

    /// The hour's part while it is open, with so many files: what is said to close it, and next.
    async fn open(&self, pool: &PoolName, files: u32, words: &[&str], next: CloseReason) {
        let is_open =
            |window: &WindowView| window.state == WindowState::Open && window.files == files;
        let view = self.part(pool, 1, is_open).await;
        let when = view.closes_when.unwrap();
        for words in words {
            assert!(when.contains(words), "{pool}: {words:?} is not in {when:?}");
        }
        let because = view.closes_next.unwrap_or_else(|| panic!("{pool}: nothing comes")).because;
        assert_eq!(because, next, "{pool}");
    }

    /// The hour's part once it has closed: why, and who of the three had reported, the same as its
    /// batch says.
    async fn closed(&self, pool: &PoolName, reason: CloseReason, reported: &[usize]) {
        let is_closed = |window: &WindowView| window.state == WindowState::Closed;
        let view = self.part(pool, 1, is_closed).await;
        let mut missing: Vec<AccountId> = (0..self.people.len())
            .filter(|person| !reported.contains(person))
            .map(|person| self.people[person].0)
            .collect();
        missing.sort_unstable();
        assert_eq!(view.closed_because, Some(reason), "{pool}");
        assert_eq!((view.reported as usize, &view.missing), (reported.len(), &missing), "{pool}");
        assert_eq!((view.closes_when, view.closes_next), (None, None), "{pool}");
        let batch = self.owner.batch(pool, view.batch.unwrap()).await.unwrap();
        let closed = &batch.revisions[0].closed;
        assert_eq!((closed.reason, &closed.missing), (reason, &missing), "{pool}");
        let counts = (closed.expected, closed.missing_count, closed.reported as usize);
        assert_eq!(counts, (3, u32::try_from(missing.len()).unwrap(), reported.len()), "{pool}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_trigger_says_why_and_who_and_what_is_next() {
    let folder = tempfile::tempdir().unwrap();
    let mut stand = Stand::new(folder.path()).await;
    its_end_a_late_file_and_a_range(&stand).await;
    what_is_in_it(&stand).await;
    who_is_in_it(&stand).await;
    somebody_asks(&stand).await;
    time_passes(&stand).await;
    assert!(stand.server.stop().is_some_and(|status| status.success()));
}

/// The end and its grace, by the two that are active; then a late file, then a range on request.
async fn its_end_a_late_file_and_a_range(stand: &Stand) {
    let ends = stand.pool("ends", |_| ()).await;
    stand.file(&ends, 0, 10).await;
    stand.file(&ends, 1, 20).await;
    let end = stand.hour.plus(HOUR_MS + 5 * MINUTE_MS).to_string();
    let latest = stand.latest();
    let active = format!("100 % of the active contributors have passed {end}");
    let words = [&*active, &*latest, "an admin or the external server asks"];
    stand.open(&ends, 2, &words, MaxWait).await;
    stand.file(&ends, 0, 66).await;
    stand.file(&ends, 1, 66).await;
    stand.closed(&ends, WindowEnd, &[0, 1]).await;
    stand.file(&ends, 2, 30).await;
    let amended = eventually("the late file amends", async || {
        let part = stand.part(&ends, 1, |_| true).await;
        let batch = stand.owner.batch(&ends, part.batch?).await.unwrap();
        (batch.revision == 2).then_some(batch)
    })
    .await;
    let reasons: Vec<_> =
        amended.revisions.iter().map(|r| (r.closed.reason, r.closed.files)).collect();
    assert_eq!(reasons, [(WindowEnd, 2), (Late, 3)]);
    let (from, to) = (stand.hour, stand.hour.plus(25 * MINUTE_MS));
    let range = RequestBatch { request: None, from, to };
    let range = stand.worker.request_batch(&ends, &range).await.unwrap();
    let range = eventually("the range is shown", async || {
        stand.worker.batch(&ends, range.batch).await.ok()
    })
    .await;
    let closed = &range.revisions[0].closed;
    assert_eq!((closed.reason, closed.files, closed.reported), (Requested, 2, 2));
}

async fn what_is_in_it(stand: &Stand) {
    let counts = stand.pool("counts", |ask| ask.count = Some(2)).await;
    stand.file(&counts, 0, 10).await;
    stand.open(&counts, 1, &["it has 2 files (1 now, 1 missing)"], MaxWait).await;
    stand.file(&counts, 2, 11).await;
    stand.closed(&counts, Count, &[0, 2]).await;

    let bytes = stand.pool("bytes", |ask| ask.bytes = Some(8)).await;
    stand.file(&bytes, 1, 10).await;
    stand.open(&bytes, 1, &["it has 8 bytes (5 now, 3 missing)"], MaxWait).await;
    stand.file(&bytes, 1, 11).await;
    stand.closed(&bytes, Bytes, &[1]).await;

    let full = stand.pool("full", |ask| ask.part_files_max = Some(2)).await;
    stand.file(&full, 0, 10).await;
    stand.file(&full, 0, 11).await;
    stand.closed(&full, PartFull, &[0]).await;
}

async fn who_is_in_it(stand: &Stand) {
    let expected = stand.pool("expected", |ask| ask.quorum_permille = Some(600)).await;
    stand.file(&expected, 0, 10).await;
    let words = ["60 % of the contributors have a file in it (1 now, 1 missing)"];
    stand.open(&expected, 1, &words, MaxWait).await;
    stand.file(&expected, 2, 10).await;
    stand.closed(&expected, Quorum, &[0, 2]).await;

    let active = stand.pool("active", |ask| ask.quorum_of = Some(QuorumOf::Active)).await;
    stand.file(&active, 1, 10).await;
    stand.closed(&active, Quorum, &[1]).await;
    stand.file(&active, 0, 11).await;
    let second = stand.part(&active, 2, |window| window.files == 1).await;
    let when = second.closes_when.unwrap();
    assert!(when.contains("100 % of the active contributors have a file in it (1 now)"), "{when}");
}

async fn somebody_asks(stand: &Stand) {
    for (name, asks) in [("admin", &stand.owner), ("server", &stand.worker)] {
        let asked = stand.pool(name, |_| ()).await;
        stand.file(&asked, 0, 10).await;
        stand.open(&asked, 1, &["an admin or the external server asks"], MaxWait).await;
        asks.close_window(&asked, None).await.unwrap();
        stand.closed(&asked, Asked, &[0]).await;
    }
    let archived = stand.pool("archived", |_| ()).await;
    stand.file(&archived, 0, 10).await;
    stand.open(&archived, 1, &[], MaxWait).await;
    stand.owner.archive(&archived, OpenWindows::Close).await.unwrap();
    stand.closed(&archived, Archived, &[0]).await;
}

async fn time_passes(stand: &Stand) {
    let scheduled = stand.pool("scheduled", |ask| ask.schedule = Some("* * * * *".into())).await;
    stand.file(&scheduled, 0, 10).await;
    let is_open = |window: &WindowView| window.state == WindowState::Open;
    let minimum = |then| {
        move |ask: &mut PolicyAsk| {
            (ask.min_files, ask.min_then) = (Some(3), Some(then));
        }
    };
    let waits = stand.pool("waits", |_| ()).await;
    let partial = stand.pool("partial", minimum(BelowMinimum::Partial)).await;
    let skip = stand.pool("skip", minimum(BelowMinimum::Skip)).await;
    let carry = stand.pool("carry", minimum(BelowMinimum::Carry)).await;
    stand.file(&waits, 0, 10).await;
    stand.open(&waits, 1, &[&stand.latest()], MaxWait).await;
    for pool in [&partial, &skip, &carry] {
        stand.file(pool, 0, 10).await;
        let words = ["with fewer than 3 files or 1 clients it is held back"];
        stand.open(pool, 1, &words, Below).await;
    }
    if let Some(part) = stand.windows(&scheduled).await.into_iter().find(is_open) {
        let when = part.closes_when.unwrap();
        assert!(when.contains("the schedule * * * * * says so (UTC, next "), "{when}");
        assert_eq!(part.closes_next.unwrap().because, Schedule);
    }
    set(&stand.clock, MINUTE_MS);
    stand.closed(&scheduled, Schedule, &[0]).await;
    set(&stand.clock, 8 * HOUR_MS);
    stand.closed(&waits, MaxWait, &[0]).await;
    stand.closed(&partial, Below, &[0]).await;
    let is_skipped = |window: &WindowView| window.state == WindowState::Skipped;
    let skipped = stand.part(&skip, 1, is_skipped).await;
    assert_eq!((skipped.files, skipped.reported), (1, 1));
    // Files of hours to come, by the clock that was set ahead: the first waits for them.
    for (person, minute) in [(0, 8 * 60), (1, 8 * 60 + 1)] {
        stand.file(&carry, person, minute).await;
    }
    let is_carried = |window: &WindowView| window.state == WindowState::Carried;
    stand.part(&carry, 1, is_carried).await;
    let next = eventually("the next window has it", async || {
        let mut windows = stand.windows(&carry).await.into_iter();
        windows.find(|window| window.window.start > stand.hour && window.files == 3)
    })
    .await;
    assert_eq!((next.reported, next.missing_count), (2, 1));
    let states: BTreeMap<_, _> = history(stand, &[&skip, &carry]).await;
    assert_eq!(states[&skip], [("skipped".to_owned(), None)]);
    assert!(
        states[&carry].iter().all(|(state, batch)| state == "accepted" && *batch == next.batch)
    );
}

type Places = Vec<(String, Option<schemas::id::BatchId>)>;

/// Where the files of the first person are: states, and batches unless they were skipped.
async fn history(stand: &Stand, pools: &[&PoolName]) -> BTreeMap<PoolName, Places> {
    let (account, client) = &stand.people[0];
    let mut places = BTreeMap::new();
    for pool in pools {
        let page = client.history(pool, *account, &PageAsk::default()).await.unwrap();
        let place = |view: &schemas::api::UploadView| {
            let state = serde_json::to_value(view.state).unwrap();
            let state = state.as_str().unwrap().to_owned();
            let batch = view.batch.filter(|_| state != "skipped");
            (state, batch)
        };
        places.insert((*pool).clone(), page.items.iter().map(place).collect());
    }
    places
}
