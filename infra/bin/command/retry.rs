//! `sluice retry`: has an upload that failed inspected again.

use clap::Args;
use schemas::id::UploadId;
use schemas::name::PoolName;

use crate::outcome::Done;
use crate::session::Session;

/// Have an upload inspected again whose inspections could not be done: your own three times, and
/// as an admin of the pool any
#[derive(Args, Debug)]
pub(crate) struct RetryArgs {
    /// The pool
    #[arg(long, short, env = "SLUICE_POOL", value_name = "NAME")]
    pool: PoolName,
    /// The upload
    upload: UploadId,
}

pub(crate) async fn run(args: RetryArgs, session: &Session) -> anyhow::Result<Done> {
    let client = session.client()?;
    client.retry_upload(&args.pool, args.upload).await?;
    let view = client.read_upload(&args.pool, args.upload).await?;
    session
        .print
        .object(&view, |view| format!("{}: {}", view.name, crate::print::word(&view.state)))?;
    Ok(Done::Whole)
}
