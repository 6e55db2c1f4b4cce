//! What is played: three windows of files, and two clients that come back with one file for each.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use client::spool::{Bounds, ItemFacts, Spool};
use client::{Progress, Source, Upload, fresh};
use futures_util::future::try_join_all;
use schemas::api::UploadReceipt;
use schemas::name::FileName;
use schemas::time::{ObservedAt, Wall};

use super::readings::readings;
use super::tell::{span, title};
use super::troupe::{Member, PERIOD_MS, Part, Troupe};
use crate::print::bytes;

/// Windows that are played.
const ROUNDS: u32 = 3;
/// What files are long, in bytes: each client has another at each round.
const SIZES_BYTES: [usize; 7] =
    [100_000, 250_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000];
/// What files of the offline clients are long, in bytes.
const AWAY_BYTES: usize = 400_000;
/// From the beginning of a window to its first file: past the grace of the one before.
const FIRST_MS: u64 = 800;
/// From one client to the next.
const NEXT_MS: u64 = 300;

/// Files that will have been sent.
pub(super) const FILES: u32 = ROUNDS * 9;

/// Plays it, and proves that everything has arrived.
pub(super) async fn play(troupe: &Troupe) -> anyhow::Result<()> {
    let owner = troupe.one(Part::Owner)?;
    let policy = owner.client.pool(&troupe.pool).await?.policy;
    let now = schemas::time::EffectiveAt::from_millis(fresh::now().millis());
    let first = policy.windows.of(now).end;
    for round in 1..=ROUNDS {
        let start = Wall::from_millis(first.plus(u64::from(round - 1) * PERIOD_MS).millis());
        until(start).await;
        let window = policy.windows.of(first.plus(u64::from(round - 1) * PERIOD_MS));
        title(&format!("Window {round} of {ROUNDS}: {}", span(window)));
        let online = troupe.all(Part::Online).zip(0..);
        let online = online.map(|(member, nth)| troupe.send(member, round, nth, start));
        let offline = troupe.all(Part::Offline).zip(0..);
        let offline = offline.map(|(member, nth)| troupe.keep(member, round, nth, start));
        tokio::try_join!(try_join_all(online), try_join_all(offline))?;
    }
    title("Two clients are back: one update each, grouped by the files' own times");
    try_join_all(troupe.all(Part::Offline).map(|member| troupe.come_back(member))).await?;
    title("The last results");
    troupe.prove().await
}

impl Troupe {
    /// An online client makes a file and sends it at once.
    async fn send(&self, member: &Member, round: u32, nth: u32, start: Wall) -> anyhow::Result<()> {
        let file = name(member, round)?;
        let size = SIZES_BYTES.iter().cycle().nth((nth + round) as usize).copied();
        let made = readings(round * 100 + nth, size.unwrap_or(AWAY_BYTES));
        until(start.plus(FIRST_MS + u64::from(nth) * NEXT_MS)).await;
        let mut upload = Upload::new(file.clone(), Source::bytes(made));
        upload.media_type = "text/csv".parse()?;
        upload.observed_at = Some(ObservedAt::from_millis(fresh::now().millis()));
        let sent = member.client.upload(&self.pool, &upload, &Progress::none()).await;
        let receipt = sent.with_context(|| file.clone())?;
        self.tell.step(member.name.as_str(), &format!("sends {}", landed(&file, &receipt)));
        Ok(())
    }

    /// An offline client makes a file and keeps it in its spool.
    async fn keep(&self, member: &Member, round: u32, nth: u32, start: Wall) -> anyhow::Result<()> {
        let made_at = start.plus(FIRST_MS);
        until(made_at).await;
        let file = name(member, round)?;
        let path = member.folder.join(file.as_str());
        let seed = round * 100 + 50 + nth;
        tokio::fs::write(&path, readings(seed, AWAY_BYTES)).await?;
        let facts = ItemFacts {
            pool: self.pool.clone(),
            name: file.clone(),
            observed_at: ObservedAt::from_millis(made_at.millis()),
            media_type: "text/csv".parse()?,
        };
        let kept = spool(member)?.add(&path, facts).await?;
        let size = bytes(kept.size_bytes);
        self.tell
            .step(member.name.as_str(), &format!("is offline: {file} ({size}) waits in its spool"));
        Ok(())
    }

    /// An offline client sends all it has kept.
    async fn come_back(&self, member: &Member) -> anyhow::Result<()> {
        let sent = spool(member)?.flush(&member.client, &self.pool, &Progress::none()).await?;
        if let Some(error) = sent.left {
            return Err(error).with_context(|| member.name.clone());
        }
        let receipts: Vec<_> = sent.receipts.iter().flat_map(|receipt| &receipt.items).collect();
        ensure!(receipts.len() == ROUNDS as usize, "{} sent {} files", member.name, receipts.len());
        for (receipt, round) in receipts.into_iter().zip(1..) {
            let what = landed(&name(member, round)?, receipt);
            self.tell.step(member.name.as_str(), &format!("sends {what}"));
        }
        Ok(())
    }
}

fn spool(member: &Member) -> anyhow::Result<Spool> {
    Ok(Spool::open(member.folder.join("spool"), Bounds::default())?)
}

fn name(member: &Member, round: u32) -> anyhow::Result<FileName> {
    Ok(format!("{}-{round}.csv", member.name).parse()?)
}

/// What a receipt says.
fn landed(file: &FileName, receipt: &UploadReceipt) -> String {
    let (size, window) = (bytes(receipt.size_bytes), span(receipt.landing.window));
    let late = if receipt.landing.late { ", which has closed: late" } else { "" };
    format!("{file} ({size}): stored, in window {window}{late}")
}

async fn until(at: Wall) {
    tokio::time::sleep(Duration::from_millis(at.since(fresh::now()))).await;
}
