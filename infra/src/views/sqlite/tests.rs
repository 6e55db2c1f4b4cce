//! The embedded views pass the suite, and what only they can promise.

use schemas::id::AccountId;
use tempfile::TempDir;

use super::*;
use crate::table::{Cell, Row};
use crate::views::suite::{self, Rig};

struct SqliteRig {
    folder: TempDir,
    views: Arc<SqliteViews>,
    version: u32,
}

pub(super) async fn open_in(folder: &Path) -> Arc<SqliteViews> {
    Arc::new(SqliteViews::open(&folder.join("views.sqlite")).await.unwrap())
}

async fn rig() -> SqliteRig {
    let folder = tempfile::tempdir().unwrap();
    let views = open_in(folder.path()).await;
    SqliteRig { folder, views, version: 0 }
}

#[async_trait]
impl Rig for SqliteRig {
    fn views(&self) -> Arc<dyn Views> {
        Arc::clone(&self.views) as Arc<dyn Views>
    }

    fn fresh(&mut self) -> View {
        self.version += 1;
        View { name: "suite", version: self.version }
    }

    async fn reopen(&mut self) {
        self.views.close().await;
        self.views = open_in(self.folder.path()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite() {
    suite::run(&mut rig().await).await;
}

crate::row! {
    /// A row to count.
    Counted in "counted" (id: AccountId; n: i64 = Asc) {}
}

pub(super) fn counted(n: i64) -> Counted {
    Counted { id: AccountId::from_bits(1), n }
}

pub(super) const VIEW: View = View { name: "test", version: 1 };

pub(super) fn upto(next: u64) -> Checkpoint {
    let position = Position { topic_id: Uuid::nil(), next };
    Checkpoint { topic: Topic::named("t"), position, pair: None, stamp_us: 0 }
}

#[tokio::test]
async fn a_page_is_bounded_whatever_is_asked_for() {
    let rig = rig().await;
    rig.views.create(VIEW, &[Counted::TABLE]).await.unwrap();
    rig.views.activate(VIEW).await.unwrap();
    let mut writes = Writes::default();
    for n in 0..10_001 {
        writes.upsert(counted(n), 1);
    }
    rig.views.apply(VIEW, writes, vec![upto(1)]).await.unwrap();
    let scan = Scan::of::<Counted>([Cell::Id(AccountId::from_bits(1).uuid())]);
    let page = rig.views.page(VIEW.name, scan).await.unwrap();
    assert!(page.more);
    assert_eq!(page.rows::<Counted>().unwrap().len(), 10_000);
}

#[tokio::test]
async fn a_version_whose_tables_are_declared_otherwise_is_refused() {
    mod later {
        crate::row! { Counted in "counted" (id: schemas::id::AccountId; n: i64 = Desc) {} }
    }
    let rig = rig().await;
    rig.views.create(VIEW, &[Counted::TABLE]).await.unwrap();
    let refused = rig.views.create(VIEW, &[later::Counted::TABLE]).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    rig.views.create(View { version: 2, ..VIEW }, &[later::Counted::TABLE]).await.unwrap();
}

#[tokio::test]
async fn a_failed_write_is_undone_and_the_next_goes_on() {
    let rig = rig().await;
    rig.views.create(VIEW, &[Counted::TABLE]).await.unwrap();
    rig.views.activate(VIEW).await.unwrap();
    let hand = Connection::open(rig.folder.path().join("views.sqlite")).unwrap();
    hand.execute_batch(
        "CREATE TRIGGER no BEFORE INSERT ON sluice_checkpoints BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    .unwrap();
    let mut writes = Writes::default();
    writes.upsert(counted(1), 1);
    let refused = rig.views.apply(VIEW, writes.clone(), vec![upto(1)]).await;
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    let scan = Scan::of::<Counted>([Cell::Id(AccountId::from_bits(1).uuid())]);
    let page = rig.views.page(VIEW.name, scan.clone()).await.unwrap();
    assert!(page.cells.is_empty(), "no row without its checkpoint");
    hand.execute_batch("DROP TRIGGER no").unwrap();
    rig.views.apply(VIEW, writes, vec![upto(1)]).await.unwrap();
    assert_eq!(rig.views.page(VIEW.name, scan).await.unwrap().rows::<Counted>().unwrap().len(), 1);
}

#[tokio::test]
async fn a_file_made_without_a_journal_is_as_any_other_once_it_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fresh.sqlite");
    let views = SqliteViews::open_fresh(&path).await.unwrap();
    views.create(VIEW, &[Counted::TABLE]).await.unwrap();
    views.activate(VIEW).await.unwrap();
    let mut writes = Writes::default();
    writes.upsert(counted(1), 1);
    views.apply(VIEW, writes, vec![upto(1)]).await.unwrap();
    views.finish(&path).await.unwrap();
    let again = SqliteViews::open_fresh(&path).await;
    assert!(matches!(again, Err(Error::Refused { .. })), "only a file that is not there yet");
    let views = SqliteViews::open(&path).await.unwrap();
    let scan = Scan::of::<Counted>([Cell::Id(AccountId::from_bits(1).uuid())]);
    let page = views.page(VIEW.name, scan).await.unwrap();
    assert_eq!(page.rows::<Counted>().unwrap().len(), 1);
    let state = views.state(VIEW, &upto(1).topic).await.unwrap();
    assert_eq!(state.checkpoint, Some(upto(1)));
}
