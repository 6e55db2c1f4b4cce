//! The folder passes the suite, and what only it can promise.

use std::sync::Arc;

use futures_util::{StreamExt, poll, stream};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::*;
use crate::blobs::suite::{self, Rig};

struct FolderRig {
    folder: TempDir,
    blobs: Arc<Folder>,
    named: u32,
}

#[async_trait]
impl Rig for FolderRig {
    fn blobs(&self) -> Arc<dyn Blobs> {
        Arc::clone(&self.blobs) as Arc<dyn Blobs>
    }

    fn fresh(&mut self, what: &str) -> ObjectKey {
        self.named += 1;
        format!("suite/{what}/{}", self.named).parse().unwrap()
    }

    async fn reopen(&mut self) {
        self.blobs = Arc::new(Folder::open(self.folder.path()).await.unwrap());
    }
}

async fn rig() -> FolderRig {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Arc::new(Folder::open(folder.path()).await.unwrap());
    FolderRig { folder, blobs, named: 0 }
}

fn key(text: &str) -> ObjectKey {
    text.parse().unwrap()
}

fn said(text: &'static str) -> Body {
    stream::iter([Ok(Bytes::from_static(text.as_bytes()))]).boxed()
}

/// Every file and folder in a fan folder.
fn names(root: &Path) -> Vec<String> {
    let entries = place::fans(root).flat_map(|fan| fs::read_dir(fan).unwrap());
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite() {
    suite::run(&mut rig().await).await;
}

#[tokio::test]
async fn passes_the_suite_on_one_thread() {
    suite::run(&mut rig().await).await;
}

#[tokio::test]
async fn clients_cannot_reach_a_folder() {
    let rig = rig().await;
    assert_eq!(rig.blobs.presign(&key("a"), Verb::Get, Duration::from_secs(1)), None);
}

#[tokio::test]
async fn what_a_crash_left_behind_is_removed_at_the_next_start() {
    let rig = rig().await;
    let root = rig.folder.path();
    rig.blobs.put(&key("u/1"), None, said("x")).await.unwrap();
    let upload = rig.blobs.begin(&key("u/2")).await.unwrap();
    let part = rig.blobs.part(&upload, 1, vec![Bytes::from_static(b"y")]).await.unwrap();
    let parts = parts::folder(root, &upload).unwrap();
    for folder in [root.join("00"), parts.clone()] {
        fs::write(folder.join(place::unfinished_name()), "half").unwrap();
    }
    fs::create_dir(root.join("01/.lost,.parts,x")).unwrap();
    let blobs = Folder::open(root).await.unwrap();
    let mut left = names(root);
    left.sort();
    assert_eq!(left, [place::parts_name(&upload).unwrap(), "u,1".to_owned()]);
    assert_eq!(fs::read_dir(parts).unwrap().count(), 1, "parts that are durable stay");
    blobs.finish(&upload, &[part]).await.unwrap();
    assert_eq!(names(root).len(), 2);
}

/// Waits until there are exactly these files.
async fn until_names(root: &Path, expected: &[&str]) {
    let soon = async {
        while names(root) != expected {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_mins(1), soon).await;
    assert!(waited.is_ok(), "there are {:?}", names(root));
}

#[tokio::test]
async fn a_put_that_is_dropped_or_fails_leaves_no_file() {
    let rig = rig().await;
    let root = rig.folder.path();
    rig.blobs.put(&key("short"), Some(1_000_000), said("x")).await.unwrap_err();
    // Dropped while it waits for the client.
    let large = stream::iter([Ok(Bytes::from(vec![b'x'; 200_000]))]);
    let body = large.chain(stream::pending()).boxed();
    let dropped = key("dropped");
    let mut put = Box::pin(rig.blobs.put(&dropped, None, body));
    while names(root).is_empty() {
        assert!(poll!(&mut put).is_pending());
        tokio::task::yield_now().await;
    }
    drop(put);
    until_names(root, &[]).await;
    // Dropped after it became durable, before it was answered.
    let mut put = Box::pin(rig.blobs.put(&dropped, None, said("x")));
    assert!(poll!(&mut put).is_pending());
    until_names(root, &["dropped"]).await;
    drop(put);
    until_names(root, &[]).await;
}

/// A thread that waited for a client would be one of two, and the last put would never end.
#[test]
fn slow_clients_hold_no_threads() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.max_blocking_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let rig = rig().await;
        let mut slow = JoinSet::new();
        for n in 0..1_000 {
            let blobs = Arc::clone(&rig.blobs);
            slow.spawn(async move {
                let piece = stream::iter([Ok(Bytes::from(vec![b'x'; 70_000]))]);
                let body = piece.chain(stream::pending()).boxed();
                blobs.put(&key(&format!("slow/{n}")), None, body).await
            });
        }
        let quick = async {
            // Until all of them have written: none has a thread then.
            while names(rig.folder.path()).len() < 1_000 {
                tokio::task::yield_now().await;
            }
            rig.blobs.put(&key("quick"), None, said("x")).await.unwrap();
        };
        tokio::time::timeout(Duration::from_mins(1), quick).await.expect("threads are held");
    });
}
