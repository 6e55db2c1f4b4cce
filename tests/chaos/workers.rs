//! Workers: some honest, some that fall asleep over their lease and wake up too late.

use std::time::Duration;

use client::{Offer, Source};
use schemas::api::{Claim, Lease};
use schemas::digest::Digest;
use schemas::file::{FileRef, manifest_digest};
use tokio_util::sync::CancellationToken;

use super::history::Offered;
use super::load::{Person, unexpected, wrong};
use crate::random::Random;

/// Longest a worker sleeps: leases of the pool are half as long.
const ASLEEP_MAX: Duration = Duration::from_secs(4);

/// How many times in a hundred a worker falls asleep, unless a test wants more.
pub(super) const ASLEEP_PERCENT: u64 = 10;

/// One who works, and how often it falls asleep.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) person: Person,
    pub(super) asleep_percent: u64,
}

/// Works until told to stop.
pub(super) async fn work(worker: Worker, mut random: Random, stop: CancellationToken) {
    let Worker { person, asleep_percent } = worker;
    while !stop.is_cancelled() {
        let claim = Claim { claim: client::fresh::claim(), wait_ms: 500 };
        match person.client.claim(&person.pool, &claim).await {
            Ok(Some(lease)) => {
                if let Err(error) = work_on(&person, &lease, &mut random, asleep_percent).await {
                    fenced(&person, &error);
                }
            }
            Ok(None) => {}
            Err(error) => unexpected(&person, &error),
        }
    }
}

/// Being too late is what this is about; anything else is judged as usual.
fn fenced(person: &Person, error: &client::Error) {
    use schemas::problem::Code;
    if !matches!(error.code(), Some(Code::StaleLease | Code::ResultExists)) {
        unexpected(person, error);
    }
}

async fn work_on(
    person: &Person,
    lease: &Lease,
    random: &mut Random,
    asleep_percent: u64,
) -> client::Result<()> {
    let Person { client, pool, .. } = person;
    client.renew(pool, lease.batch, lease.epoch).await?;
    let files = manifest(person, lease).await?;
    let file = &files[usize::try_from(random.within(0..files.len() as u64)).unwrap()];
    let to = person.folder.join(format!("{}.input", file.upload));
    client.fetch_batch_file(pool, lease.batch, file, &to).await?;
    let asleep = random.percent(asleep_percent);
    let digests: Vec<_> = files.iter().map(|file| file.sha256.to_string()).collect();
    let mut text = digests.join("\n");
    if asleep {
        // Another may hold it by then, or nobody, or it may have its result: all are too late.
        _ = tokio::time::timeout(ASLEEP_MAX, superseded(person, lease)).await;
        text.push_str("made half asleep\n");
    } else if random.percent(5) {
        return client.fail(pool, lease.batch, lease.epoch, "not today", true).await;
    }
    // Which worker made it can be told, so that no two results are alike by chance.
    text.push_str(&lease.epoch.to_string());
    let source = Source::bytes(text.into_bytes());
    let sha256 = source.sha256();
    let offer = Offer::new("sum.txt".parse().unwrap(), "text/plain".parse().unwrap(), source);
    client.offer_result(pool, lease, &offer).await?;
    let (batch, revision) = (lease.batch, lease.revision);
    person.notes.note(|history| history.offered.push(Offered { batch, revision, sha256 }));
    Ok(())
}

/// Returns once another worker holds the batch.
async fn superseded(person: &Person, lease: &Lease) {
    loop {
        let batch = person.client.batch(&person.pool, lease.batch).await;
        let held = batch.ok().and_then(|batch| batch.lease);
        if held.is_some_and(|held| held.epoch > lease.epoch) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The files of the leased revision; its digest is checked as any worker can.
async fn manifest(person: &Person, lease: &Lease) -> client::Result<Vec<FileRef>> {
    let files = person.client.whole_manifest(&person.pool, lease.batch, lease.revision).await?;
    let mut digest: Option<Digest> = None;
    for page in files.chunk_by(|a, b| a.page == b.page) {
        digest = Some(manifest_digest(digest, page.iter().map(|file| &file.file)));
    }
    if digest != Some(lease.manifest_sha256) {
        wrong(person, "a manifest is not the one that was leased");
    }
    Ok(files.into_iter().map(|file| file.file).collect())
}
