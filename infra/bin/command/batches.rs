//! `sluice batches`: the batches of a pool, one with its revisions, or one of a range that is asked
//! for.

use std::io::Write as _;
use std::pin::pin;

use clap::Args;
use client::PageAsk;
use futures_util::TryStreamExt as _;
use schemas::api::{BatchView, RequestBatch, RevisionView};
use schemas::id::BatchId;
use schemas::time::EffectiveAt;

use crate::outcome::Done;
use crate::print::{bytes, or_dash, word};
use crate::session::{OfPool, Session};

/// Show batches, newest first: what is in each, who works on it, which revision has a result
#[derive(Args, Debug)]
pub(crate) struct BatchesArgs {
    #[command(flatten)]
    of: OfPool,
    /// Only this one, with its revisions
    batch: Option<BatchId>,
    /// Write its files to standard output, as a tar archive: sluice batches BATCH --tar | tar x
    #[arg(long, requires = "batch")]
    tar: bool,
    /// Make a batch of all files from this moment on (RFC 3339), beside the windows
    #[arg(long, value_name = "TIME", requires = "to", conflicts_with = "batch")]
    from: Option<EffectiveAt>,
    /// Up to this one
    #[arg(long, value_name = "TIME", requires = "from")]
    to: Option<EffectiveAt>,
    /// Batches at most
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

pub(crate) async fn run(args: BatchesArgs, session: &Session) -> anyhow::Result<Done> {
    let (client, pool) = (session.client()?, &args.of.pool);
    if let (Some(from), Some(to)) = (args.from, args.to) {
        let ask = RequestBatch { request: None, from, to };
        let made = client.request_batch(pool, &ask).await?;
        session.print.object(&made, |made| made.batch.to_string())?;
        return Ok(Done::Whole);
    }
    if let Some(batch) = args.batch {
        if args.tar {
            let mut pieces = pin!(client.batch_archive(pool, batch, None).await?);
            let mut out = std::io::stdout();
            while let Some(piece) = pieces.try_next().await? {
                out.write_all(&piece)?;
            }
            out.flush()?;
            return Ok(Done::Whole);
        }
        let view = client.batch(pool, batch).await?;
        if session.print.is_json() {
            session.print.object(&view, |_| String::new())?;
        } else {
            let heads = ["revision", "closed", "because", "files", "size", "missing", "result"];
            session.print.rows(heads, &view.revisions, revision)?;
        }
        return Ok(Done::Whole);
    }
    let reader = &client;
    let batches =
        session.pages(args.limit, async |page: PageAsk| reader.batches(pool, &page).await);
    let heads = ["window from", "to", "part", "batch", "revision", "files", "size", "state"];
    session.print.rows(heads, &batches.await?, row)?;
    Ok(Done::Whole)
}

fn row(batch: &BatchView) -> [String; 8] {
    [
        batch.window.start.to_string(),
        batch.window.end.to_string(),
        batch.part.to_string(),
        batch.batch.to_string(),
        batch.revision.to_string(),
        batch.files.to_string(),
        bytes(batch.bytes),
        state(batch),
    ]
}

/// What became of the newest revision.
fn state(batch: &BatchView) -> String {
    let lease = batch.lease.as_ref().filter(|lease| lease.held);
    match (batch.result_revision, lease) {
        (Some(revision), _) if revision == batch.revision => "has its result".to_owned(),
        _ if batch.cancelled => "cancelled".to_owned(),
        _ if batch.failed => "failed".to_owned(),
        (_, Some(lease)) => format!("attempt {} until {}", lease.attempt, lease.expires_at),
        (Some(revision), None) => format!("waits, revision {revision} has a result"),
        (None, None) => "waits for a worker".to_owned(),
    }
}

fn revision(view: &RevisionView) -> [String; 7] {
    let closed = &view.closed;
    [
        closed.revision.to_string(),
        closed.log_clock.to_string(),
        word(&closed.reason),
        closed.files.to_string(),
        bytes(closed.bytes),
        format!("{} of {}", closed.missing_count, closed.expected),
        or_dash(view.result),
    ]
}
