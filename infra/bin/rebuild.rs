//! `sluice rebuild`: makes the tables again from the log in a file of their own, and compares them
//! with those that were being read.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use infra::log::Read;
use infra::views::SqliteViews;
use schemas::topic::Topic;

use crate::outcome::Done;
use crate::replay::directory;
use crate::up::{LogUrl, open_log_to_read};

/// Make the tables again from the log and compare; the server must be stopped.
#[derive(Args, Debug)]
pub(crate) struct RebuildArgs {
    /// Folder of the server's data
    #[arg(long, env = "SLUICE_DATA", default_value = "data")]
    data: PathBuf,
    /// The log: kafka://HOST:PORT[,…]; otherwise the file in the data folder
    #[arg(long, env = "SLUICE_LOG", value_name = "URL")]
    log: Option<String>,
    /// The file to make them in; it must not be there
    #[arg(long, value_name = "FILE")]
    into: PathBuf,
}

/// Runs it.
#[allow(clippy::print_stdout, reason = "this command's output")]
pub(crate) async fn run(args: RebuildArgs) -> anyhow::Result<Done> {
    if args.into.try_exists()? {
        bail!("{} is there already", args.into.display());
    }
    let url = LogUrl::parse(args.log.as_deref()).map_err(anyhow::Error::msg)?;
    let read = open_log_to_read(&args.data, &url).await?;
    let fold = directory(read.as_ref()).await?;
    let located = fold.pools().filter_map(|(_, pool)| pool.located.as_deref().cloned());
    let located: Vec<_> = located.collect();
    let views = SqliteViews::open_fresh(&args.into).await?;
    let live = args.data.join("views.sqlite");
    // It may have been written to the very end, when the tables could follow no more.
    let audited = infra::views::reached(&live, projector::AUDIT, &Topic::audit()).await?;
    let read = read.as_ref() as &dyn Read;
    let records = projector::rebuild(read, &views, &located, audited).await?;
    views.finish(&args.into).await?;
    let differences = infra::views::differences(&live, &args.into).await?;
    let report = serde_json::json!({
        "pools": located.len(), "records": records, "differences": differences,
        "equal": differences.is_empty(),
    });
    println!("{report}");
    if differences.is_empty() { Ok(Done::Whole) } else { bail!("the tables differ") }
}
