//! `sluice files`: the files of everyone.

use clap::{Args, ValueEnum};
use client::PageAsk;
use schemas::api::{FilesQuery, UploadState};
use schemas::id::AccountId;
use schemas::name::PoolName;
use schemas::time::LogTime;

use super::history;
use crate::outcome::Done;
use crate::session::Session;

/// Show the files of everyone, newest first; for platform admins
#[derive(Args, Debug)]
pub(crate) struct FilesArgs {
    /// Only those of this account
    #[arg(long, value_name = "ID")]
    user: Option<AccountId>,
    /// Only those in this pool
    #[arg(long, short, value_name = "NAME")]
    pool: Option<PoolName>,
    /// Only those that are so now
    #[arg(long, value_enum)]
    status: Option<Status>,
    /// Only those placed at this moment or later
    #[arg(long, value_name = "TIME")]
    from: Option<LogTime>,
    /// Only those placed before this moment
    #[arg(long, value_name = "TIME")]
    to: Option<LogTime>,
    /// Files at most
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

/// Where a file is.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Status {
    /// In an open window
    Accepted,
    /// In a batch
    Batched,
    /// Held for an admin
    Held,
    /// Held for an admin: its time was too far ahead
    Quarantined,
    /// Held, and discarded by an admin
    Discarded,
    /// In a batch that was cancelled
    Cancelled,
    /// Under inspection
    Inspecting,
    /// Failed its inspection
    Rejected,
    /// Could not be inspected
    Failed,
}

impl From<Status> for UploadState {
    fn from(status: Status) -> Self {
        match status {
            Status::Accepted => Self::Accepted,
            Status::Batched => Self::Batched,
            Status::Held => Self::Held,
            Status::Quarantined => Self::Quarantined,
            Status::Discarded => Self::Discarded,
            Status::Cancelled => Self::Cancelled,
            Status::Inspecting => Self::Inspecting,
            Status::Rejected => Self::Rejected,
            Status::Failed => Self::Failed,
        }
    }
}

pub(crate) async fn run(args: FilesArgs, session: &Session) -> anyhow::Result<Done> {
    let client = session.client()?;
    let FilesArgs { user, pool, status, from, to, limit } = args;
    let status = status.map(Into::into);
    let query = FilesQuery { user, pool, status, from, to, ..FilesQuery::default() };
    let ask = async |page: PageAsk| client.all_files(&query, &page).await;
    let heads = ["client", "received", "pool", "name", "size", "state", "batch"];
    session.print.rows(heads, &session.pages(limit, ask).await?, |upload| {
        let [received, pool, name, size, state, _, batch, _] = history::row(upload);
        [upload.client.to_string(), received, pool, name, size, state, batch]
    })?;
    Ok(Done::Whole)
}
