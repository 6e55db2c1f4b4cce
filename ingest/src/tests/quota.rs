//! Quotas: judged before the first byte, reserved while on the way, given back at every end.

use async_trait::async_trait;
use infra::kept::{self, Cells};
use infra::table::{Cell, Page, Scan, Table};
use schemas::event::Sent;
use tokio::sync::Notify;

use super::doors::Mood;
use super::updates::Part;
use super::uploads::{Scene, Sending};
use super::*;
use crate::quota::ReservationRow;

async fn scene(policy: Value) -> Scene {
    Scene::new(Limits::default(), policy, None).await
}

impl Scene {
    /// Reservations that are kept.
    async fn reservations(&self) -> Vec<ReservationRow> {
        let key = [infra::table::Field::cell(self.pool.clone())];
        let page: Page = self.world.kept.page(Scan::of::<ReservationRow>(key)).await.unwrap();
        page.rows().unwrap()
    }

    fn hold(&self, files: u64, bytes: u64) {
        let held = Sent { files, bytes, client_files: files, client_bytes: bytes };
        self.world.tables.tell(|rows| (rows.held, rows.caught_up) = (held, true));
    }

    async fn refusal(&self, bytes: &str) -> (u16, String) {
        let told = self.send(Sending::of(bytes)).await;
        assert!(told.status.as_u16() != 429 || told.header("retry-after") == "1");
        let (status, code) = told.refused();
        (status, code.to_owned())
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_it_is_read_and_leaves_nothing() {
    let scene = scene(json!({ "quota_bytes": 10, "quota_files": 3 })).await;
    assert_eq!(scene.refusal("01234567890").await, (403, "pool-quota-exceeded".into()));
    assert_eq!((scene.objects().await, scene.reservations().await.len()), (0, 0));
    assert_eq!(scene.send(Sending::of("0123456789")).await.status, StatusCode::CREATED);
    scene.hold(3, 10);
    assert_eq!(scene.refusal("x").await, (403, "pool-quota-exceeded".into()));
    scene.hold(2, 9);
    assert_eq!(scene.send(Sending::of("x")).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_member_has_a_quota_of_its_own() {
    let scene = scene(json!({ "member_quota_files": 1 })).await;
    let held = Sent { files: 9, bytes: 9, ..Sent::default() };
    scene.world.tables.tell(|rows| (rows.held, rows.caught_up) = (held, true));
    assert_eq!(scene.send(Sending::of("x")).await.status, StatusCode::CREATED);
    let held = Sent { client_files: 1, client_bytes: 1, ..held };
    scene.world.tables.tell(|rows| rows.held = held);
    assert_eq!(scene.refusal("y").await, (403, "member-quota-exceeded".into()));
}

#[tokio::test]
async fn what_has_come_counts_before_the_tables_know_it() {
    let scene = scene(json!({ "quota_files": 2 })).await;
    for bytes in ["a", "b"] {
        assert_eq!(scene.send(Sending::of(bytes)).await.status, StatusCode::CREATED);
    }
    // The tables have counted neither.
    assert_eq!(scene.refusal("c").await, (429, "quota-reserved".into()));
    assert_eq!(scene.reservations().await.len(), 2);
    scene.hold(1, 1);
    assert_eq!(scene.send(Sending::of("d")).await.status, StatusCode::CREATED);
    assert_eq!(scene.reservations().await.len(), 1, "those that count are given back");
}

#[tokio::test]
async fn what_fails_gives_back_what_was_reserved() {
    let scene = scene(json!({ "quota_files": 1 })).await;
    scene.hold(0, 0);
    let short = || Sending::of("x").header("content-length", "2");
    assert_eq!(scene.send(short()).await.refused(), (400, "length-mismatch"));
    scene.world.blobs.mood(Mood::Refuses);
    assert_eq!(scene.refusal("x").await, (503, "unavailable".into()));
    scene.world.blobs.mood(Mood::Well);
    scene.here.append.mood(Mood::Refuses, ".events");
    assert_eq!(scene.refusal("x").await, (503, "unavailable".into()));
    scene.here.append.mood(Mood::Well, ".events");
    assert_eq!(scene.send(Sending::of("x")).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_reservation_whose_process_died_expires() {
    let limits = Limits { reservation_ms: 60_000, ..Limits::default() };
    let scene = Scene::new(limits, json!({ "quota_files": 1 }), None).await;
    assert_eq!(scene.send(Sending::of("x")).await.status, StatusCode::CREATED);
    // Another process knows nothing of it but what is kept.
    let other = scene.world.instance().await;
    let request = || Sending::of("y").request(&scene.pool, &scene.sender);
    assert_eq!(other.send(request()).await.refused(), (429, "quota-reserved"));
    scene.world.clock.advance(scene.world.limits.reservation_ms);
    assert_eq!(other.send(request()).await.status, StatusCode::CREATED);
    assert_eq!(scene.reservations().await.len(), 1);
}

#[tokio::test]
async fn an_update_is_reserved_whole() {
    let scene = scene(json!({ "quota_files": 2 })).await;
    scene.hold(0, 0);
    let told = updates::send_three(&scene, "k").await;
    assert_eq!(told.refused(), (403, "pool-quota-exceeded"));
    assert_eq!((scene.objects().await, scene.reservations().await.len()), (0, 0));
}

#[tokio::test]
async fn where_there_is_no_quota_nothing_is_reserved() {
    let scene = Scene::plain().await;
    assert_eq!(scene.send(Sending::of("x")).await.status, StatusCode::CREATED);
    assert_eq!(scene.reservations().await.len(), 0);
}

/// What is kept, of which writing does not come back when told so.
#[derive(Debug)]
struct Hanging {
    inner: Arc<dyn Kept>,
    puts: AtomicBool,
    deletes: AtomicBool,
    hung: Notify,
}

impl Hanging {
    async fn hang_if(&self, hangs: &AtomicBool) {
        if hangs.load(Ordering::Relaxed) {
            self.hung.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Kept for Hanging {
    async fn create(&self, tables: &[&'static Table]) -> kept::Result<()> {
        self.inner.create(tables).await
    }

    async fn insert_new(&self, row: Cells) -> kept::Result<bool> {
        self.inner.insert_new(row).await
    }

    async fn put(&self, row: Cells) -> kept::Result<()> {
        self.inner.put(row).await?;
        self.hang_if(&self.puts).await;
        Ok(())
    }

    async fn delete(&self, table: &'static Table, key: Vec<Cell>) -> kept::Result<()> {
        self.hang_if(&self.deletes).await;
        self.inner.delete(table, key).await
    }

    async fn page(&self, scan: Scan) -> kept::Result<Page> {
        self.inner.page(scan).await
    }
}

#[tokio::test]
async fn a_request_that_is_cancelled_gives_back_what_it_reserved() {
    let mut scene = scene(json!({ "quota_files": 1 })).await;
    scene.hold(0, 0);
    let (puts, deletes) = (AtomicBool::new(false), AtomicBool::new(false));
    let inner = Arc::clone(&scene.world.kept);
    let kept = Arc::new(Hanging { inner, puts, deletes, hung: Notify::new() });
    scene.world.kept = kept.clone();
    scene.here = scene.world.instance().await;
    for (hangs, wanted) in [(&kept.puts, "while it is kept"), (&kept.deletes, "while given back")] {
        hangs.store(true, Ordering::Relaxed);
        tokio::select! {
            told = scene.send(Sending::of("x")) => panic!("{told:?}"),
            () = kept.hung.notified() => {}
        }
        hangs.store(false, Ordering::Relaxed);
        assert_eq!(scene.reservations().await.len(), 1, "{wanted}");
    }
    assert_eq!(scene.send(Sending::of("x")).await.status, StatusCode::CREATED);
    assert_eq!(scene.reservations().await.len(), 1);
}

#[tokio::test]
async fn what_an_update_brings_under_a_key_used_before_is_reserved_as_well() {
    let scene = scene(json!({ "quota_files": 1 })).await;
    let parts = |second| {
        let contents = ["fine", second].map(Part::file);
        let manifest = Part::manifest(&updates::manifest(&["a.txt", "b.txt"]));
        [vec![manifest], contents.to_vec()].concat()
    };
    let sending = |second| updates::Sending::of(&parts(second)).skip().key("k");
    // The second is empty: of the two only the first is taken, and fits once that is known.
    scene.hold(0, 0);
    assert_eq!(scene.update(sending("")).await.refused(), (403, "pool-quota-exceeded"));
    let first = [Part::manifest(&updates::manifest(&["a.txt"])), Part::file("fine")];
    let told = scene.update(updates::Sending::of(&first).skip().key("k")).await;
    assert_eq!(told.status, StatusCode::CREATED, "{told:?}");
    scene.hold(1, 4);
    assert_eq!(scene.update(sending("more")).await.refused(), (403, "pool-quota-exceeded"));
    let again = scene.update(updates::Sending::of(&first).skip().key("k")).await;
    assert_eq!(again.status, StatusCode::OK, "{again:?}");
}

#[tokio::test]
async fn an_update_of_unknown_length_brings_no_more_than_there_is_room_for() {
    let scene = scene(json!({ "quota_bytes": 10 })).await;
    scene.hold(0, 0);
    let told = updates::send_three(&scene, "k").await;
    assert_eq!(told.refused(), (403, "pool-quota-exceeded"), "eleven bytes");
    assert_eq!(scene.objects().await, 0);
    scene.hold(0, 0);
    let parts = updates::three();
    let two = [Part::manifest(&updates::manifest(&["a.txt", "b.txt"])), parts[1].clone()];
    let two = [&two[..], &parts[2..3]].concat();
    let told = scene.update(updates::Sending::of(&two)).await;
    assert_eq!(told.status, StatusCode::CREATED, "{told:?}");
}
