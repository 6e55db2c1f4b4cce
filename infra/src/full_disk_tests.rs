//! A disk that is really full refuses new work and loses nothing.
//!
//! Each test runs itself once more in a mount namespace of its own, with a disk of a few MiB:
//! Needs Linux, and root or unprivileged user namespaces: where neither can be had it fails.

use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use schemas::topic::Topic;

use crate::blobs::{self, Blobs, Folder};
use crate::clock::SystemClock;
use crate::kept::{Cells, Kept, SqliteKept};
use crate::log::{self, Append, Draft, Find, Options, Read, SqliteLog};
use crate::table::Row;
use crate::views;

const DISK: &str = "SLUICE_SMALL_DISK";

/// The small disk; the first time, runs the test again on one and tells none.
#[allow(clippy::disallowed_methods, reason = "a test has no configuration to be read once")]
fn small_disk(test: &str) -> Option<PathBuf> {
    if let Some(disk) = std::env::var_os(DISK) {
        return Some(disk.into());
    }
    let folder = tempfile::tempdir().unwrap();
    let script = "[ \"$(id -u)\" = 0 ] && as=--mount || as='--user --map-root-user --mount'
        exec unshare $as sh -ec 'mount -t tmpfs -o size=8m none \"$SLUICE_SMALL_DISK\" && exec \"$@\"' sh \"$@\"";
    let status = Command::new("sh")
        .args(["-ec", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("full_disk_tests::{test}"), "--nocapture"])
        .env(DISK, folder.path())
        .status();
    assert!(status.unwrap().success());
    None
}

/// A file that takes all there is.
fn fill(disk: &Path) -> PathBuf {
    let ballast = disk.join("ballast");
    let mut size = 8 << 20;
    let mut content = Vec::new();
    while size > 0 {
        content.resize(content.len() + size, 0);
        if std::fs::write(&ballast, &content).is_err() {
            content.truncate(content.len() - size);
            size /= 2;
        }
    }
    _ = std::fs::write(&ballast, &content);
    ballast
}

fn draft(n: u32) -> Draft {
    let attributes = schemas::wire::Attributes {
        id: schemas::id::EventId::from_bits(1),
        source: "/test".into(),
        time: schemas::time::LogTime::from_millis(1),
        subject: None,
        cause: None,
    };
    let value = Bytes::from(vec![u8::try_from(n % 256).unwrap(); 10_000]);
    Draft { key: "k".into(), type_name: "sluice.test.said.v1", attributes, value }
}

#[tokio::test]
async fn the_log_refuses_and_goes_on_when_there_is_room() {
    let Some(disk) = small_disk("the_log_refuses_and_goes_on_when_there_is_room") else { return };
    let path = disk.join("log.sqlite");
    let open = || SqliteLog::open(&path, Options::default(), SystemClock::new());
    let log = open().await.unwrap();
    let topic = Topic::named("t");
    log.ensure(&topic).await.unwrap();
    for round in 0..3 {
        let ballast = fill(&disk);
        let before = log.find(&topic, Find::End).await.unwrap().next;
        let mut taken = 0;
        let refused = loop {
            match log.append(&topic, vec![draft(taken)]).await {
                Ok(_) => taken += 1,
                Err(error) => break error,
            }
            assert!(taken < 1_000, "it never gets full");
        };
        assert!(matches!(refused, log::Error::Refused { .. }), "{refused:?}");
        let end = log.find(&topic, Find::End).await.unwrap().next;
        assert_eq!(end, before + u64::from(taken), "round {round}");
        std::fs::remove_file(ballast).unwrap();
        assert_eq!(log.append(&topic, vec![draft(9)]).await.unwrap().last, end);
    }
    let end = log.find(&topic, Find::End).await.unwrap();
    log.close().await;
    let log = open().await.unwrap();
    assert_eq!(log.find(&topic, Find::End).await.unwrap(), end);
    let mut tail = log.tail(1 << 20).await.unwrap();
    let mut next = 0;
    tail.watch(&topic, Some(log::Position { next, ..end }));
    while next < end.next {
        next = tail.next().await.unwrap().end;
    }
}

#[tokio::test]
async fn blobs_are_refused_whole() {
    let Some(disk) = small_disk("blobs_are_refused_whole") else { return };
    let folder = Folder::open(&disk.join("blobs")).await.unwrap();
    let body = || stream::iter((0..40).map(|_| Ok(Bytes::from(vec![b'x'; 50_000])))).boxed();
    let [first, second, third] = ["1", "2", "3"].map(|key| key.parse().unwrap());
    folder.put(&first, Some(2_000_000), body()).await.unwrap();
    let ballast = fill(&disk);
    let full = folder.put(&second, Some(2_000_000), body()).await;
    assert!(matches!(full, Err(blobs::Error::Full)), "{full:?}");
    assert_eq!(folder.stat(&second).await.unwrap(), None);
    std::fs::remove_file(ballast).unwrap();
    folder.put(&third, Some(2_000_000), body()).await.unwrap();
    assert_eq!(folder.stat(&first).await.unwrap().unwrap().size_bytes, 2_000_000);
}

crate::row! {
    /// A row.
    Large in "large" (n: i64) { text: String }
}

#[tokio::test]
async fn what_is_kept_is_refused_and_goes_on_when_there_is_room() {
    let Some(disk) = small_disk("what_is_kept_is_refused_and_goes_on_when_there_is_room") else {
        return;
    };
    let kept = SqliteKept::open(&disk.join("kept.sqlite")).await.unwrap();
    kept.create(&[Large::TABLE]).await.unwrap();
    let large = |n| Cells::of(Large { n, text: "x".repeat(10_000) });
    let ballast = fill(&disk);
    let mut n = 0;
    let full = loop {
        match kept.put(large(n)).await {
            Ok(()) => n += 1,
            Err(error) => break error,
        }
        assert!(n < 1_000, "it never gets full");
    };
    assert_eq!(full, views::Error::Full);
    std::fs::remove_file(ballast).unwrap();
    assert!(kept.insert_new(large(n)).await.unwrap());
}
