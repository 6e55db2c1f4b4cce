//! Sweeping: objects that nothing names are removed, and those that have been kept for as long as
//! their pool keeps them.
//!
//! An object goes as unnamed only when it is old by the store's clock, no row of the tables names
//! it, the tables have read whatever its pool's events say of files, and all of that was so some
//! time ago as well, by a clock that does not jump. Whatever is in doubt stays.

mod judge;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use infra::blobs::{self, Blobs, Stale};
use infra::clock::Clock;
use infra::directory::Directory;
use infra::log::Read;
use infra::telemetry::{Counter, Metrics};
use infra::views;
use schemas::api::SweepReport;
use schemas::limit::Limits;
use schemas::name::ObjectKey;
use schemas::time::Wall;
use tokio_util::sync::CancellationToken;

use self::judge::{Round, Verdict};
use crate::{Progress, Tables};

/// Keys that a report names at most.
const NAMED_MAX: usize = 100;
/// Removals after which others get their turn.
const BREATH: Duration = Duration::from_millis(1);

/// What a sweeper works with.
#[derive(Clone, Debug)]
pub struct SweepDeps {
    /// The log: only read.
    pub read: Arc<dyn Read>,
    /// The tables.
    pub tables: Tables,
    /// How far they have got.
    pub progress: Arc<Progress>,
    /// Which pools there are, and which snapshots.
    pub directory: Arc<Directory>,
    /// The objects.
    pub blobs: Arc<dyn Blobs>,
    /// The store's clock, and one that does not jump.
    pub clock: Arc<dyn Clock>,
    /// How often, how many, how old.
    pub limits: Arc<Limits>,
}

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The store could not be asked.
    #[error(transparent)]
    Blobs(#[from] blobs::Error),
    /// The tables could not be asked.
    #[error(transparent)]
    Tables(#[from] views::Error),
    /// The log could not be asked.
    #[error(transparent)]
    Log(#[from] infra::log::Error),
    /// The directory is not read to its end.
    #[error(transparent)]
    Directory(#[from] infra::directory::Stale),
}

/// What is counted.
#[derive(Clone, Debug, Default)]
struct SweepMetrics {
    looked_at: Counter,
    unnamed: Counter,
    erased: Counter,
    failed: Counter,
}

impl SweepMetrics {
    fn new(metrics: &Metrics) -> Self {
        let all = Self::default();
        metrics.add("sweep_looked_at", "Objects looked at", all.looked_at.clone());
        let unnamed = "Objects removed because nothing names them";
        metrics.add("sweep_removed_unnamed", unnamed, all.unnamed.clone());
        let erased = "Objects removed because they were kept for long enough";
        metrics.add("sweep_removed_erased", erased, all.erased.clone());
        metrics.add("sweep_failed_rounds", "Rounds that ended early", all.failed.clone());
        all
    }
}

/// Sweeps, round after round.
pub struct Sweeper {
    deps: SweepDeps,
    metrics: SweepMetrics,
    /// Where the walk through the store is.
    walk: Option<BoxStream<'static, blobs::Result<Stale>>>,
    /// What nothing named when it was seen first, and when that was.
    suspects: HashMap<ObjectKey, Duration>,
}

impl Sweeper {
    /// One that has not begun.
    pub fn new(deps: SweepDeps, metrics: &Metrics) -> Self {
        let metrics = SweepMetrics::new(metrics);
        Self { deps, metrics, walk: None, suspects: HashMap::new() }
    }

    /// Sweeps until told to end. A round that fails is only late.
    pub async fn run(mut self, token: CancellationToken) {
        let every = Duration::from_millis(self.deps.limits.sweep_every_ms);
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                () = tokio::time::sleep(every) => {}
            }
            let swept = tokio::select! {
                () = token.cancelled() => return,
                swept = self.round() => swept,
            };
            match swept {
                Ok(report) => tracing::debug!(?report, "swept"),
                Err(error) => {
                    self.metrics.failed.inc();
                    self.walk = None;
                    tracing::warn!(%error, "a round of sweeping ended early");
                }
            }
        }
    }

    /// One round: goes on where the last one ended.
    pub async fn round(&mut self) -> Result<SweepReport, SweepError> {
        let deps = self.deps.clone();
        let mut round = Round::begin(&deps).await?;
        let mut report = SweepReport::default();
        let mut walk = match self.walk.take() {
            Some(walk) => walk,
            None => self.deps.blobs.stale(self.deps.clock.now()).await?,
        };
        for _ in 0..self.deps.limits.sweep_objects_max {
            let Some(stale) = walk.next().await else {
                report.complete = true;
                break;
            };
            let stale = stale?;
            let mut verdict = round.judge(&stale).await?;
            if verdict == Verdict::Unnamed && !self.was_suspect(&stale) {
                verdict = Verdict::Suspect;
            }
            note(&mut report, &stale, verdict);
            self.metrics.looked_at.inc();
            let removed = match verdict {
                Verdict::Unnamed => &self.metrics.unnamed,
                Verdict::Erased => &self.metrics.erased,
                Verdict::Named | Verdict::Young | Verdict::Suspect | Verdict::Doubtful => continue,
            };
            self.suspects.remove(key_of(&stale));
            self.deps.blobs.remove(stale).await?;
            removed.inc();
            tokio::time::sleep(BREATH).await;
        }
        if !report.complete {
            self.walk = Some(walk);
        }
        Ok(report)
    }

    /// What a round from the beginning would find; nothing is removed.
    pub async fn look(deps: &SweepDeps) -> Result<SweepReport, SweepError> {
        let mut round = Round::begin(deps).await?;
        let mut report = SweepReport { dry_run: true, ..SweepReport::default() };
        let mut walk = deps.blobs.stale(deps.clock.now()).await?;
        for _ in 0..deps.limits.sweep_objects_max {
            let Some(stale) = walk.next().await else {
                report.complete = true;
                break;
            };
            let stale = stale?;
            let verdict = round.judge(&stale).await?;
            note(&mut report, &stale, verdict);
        }
        Ok(report)
    }

    /// Whether it was found unnamed long enough ago. As many are remembered as a round looks at;
    /// the others are suspect when their turn comes.
    fn was_suspect(&mut self, stale: &Stale) -> bool {
        let now = self.deps.clock.uptime();
        let key = key_of(stale);
        let settle = Duration::from_millis(self.deps.limits.sweep_settle_ms);
        if let Some(seen) = self.suspects.get(key) {
            return now.saturating_sub(*seen) >= settle;
        }
        if (self.suspects.len() as u64) < self.deps.limits.sweep_objects_max {
            self.suspects.insert(key.clone(), now);
        }
        false
    }
}

impl fmt::Debug for Sweeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweeper").field("suspects", &self.suspects.len()).finish_non_exhaustive()
    }
}

fn key_of(stale: &Stale) -> &ObjectKey {
    match stale {
        Stale::Object { key, .. } => key,
        Stale::Multipart { upload, .. } => &upload.key,
    }
}

fn put_at(stale: &Stale) -> Wall {
    match stale {
        Stale::Object { put_at, .. } => *put_at,
        Stale::Multipart { begun_at, .. } => *begun_at,
    }
}

fn note(report: &mut SweepReport, stale: &Stale, verdict: Verdict) {
    report.looked_at += 1;
    let count = match verdict {
        Verdict::Named => &mut report.named,
        Verdict::Young => &mut report.young,
        Verdict::Doubtful => &mut report.doubtful,
        Verdict::Suspect => &mut report.suspect,
        Verdict::Unnamed => &mut report.unnamed,
        Verdict::Erased => &mut report.erased,
    };
    *count += 1;
    if matches!(verdict, Verdict::Unnamed | Verdict::Erased) && report.objects.len() < NAMED_MAX {
        report.objects.push(key_of(stale).clone());
    }
}
