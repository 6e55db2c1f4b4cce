//! The checkpoint is never ahead of its rows, wherever the process ends.

use super::tests::{Counted, VIEW, counted, open_in, upto};
use super::*;
use crate::killed;
use crate::table::{Cell, Row};

const CHILD: &str = "views::sqlite::killed_tests::child";

#[tokio::test]
#[ignore = "run by the tests below"]
async fn child() {
    let Some(folder) = killed::begin() else { return };
    let views = open_in(&folder).await;
    views.create(VIEW, &[Counted::TABLE]).await.unwrap();
    views.activate(VIEW).await.unwrap();
    for n in 0..10 {
        let mut writes = Writes::default();
        writes.upsert(counted(2 * n), n);
        writes.upsert(counted(2 * n + 1), n);
        views.apply(VIEW, writes, vec![upto(n.unsigned_abs() + 1)]).await.unwrap();
        killed::say(n + 1);
    }
}

/// How many were said, what the checkpoint says, and how many rows there are for it.
async fn found(faults: &str) -> (u64, u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let ended = killed::run(CHILD, folder.path(), faults);
    assert!(ended.crashed, "{faults}");
    let views = open_in(folder.path()).await;
    let state = views.state(VIEW, &Topic::named("t")).await.unwrap();
    let scan = Scan::of::<Counted>([Cell::Id(counted(0).id.uuid())]);
    let rows: Vec<Counted> = views.page(VIEW.name, scan).await.unwrap().rows().unwrap();
    let said = ended.said.last().map_or(0, |said| said.parse().unwrap());
    (said, state.checkpoint.map_or(0, |it| it.position.next), rows.len() as u64 / 2)
}

#[tokio::test]
async fn rows_and_checkpoint_are_there_together_or_not_at_all() {
    for (point, ahead) in
        [("views.before-rows", 0), ("views.before-checkpoint", 0), ("views.after-commit", 1)]
    {
        let (said, checkpoint, rows) = found(&format!("crash={point}:4")).await;
        assert_eq!((said, checkpoint, rows), (3, 3 + ahead, 3 + ahead), "{point}");
    }
}

#[tokio::test]
async fn a_checkpoint_before_its_rows_is_seen() {
    for point in ["views.before-rows", "views.before-checkpoint"] {
        let faults = format!("bug=offset-before-effect crash={point}:4");
        assert_eq!(found(&faults).await, (3, 4, 3), "{point}");
    }
}
