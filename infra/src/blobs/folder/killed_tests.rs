//! What was answered survives the end of the process, and of the machine.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::*;
use crate::killed;

const CHILD: &str = "blobs::folder::killed_tests::child";
const PART: usize = 5 * 1024 * 1024;

fn content(n: usize, len: usize) -> Bytes {
    vec![b'a' + u8::try_from(n).unwrap(); len].into()
}

fn key(n: usize) -> ObjectKey {
    format!("u/{n}").parse().unwrap()
}

/// Puts some objects, whole and in parts, and says each once it is answered.
#[tokio::test]
#[ignore = "run by the tests below"]
async fn child() {
    let Some(folder) = killed::begin() else { return };
    let blobs = Folder::open(&folder).await.unwrap();
    for n in 0..3 {
        let pieces = vec![Ok(content(n, 50_000)), Ok(content(n, 50_000))];
        blobs.put(&key(n), Some(100_000), stream::iter(pieces).boxed()).await.unwrap();
        killed::say(format_args!("object {n} 100000"));
    }
    for (n, count) in [(3, 1), (4, 2)] {
        let upload = blobs.begin(&key(n)).await.unwrap();
        let mut parts = Vec::new();
        for number in 1..=count {
            parts.push(blobs.part(&upload, number, vec![content(n, PART)]).await.unwrap());
            let (token, tag) = (&upload.token, &parts[usize::from(number) - 1].tag);
            killed::say(format_args!("part {n} {token} {number} {tag}"));
        }
        blobs.finish(&upload, &parts).await.unwrap();
        killed::say(format_args!("object {n} {}", PART * usize::from(count)));
    }
}

/// What was said and is not there.
async fn lost(faults: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let ended = killed::run(CHILD, folder.path(), faults);
    assert_eq!(ended.crashed, faults.contains("crash="), "{faults}");
    let blobs = Folder::open(folder.path()).await.unwrap();
    let mut lost = Vec::new();
    for said in ended.said {
        let words: Vec<&str> = said.split(' ').collect();
        let n = words[1].parse().unwrap();
        let there = if words[0] == "part" {
            let upload = Multipart { key: key(n), token: words[2].to_owned() };
            let (number, size_bytes) = (words[3].parse().unwrap(), PART as u64);
            let part = Part { number, tag: words[4].to_owned(), size_bytes };
            part_is_there(&blobs, &folder, &upload, &part).await
        } else {
            let expected = content(n, words[2].parse().unwrap());
            read(&blobs, n).await.is_some_and(|found| found == expected)
        };
        if !there {
            lost.push(said);
        }
    }
    for n in 0..5 {
        let found = read(&blobs, n).await.unwrap_or_default();
        assert!([0, 100_000, PART, 2 * PART].contains(&found.len()), "whole or not there");
    }
    lost
}

async fn read(blobs: &Folder, n: usize) -> Option<Bytes> {
    let body = blobs.get(&key(n), 0..u64::MAX).await.ok()?;
    Some(body.try_collect::<Vec<_>>().await.unwrap().concat().into())
}

/// In its folder, or in the object that was made of it.
async fn part_is_there(
    blobs: &Folder,
    folder: &tempfile::TempDir,
    of: &Multipart,
    part: &Part,
) -> bool {
    let path = parts::folder(folder.path(), of).unwrap().join(place::part_name(part).unwrap());
    let in_folder = fs::metadata(path).is_ok_and(|file| file.len() == part.size_bytes);
    in_folder || blobs.stat(&of.key).await.unwrap().is_some()
}

const POINTS: [&str; 5] = [
    "blobs.before-write",
    "blobs.before-sync",
    "blobs.before-rename",
    "blobs.after-rename",
    "blobs.after-sync-folder",
];

#[tokio::test]
async fn what_was_answered_survives_every_crash_point() {
    for point in POINTS {
        // In the second put, in the first part, in the last finish.
        for nth in [2, 4, 7] {
            for disk in ["", "volatile"] {
                let lost = lost(&format!("{disk} crash={point}:{nth}")).await;
                assert!(lost.is_empty(), "{disk} {point}:{nth} lost {lost:?}");
            }
        }
    }
    for disk in ["", "volatile"] {
        assert!(lost(disk).await.is_empty());
    }
}

#[tokio::test]
async fn an_answer_before_the_sync_is_seen_as_a_loss() {
    for point in POINTS {
        let faults = format!("bug=answer-before-sync volatile crash={point}:3");
        assert!(!lost(&faults).await.is_empty(), "{point}");
    }
    assert!(!lost("bug=answer-before-sync volatile").await.is_empty());
}
