//! The embedded kept tables pass the suite.

use tempfile::TempDir;

use super::*;
use crate::kept::suite::{self, Rig};

struct SqliteRig {
    folder: TempDir,
    kept: Arc<SqliteKept>,
}

pub(super) async fn open_in(folder: &Path) -> Arc<SqliteKept> {
    Arc::new(SqliteKept::open(&folder.join("kept.sqlite")).await.unwrap())
}

async fn rig() -> SqliteRig {
    let folder = tempfile::tempdir().unwrap();
    let kept = open_in(folder.path()).await;
    SqliteRig { folder, kept }
}

#[async_trait]
impl Rig for SqliteRig {
    fn kept(&self) -> Arc<dyn Kept> {
        Arc::clone(&self.kept) as Arc<dyn Kept>
    }

    async fn reopen(&mut self) {
        self.kept.close().await;
        self.kept = open_in(self.folder.path()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite() {
    suite::run(&mut rig().await).await;
}

crate::row! {
    /// A row to count.
    Counted in "counted" (n: i64) {}
}

pub(super) fn counted(n: i64) -> Cells {
    Cells::of(Counted { n })
}

pub(super) const TABLE: &Table = <Counted as crate::table::Row>::TABLE;

#[tokio::test]
async fn a_failed_write_is_told_to_all_who_shared_it_and_the_next_goes_on() {
    let rig = rig().await;
    rig.kept.create(&[TABLE]).await.unwrap();
    let hand = rusqlite::Connection::open(rig.folder.path().join("kept.sqlite")).unwrap();
    hand.execute_batch(
        "CREATE TRIGGER no BEFORE INSERT ON counted BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    .unwrap();
    let refused = tokio::join!(rig.kept.put(counted(1)), rig.kept.put(counted(2)));
    assert!(matches!(refused, (Err(Error::Refused { .. }), Err(Error::Refused { .. }))));
    hand.execute_batch("DROP TRIGGER no").unwrap();
    rig.kept.put(counted(1)).await.unwrap();
    assert!(rig.kept.insert_new(counted(2)).await.unwrap());
}
