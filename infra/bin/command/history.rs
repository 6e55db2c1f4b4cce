//! `sluice history`: a client's uploads, and where each ended up.

use clap::Args;
use client::PageAsk;
use schemas::api::UploadView;
use schemas::id::AccountId;
use schemas::name::PoolName;

use crate::outcome::Done;
use crate::print::{bytes, or_dash, word};
use crate::session::Session;

/// Show uploads, newest first: yours, or another client's
#[derive(Args, Debug)]
pub(crate) struct HistoryArgs {
    /// Only those in this pool
    #[arg(long, short, env = "SLUICE_POOL", value_name = "NAME")]
    pool: Option<PoolName>,
    /// Those of this account, for admins and analysts of the pool
    #[arg(long, value_name = "ID")]
    client: Option<AccountId>,
    /// Uploads at most
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

pub(crate) async fn run(args: HistoryArgs, session: &Session) -> anyhow::Result<Done> {
    let client = session.client()?;
    let who = match args.client {
        Some(who) => who,
        None => session.user_id(&client).await?,
    };
    let (pool, reader) = (&args.pool, &client);
    let uploads = session.pages(args.limit, async |page: PageAsk| match pool {
        Some(pool) => reader.history(pool, who, &page).await,
        None => reader.client_history(who, &page).await,
    });
    let heads = ["received", "pool", "name", "size", "state", "window from", "batch", "revision"];
    session.print.rows(heads, &uploads.await?, row)?;
    Ok(Done::Whole)
}

pub(super) fn row(upload: &UploadView) -> [String; 8] {
    let state = match (upload.late, upload.held_because) {
        (_, Some(reason)) => format!("{}: {}", word(&upload.state), word(&reason)),
        (true, None) => format!("{}, late", word(&upload.state)),
        (false, None) => word(&upload.state),
    };
    [
        upload.received_at.to_string(),
        upload.pool.to_string(),
        upload.name.to_string(),
        bytes(upload.size_bytes),
        state,
        upload.window.start.to_string(),
        or_dash(upload.batch),
        or_dash(upload.revision),
    ]
}
