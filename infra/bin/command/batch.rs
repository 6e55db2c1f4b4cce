//! `sluice batch`: what admins do about one batch.

use clap::{Args, Subcommand};
use schemas::id::BatchId;

use crate::outcome::Done;
use crate::session::{OfPool, Session};

/// Decide on a batch; for owners and admins of its pool
#[derive(Args, Debug)]
pub(crate) struct BatchArgs {
    #[command(subcommand)]
    act: BatchAct,
}

#[derive(Debug, Subcommand)]
enum BatchAct {
    /// Have a batch that was given up be worked on again, with all its attempts before it
    Retry {
        #[command(flatten)]
        of: OfPool,
        /// The batch
        batch: BatchId,
    },
}

pub(crate) async fn run(args: BatchArgs, session: &Session) -> anyhow::Result<Done> {
    let BatchAct::Retry { of, batch } = args.act;
    session.client()?.retry_batch(&of.pool, batch).await?;
    session.print.note(&format!("{batch} can be claimed again"));
    Ok(Done::Whole)
}
