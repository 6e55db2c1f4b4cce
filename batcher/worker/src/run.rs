//! The worker: claims, works, and goes on until it is told to stop.

use std::path::{Path, PathBuf};
use std::time::Duration;

use client::{Client, Error, fresh};
use schemas::api::{Claim, Lease};
use schemas::id::{BatchId, ResultId};
use schemas::name::PoolName;
use schemas::problem::Code;
use tokio_util::sync::CancellationToken;

use crate::batch::{Batch, Failed, Output};
use crate::gather::Reach;

/// How long a claim waits for a batch.
const CLAIM_WAIT: Duration = Duration::from_secs(30);
/// Longest pause before the next claim when there was nothing, for servers that do not wait.
const IDLE_MAX: Duration = Duration::from_millis(500);

/// Works on the batches of one pool, one at a time. Any number of them may work on the same pool.
#[derive(Clone, Debug)]
pub struct Worker {
    pub(crate) client: Client,
    pub(crate) pool: PoolName,
    stop: CancellationToken,
    pub(crate) reach: Reach,
    folder: Option<PathBuf>,
}

/// How the work on a batch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its result is the revision's.
    Published {
        /// The batch.
        batch: BatchId,
        /// The revision.
        revision: u32,
        /// The result.
        result: ResultId,
    },
    /// It was given back.
    Failed {
        /// The batch.
        batch: BatchId,
        /// The revision.
        revision: u32,
        /// Why.
        reason: String,
    },
    /// The lease was lost, or another worker was first: the work was dropped.
    Lost {
        /// The batch.
        batch: BatchId,
        /// The revision.
        revision: u32,
    },
}

impl Worker {
    /// A worker of this pool. The client should sign in by itself ([`Client::signing_in`]): a
    /// token alone does not live as long as a worker.
    pub fn new(client: Client, pool: PoolName) -> Self {
        let reach = Reach {
            fetches_max: 4,
            input_bytes_max: 100_000_000_000,
            pause_max: Duration::from_secs(15),
        };
        Self { client, pool, stop: CancellationToken::new(), reach, folder: None }
    }

    /// Stops when this token is cancelled: claims no more, and finishes the batch in hand, unless
    /// the server is away. To drop that as well, drop the future: the lease runs out and the batch
    /// is another worker's.
    pub fn until(mut self, stop: CancellationToken) -> Self {
        self.stop = stop;
        self
    }

    /// With files of batches below this folder, instead of the system's temporary one.
    pub fn working_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// With so many files fetched at once. Default 4.
    pub fn fetches_max(mut self, fetches: usize) -> Self {
        self.reach.fetches_max = fetches;
        self
    }

    /// With pauses up to this long, at random, while the server is away. Default 15 s.
    pub fn pause_max(mut self, pause: Duration) -> Self {
        self.reach.pause_max = pause;
        self
    }

    /// Takes batches of no more than these bytes; larger ones are given back for good. Default
    /// 100 GB.
    pub fn input_bytes_max(mut self, bytes: u64) -> Self {
        self.reach.input_bytes_max = bytes;
        self
    }

    /// Works until it is stopped, or until an error that no waiting heals: signed out, no
    /// processor of the pool any more, no room on this machine.
    ///
    /// Renewals run in a task of their own: a handler that blocks its thread for long needs a
    /// runtime with more than one.
    pub async fn run<F>(&self, handler: impl Fn(Batch) -> F) -> Result<(), Error>
    where
        F: Future<Output = Result<Output, Failed>>,
    {
        while self.next(&handler).await?.is_some() {}
        Ok(())
    }

    /// Waits for one batch and works on it; none when the worker was stopped first.
    pub async fn next<F>(&self, handler: impl Fn(Batch) -> F) -> Result<Option<Ended>, Error>
    where
        F: Future<Output = Result<Output, Failed>>,
    {
        let Some(lease) = self.claim().await? else { return Ok(None) };
        let (batch, revision) = (lease.batch, lease.revision);
        tracing::info!(%batch, revision, epoch = lease.epoch, "claimed");
        let ended = self.work(&lease, handler).await?;
        match &ended {
            Ended::Published { result, .. } => tracing::info!(%batch, %result, "published"),
            Ended::Failed { reason, .. } => tracing::warn!(%batch, reason, "given back"),
            Ended::Lost { .. } => tracing::info!(%batch, "dropped"),
        }
        Ok(Some(ended))
    }

    /// The next lease. A claim whose outcome is not known is made again, and gives the same lease;
    /// one that a stop cuts short goes back by itself.
    async fn claim(&self) -> Result<Option<Lease>, Error> {
        let wait_ms = u64::try_from(CLAIM_WAIT.as_millis()).unwrap_or(u64::MAX);
        let mut claim = Claim { claim: fresh::claim(), wait_ms };
        loop {
            let answered = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(None),
                answered = self.client.claim(&self.pool, &claim) => answered,
            };
            let pause = match answered {
                Ok(Some(lease)) => return Ok(Some(lease)),
                Err(error) if error.retryable() => {
                    tracing::warn!(%error, "no batch can be claimed now");
                    error.retry_after().unwrap_or_default() + fresh::jitter(self.reach.pause_max)
                }
                Err(error) if error.code() != Some(Code::StaleLease) => return Err(error),
                // Nothing there, or a lease from an earlier try that has run out since.
                Ok(None) | Err(_) => {
                    claim.claim = fresh::claim();
                    fresh::jitter(self.reach.pause_max.min(IDLE_MAX))
                }
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }
}
