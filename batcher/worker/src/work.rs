//! The work on one leased batch: its files, its handler, its result.

use std::io;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use client::{Error, Offer, fresh};
use futures_util::FutureExt;
use schemas::api::Lease;
use schemas::id::ResultId;
use schemas::problem::Code;
use tempfile::TempDir;

use crate::batch::{Batch, Failed, InputFile, Output};
use crate::gather::{Trouble, gather};
use crate::renew::Held;
use crate::run::{Ended, Worker};

/// Why a batch has no result of ours.
enum Unfinished {
    /// To be given back.
    Failed(Failed),
    /// To be given back, and no reason to claim another: this machine or this account is the fault.
    Unfit(Error),
    /// Another worker was first, or will be.
    Lost,
}

impl Worker {
    /// Works on a batch for as long as its lease is held.
    pub(crate) async fn work<F>(
        &self,
        lease: &Lease,
        handler: impl Fn(Batch) -> F,
    ) -> Result<Ended, Error>
    where
        F: Future<Output = Result<Output, Failed>>,
    {
        let (batch, revision) = (lease.batch, lease.revision);
        let held = Held::new(&self.client, &self.pool, lease);
        match self.finish(lease, &held, handler).await {
            Ok(result) => Ok(Ended::Published { batch, revision, result }),
            Err(Unfinished::Lost) => Ok(Ended::Lost { batch, revision }),
            Err(Unfinished::Failed(failed)) => {
                self.give_back(lease, &failed).await?;
                Ok(Ended::Failed { batch, revision, reason: failed.reason })
            }
            Err(Unfinished::Unfit(error)) => {
                // What keeps this worker from working is no news of the batch.
                _ = self.give_back(lease, &Failed::because(&error)).await;
                Err(error)
            }
        }
    }

    async fn finish<F>(
        &self,
        lease: &Lease,
        held: &Held,
        handler: impl Fn(Batch) -> F,
    ) -> Result<ResultId, Unfinished>
    where
        F: Future<Output = Result<Output, Failed>>,
    {
        let folder = temporary(self.folder()).map_err(Unfinished::Unfit)?;
        let offer = tokio::select! {
            biased;
            () = held.lost() => return Err(Unfinished::Lost),
            offer = self.compute(lease, folder.path(), handler) => offer?,
        };
        // From here on the server judges: the lease also ends when it takes the result.
        let result = self.publish(lease, held, &offer).await?;
        // Thousands of files may lie in it.
        let removed = tokio::task::spawn_blocking(move || folder.close()).await;
        if let Ok(Err(error)) = removed {
            tracing::warn!(%error, "a temporary folder was left");
        }
        Ok(result)
    }

    async fn compute<F>(
        &self,
        lease: &Lease,
        folder: &Path,
        handler: impl Fn(Batch) -> F,
    ) -> Result<Offer, Unfinished>
    where
        F: Future<Output = Result<Output, Failed>>,
    {
        let batch = Batch {
            pool: self.pool.clone(),
            batch: lease.batch,
            revision: lease.revision,
            attempt: lease.attempt,
            files: self.gathered(lease, folder).await?,
            folder: folder.to_owned(),
        };
        let handled = AssertUnwindSafe(async { handler(batch).await }).catch_unwind().await;
        let output = match handled {
            Ok(Ok(output)) => output,
            Ok(Err(failed)) => return Err(Unfinished::Failed(failed)),
            Err(panic) => return Err(Unfinished::Failed(Failed::because(panic_text(&*panic)))),
        };
        let source = output.source().await;
        let source = source
            .map_err(|error| Unfinished::Failed(Failed::because(format!("no output: {error}"))))?;
        Ok(Offer::new(output.name, output.media_type, source))
    }

    /// The files, asked for until they are there or it is clear that they cannot be had.
    async fn gathered(&self, lease: &Lease, folder: &Path) -> Result<Vec<InputFile>, Unfinished> {
        loop {
            let gathered = gather(&self.client, &self.pool, lease, folder, self.reach).await;
            let trouble = match gathered {
                Ok(files) => return Ok(files),
                Err(trouble) => trouble,
            };
            match trouble.error() {
                Some(error) if error.retryable() && !self.is_stopping() => {
                    tracing::warn!(%trouble, "files cannot be fetched now");
                    tokio::time::sleep(fresh::jitter(self.reach.pause_max)).await;
                }
                Some(Error::Local { .. }) => return Err(unfit(trouble)),
                Some(error) if error.retryable() || is_about_us(error) => {
                    return Err(unfit(trouble));
                }
                _ if matches!(trouble, Trouble::TooLarge { .. }) => {
                    return Err(Unfinished::Failed(Failed::for_good(trouble)));
                }
                _ => return Err(Unfinished::Failed(Failed::because(trouble))),
            }
        }
    }

    /// Offers the result until the server has judged it, under one key.
    async fn publish(
        &self,
        lease: &Lease,
        held: &Held,
        offer: &Offer,
    ) -> Result<ResultId, Unfinished> {
        loop {
            match self.client.offer_result(&self.pool, lease, offer).await {
                Ok(receipt) => return Ok(receipt.result),
                Err(error) if error.retryable() && held.is_lost() => return Err(Unfinished::Lost),
                Err(error) if error.retryable() && !self.is_stopping() => {
                    tracing::warn!(%error, "the result cannot be offered now");
                    tokio::time::sleep(fresh::jitter(self.reach.pause_max)).await;
                }
                Err(error) => return Err(judged(error)),
            }
        }
    }

    /// Gives the batch back. When that cannot be said, the lease runs out and says it.
    async fn give_back(&self, lease: &Lease, failed: &Failed) -> Result<(), Error> {
        let Failed { reason, retryable } = failed;
        let said = self.client.fail(&self.pool, lease.batch, lease.epoch, reason, *retryable).await;
        match said {
            Err(error) if is_about_us(&error) => Err(error),
            Err(error) => {
                tracing::warn!(%error, "the batch could not be given back: its lease will run out");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}

fn unfit(trouble: Trouble) -> Unfinished {
    match trouble {
        Trouble::Folder(error)
        | Trouble::File { error, .. }
        | Trouble::Manifest(crate::manifest::Fault::Call(error)) => Unfinished::Unfit(error),
        trouble => Unfinished::Failed(Failed::because(trouble)),
    }
}

/// What a refused result means.
fn judged(error: Error) -> Unfinished {
    match error.code() {
        Some(Code::StaleLease | Code::ResultExists | Code::OtherManifest) => Unfinished::Lost,
        _ if error.retryable() || is_about_us(&error) => Unfinished::Unfit(error),
        Some(_) => Unfinished::Failed(Failed::for_good(format!("the result was refused: {error}"))),
        None => Unfinished::Failed(Failed::because(format!("the result was refused: {error}"))),
    }
}

/// Whether the server refuses this worker, whatever it asks.
fn is_about_us(error: &Error) -> bool {
    matches!(error.status(), Some(401 | 403))
}

fn temporary(below: Option<&Path>) -> Result<TempDir, Error> {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("sluice-batch-");
    let made = match below {
        Some(folder) => builder.tempdir_in(folder),
        None => builder.tempdir(),
    };
    made.map_err(|source: io::Error| {
        let path = below.map_or_else(std::env::temp_dir, Path::to_owned);
        Error::Local { path, source }
    })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the handler panicked: {}", text.unwrap_or("without a word"))
}
