//! Clients that send, members that receive, workers that work: whatever happens to the server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use client::{Client, Patience, Progress, Source, Update, UpdateFile, Upload};
use schemas::api::UploadReceipt;
use schemas::digest::Digest;
use schemas::id::AccountId;
use schemas::name::PoolName;
use schemas::time::ObservedAt;
use tokio_util::sync::CancellationToken;

use super::history::{Acked, Latest, Received, Recorder};
use crate::random::Random;

/// One who sends files, or receives results, or both.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) account: AccountId,
    pub(super) client: Client,
    pub(super) pool: PoolName,
    pub(super) folder: PathBuf,
    pub(super) notes: Recorder,
}

/// Short waits: the server is away for less than a second at a time.
pub(super) fn patience() -> Patience {
    Patience {
        tries_max: 20,
        wait_min: Duration::from_millis(50),
        wait_max: Duration::from_millis(500),
        silence_max: Duration::from_secs(10),
    }
}

async fn pause(random: &mut Random, millis: std::ops::Range<u64>) {
    tokio::time::sleep(Duration::from_millis(random.within(millis))).await;
}

/// Sends files until told to stop: single ones, updates with many times, now and then the same
/// again, now and then far too late.
pub(super) async fn send(person: Person, mut random: Random, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match random.within(0..10) {
            0 => send_update(&person, &mut random).await,
            _ => send_one(&person, &mut random).await,
        }
        pause(&mut random, 5..60).await;
    }
}

/// A moment a little ago; now and then long ago.
fn moment(random: &mut Random) -> ObservedAt {
    let ago = if random.percent(8) { 30_000..60_000 } else { 0..2_500 };
    ObservedAt::from_millis(client::fresh::now().millis()).minus(random.within(ago))
}

fn file(person: &Person, random: &mut Random) -> Source {
    let count = random.within(100..20_000);
    let mut bytes = random.bytes(count);
    // No program begins so: those are never taken, and by chance one came now and then.
    bytes[0] = 1;
    let source = Source::bytes(bytes);
    person.notes.note(|history| _ = history.attempted.insert(source.sha256()));
    source
}

/// What a file is called that is rejected.
pub(super) const BAD: &str = "bad.csv";

/// A file that is inspected: now and then one that is rejected.
fn inspected(person: &Person, random: &mut Random) -> (&'static str, Source) {
    let mut numbers = String::new();
    for _ in 0..random.within(10..500) {
        numbers.push_str(&random.within(0..1_000_000).to_string());
        numbers.push('\n');
    }
    let (name, end) = if random.percent(30) { (BAD, "none") } else { ("good.csv", "7") };
    let source = Source::bytes(format!("n\n{numbers}{end}\n").into_bytes());
    person.notes.note(|history| _ = history.attempted.insert(source.sha256()));
    (name, source)
}

async fn send_one(person: &Person, random: &mut Random) {
    let mut upload = if random.percent(25) {
        let (name, source) = inspected(person, random);
        let mut upload = Upload::new(name.parse().unwrap(), source);
        upload.media_type = "text/csv".parse().unwrap();
        upload
    } else {
        Upload::new("f.bin".parse().unwrap(), file(person, random))
    };
    upload.observed_at = Some(moment(random));
    let repeats = if random.percent(15) { 2 } else { 1 };
    for _ in 0..repeats {
        let sent = person.client.upload(&person.pool, &upload, &Progress::none()).await;
        match sent {
            Ok(receipt) => note(person, &receipt, upload.source.sha256()),
            Err(error) => unexpected(person, &error),
        }
    }
}

async fn send_update(person: &Person, random: &mut Random) {
    let files = (0..random.within(2..6)).map(|_| UpdateFile {
        source: file(person, random),
        name: "u.bin".parse().unwrap(),
        media_type: "application/octet-stream".parse().unwrap(),
        observed_at: moment(random),
    });
    let files: Vec<_> = files.collect();
    let key = client::fresh::key();
    let update = Update { files, sent_at: None, on_invalid: client::OnInvalid::Refuse, key };
    match person.client.update(&person.pool, &update, &Progress::none()).await {
        Ok(receipt) => {
            for (receipt, file) in receipt.items.iter().zip(&update.files) {
                note(person, receipt, file.source.sha256());
            }
            if receipt.items.len() != update.files.len() {
                wrong(person, "an update was taken in part");
            }
        }
        Err(error) => unexpected(person, &error),
    }
}

fn note(person: &Person, receipt: &UploadReceipt, sent: Digest) {
    if receipt.sha256 != sent {
        wrong(person, "a receipt has another digest");
    }
    let acked = Acked {
        upload: receipt.upload,
        client: person.account,
        sha256: sent,
        size_bytes: receipt.size_bytes,
        effective_at: receipt.effective_at,
    };
    person.notes.note(|history| history.acked.push(acked));
}

/// What a server that is killed may answer with, or not answer: anything else is wrong.
pub(super) fn unexpected(person: &Person, error: &client::Error) {
    if !error.retryable() && !error.may_be_done() {
        wrong(person, &format!("refused: {error}"));
    }
}

pub(super) fn wrong(person: &Person, what: &str) {
    person.notes.note(|history| history.wrong.push(what.to_owned()));
}

/// Receives results until told to stop: whatever is pending is fetched, checked, acknowledged.
pub(super) async fn receive(person: Person, mut random: Random, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = receive_pending(&person).await {
            unexpected(&person, &error);
        }
        look_at_latest(&person).await;
        pause(&mut random, 100..300).await;
    }
}

/// Receives what is pending now.
pub(super) async fn receive_pending(person: &Person) -> client::Result<usize> {
    let page = client::PageAsk { cursor: None, limit: Some(20) };
    let pending = person.client.pending_results(&person.pool, &page).await?.items;
    for result in &pending {
        let to = person.folder.join(format!("{}.result", result.result));
        person.client.fetch_result(&person.pool, result, &to, &Progress::none()).await?;
        let sha256 = digest_of(&to);
        let received = Received { member: person.account, result: result.result, sha256 };
        person.notes.note(|history| history.received.push(received));
        // Should the answer to this be lost, the receipt may stand nevertheless.
        person.client.acknowledge(&person.pool, result.result, sha256).await?;
    }
    Ok(pending.len())
}

async fn look_at_latest(person: &Person) {
    // There may be none yet, and the server may be away.
    if let Ok(result) = person.client.latest_result(&person.pool).await {
        let latest = Latest { window: result.window, part: result.part, revision: result.revision };
        person.notes.note(|history| history.latest.push((person.account, latest)));
    }
}

fn digest_of(path: &Path) -> Digest {
    Digest::of(&std::fs::read(path).unwrap())
}
