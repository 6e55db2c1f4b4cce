//! What was answered is kept, wherever the process ends.

use super::tests::{TABLE, counted, open_in};
use super::*;
use crate::killed;

const CHILD: &str = "kept::sqlite::killed_tests::child";

#[tokio::test]
#[ignore = "run by the test below"]
async fn child() {
    let Some(folder) = killed::begin() else { return };
    let kept = open_in(&folder).await;
    kept.create(&[TABLE]).await.unwrap();
    for n in 0..10 {
        assert!(kept.insert_new(counted(n)).await.unwrap());
        killed::say(n);
    }
}

#[tokio::test]
async fn what_was_answered_survives_every_crash_point() {
    for point in ["kept.before-commit", "kept.after-commit"] {
        let folder = tempfile::tempdir().unwrap();
        let ended = killed::run(CHILD, folder.path(), &format!("crash={point}:6"));
        assert!(ended.crashed && ended.said.len() == 4, "{:?}", ended.said);
        let kept = open_in(folder.path()).await;
        for said in ended.said {
            let scan = Scan { key: vec![Cell::Int(said.parse().unwrap())], ..all() };
            assert_eq!(kept.page(scan).await.unwrap().cells.len(), 1, "{point} lost {said}");
        }
    }
}

fn all() -> Scan {
    Scan { table: TABLE, key: Vec::new(), after: None, limit: 1 }
}
