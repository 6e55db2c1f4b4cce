//! What was answered survives the end of the process, wherever it ends; and no event names bytes
//! that are not there.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use infra::faults;
use schemas::digest::Digest;
use schemas::file::FileRef;

use super::uploads::{Scene, Sending};
use super::*;

const FOLDER: &str = "SLUICE_KILLED_FOLDER";
const FAULTS: &str = "SLUICE_KILLED_FAULTS";
const CHILD: &str = "tests::killed::child";

/// Sends three files and an update of three, and says each upload once it is answered.
#[tokio::test]
#[ignore = "run by the tests below"]
#[allow(clippy::disallowed_methods, reason = "a test has no configuration to be read once")]
async fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let scene = scene(Path::new(&folder)).await;
    faults::arm(&std::env::var(FAULTS).unwrap()).unwrap();
    let say = |upload: &str| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "said: {upload}").unwrap();
        out.flush().unwrap();
    };
    send_all(&scene, say).await;
}

async fn scene(folder: &Path) -> Scene {
    Scene::on(World::at(folder, Limits::default(), None).await, json!({})).await
}

/// Sends them; each upload is told as soon as it is answered.
async fn send_all(scene: &Scene, mut tell: impl FnMut(&str)) {
    for n in 0..3 {
        let sending = Sending::of(format!("content {n}")).key(["k-0", "k-1", "k-2"][n]);
        let answer = scene.send(sending).await;
        assert!(answer.status.is_success(), "{answer:?}");
        tell(answer.body["upload"].as_str().unwrap());
    }
    let answer = updates::send_three(scene, "u").await;
    assert!(answer.status.is_success(), "{answer:?}");
    for receipt in answer.body["items"].as_array().unwrap() {
        tell(receipt["upload"].as_str().unwrap());
    }
}

#[derive(Debug, Default)]
struct Judged {
    /// Answered, and not in the log.
    lost: Vec<String>,
    /// In the log, and its bytes are not in the store.
    hollow: Vec<FileRef>,
    /// How many objects there are that no event names.
    unnamed: usize,
}

/// Runs the child armed with `faults` and judges what it left; then sends everything again.
async fn judge(faults: &str) -> Judged {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--ignored", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder.path())
        .env(FAULTS, faults)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    assert_eq!(output.status.success(), !faults.contains("crash="), "{faults} {out}");
    let said = out.lines().filter_map(|line| line.split_once("said: ")).map(|(_, said)| said);

    let scene = scene(folder.path()).await;
    let mut judged = judge_what_is_there(&scene).await;
    let files = scene.files().await;
    let in_log = |upload: &str| files.iter().any(|file| file.upload.to_string() == upload);
    judged.lost = said.filter(|said| !in_log(said)).map(str::to_owned).collect();

    // The fold remembers what it saw; the tables know what it placed first.
    let mut first = BTreeMap::new();
    for file in files {
        first.entry(file.upload).or_insert(file);
    }
    scene.world.tables.tell(|rows| rows.uploads = first.into_iter().collect());
    let mut again = 0;
    send_all(&scene, |_| again += 1).await;
    let mut uploads: Vec<_> = scene.files().await.iter().map(|file| file.upload).collect();
    uploads.sort_unstable();
    uploads.dedup();
    assert_eq!((again, uploads.len()), (6, 6), "{faults}: each once, whatever was there");
    judged
}

async fn judge_what_is_there(scene: &Scene) -> Judged {
    let objects = scene.world.blobs.objects().await;
    let files = scene.files().await;
    let mut judged = Judged::default();
    for file in &files {
        let there = objects.contains(&file.object)
            && Digest::of(&scene.world.blobs.read(&file.object).await) == file.sha256;
        if !there {
            judged.hollow.push(file.clone());
        }
    }
    let named = |key: &&schemas::name::ObjectKey| files.iter().any(|file| file.object == **key);
    judged.unnamed = objects.len() - objects.iter().filter(named).count();
    judged
}

#[tokio::test]
async fn what_was_answered_survives_every_crash_point() {
    // Each passing of a put and its surroundings is one file; of an append and an answer, one
    // request: the first, the last single file, the update.
    for (points, passings) in [
        (["ingest.before-put", "ingest.after-put"].as_slice(), [1, 3, 5]),
        (&["ingest.before-append", "ingest.after-append", "ingest.before-answer"], [1, 3, 4]),
    ] {
        for point in points {
            for nth in passings {
                let judged = judge(&format!("crash={point}:{nth}")).await;
                assert!(judged.lost.is_empty(), "{point}:{nth} {judged:?}");
                assert!(judged.hollow.is_empty(), "{point}:{nth} {judged:?}");
                let in_update = nth > 3 && !point.ends_with("answer");
                let left = match *point {
                    "ingest.after-put" if in_update => 2,
                    "ingest.before-put" if in_update => 1,
                    "ingest.before-append" if in_update => 3,
                    "ingest.after-put" | "ingest.before-append" => 1,
                    _ => 0,
                };
                assert_eq!(judged.unnamed, left, "{point}:{nth}: only what was on its way");
            }
        }
    }
    let judged = judge("").await;
    assert!(judged.lost.is_empty() && judged.hollow.is_empty() && judged.unnamed == 0);
}

#[tokio::test]
async fn an_event_before_its_bytes_is_seen() {
    let judged = judge("bug=event-before-bytes crash=ingest.before-put:2").await;
    assert_eq!(judged.hollow.len(), 1, "{judged:?}");
    let judged = judge("bug=event-before-bytes").await;
    assert!(judged.hollow.is_empty(), "the bytes come");
}
