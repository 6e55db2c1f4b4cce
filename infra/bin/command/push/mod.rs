//! `sluice push`: sends files, one by one, as one update, or by way of a spool.

mod spool;
mod update;

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::bars::Bars;
use crate::outcome::{Done, Misused, tell};
use crate::receipts::{Pushed, Receipts};
use crate::session::{OfPool, Session};
use anyhow::Context as _;
use clap::Args;
use client::{Client, Source, Upload};
use futures_util::StreamExt as _;
use schemas::api::{Landing, UploadReceipt};
use schemas::name::{FileName, IdempotencyKey, MediaType};
use schemas::time::ObservedAt;

/// Files under way at once.
const UPLOADS_MAX: usize = 4;

/// Send files
///
/// Each file is an upload of its own and is grouped by its own time. With --update they are one
/// unit: all are taken or none. With --spool they are copied to a folder first and leave it once
/// the server has them; exit code 3 then means that some still wait.
#[derive(Args, Debug)]
pub(crate) struct PushArgs {
    #[command(flatten)]
    of: OfPool,
    /// The files; none with --spool sends what waits there
    #[arg(required_unless_present = "spool")]
    files: Vec<PathBuf>,
    /// When they were made (RFC 3339) [default: now; with --update or --spool their own times]
    #[arg(long, value_name = "TIME", conflicts_with = "at_mtime")]
    at: Option<ObservedAt>,
    /// They were made when they were last changed
    #[arg(long)]
    at_mtime: bool,
    /// Send them as one unit
    #[arg(long, conflicts_with = "spool")]
    update: bool,
    /// Copy them to this folder, and send all that waits there
    #[arg(long, value_name = "DIR", env = "SLUICE_SPOOL")]
    spool: Option<PathBuf>,
    /// What they are [default: by their extensions]
    #[arg(long = "type", value_name = "MEDIA_TYPE")]
    media_type: Option<MediaType>,
    /// Names this upload or update: a repeat under the same key is no second one
    #[arg(long)]
    key: Option<IdempotencyKey>,
    /// Keep receipts in this folder, and the server's keys with them
    #[arg(long, value_name = "DIR", env = "SLUICE_RECEIPTS", conflicts_with = "spool")]
    receipts: Option<PathBuf>,
}

pub(crate) async fn run(args: PushArgs, session: &Session) -> anyhow::Result<Done> {
    if args.key.is_some() && (args.spool.is_some() || (!args.update && args.files.len() != 1)) {
        return Err(Misused("--key names one upload or one update".to_owned()).into());
    }
    match &args.spool {
        Some(folder) => spool::run(&args, folder, session).await,
        None if args.update => update::run(&args, session).await,
        None => singly(&args, session).await,
    }
}

async fn singly(args: &PushArgs, session: &Session) -> anyhow::Result<Done> {
    let client = session.client()?;
    let shelf = args.shelf(&client).await?;
    let bars = Bars::new(session.draws());
    let push = async |file: &PathBuf| (file.clone(), one(args, file, &client, &bars).await);
    let mut pushed = futures_util::stream::iter(args.files.iter().map(push)).buffered(UPLOADS_MAX);
    let (mut sent, mut failures) = (0, Vec::new());
    while let Some((file, receipt)) = pushed.next().await {
        match receipt {
            Ok(receipt) => {
                sent += 1;
                print(session, shelf.as_ref(), &Pushed { file: &file, receipt: &receipt })?;
            }
            Err(error) => failures.push(error),
        }
    }
    let Some(last) = failures.pop() else { return Ok(Done::Whole) };
    for failure in &failures {
        tell(failure, session);
    }
    if sent == 0 {
        return Err(last);
    }
    tell(&last, session);
    Ok(Done::InPart)
}

async fn one(
    args: &PushArgs,
    file: &Path,
    client: &Client,
    bars: &Bars,
) -> anyhow::Result<UploadReceipt> {
    let named = || file.display().to_string();
    let name = name_of(file)?;
    let mut upload = Upload::new(name, Source::file(file).await?);
    upload.media_type = args.type_of(file);
    upload.observed_at = args.time_of(file, false)?;
    if let Some(key) = &args.key {
        upload.key = key.clone();
    }
    let (bar, progress) = bars.bar(upload.name.as_str(), upload.source.size_bytes());
    let receipt = client.upload(&args.of.pool, &upload, &progress).await.with_context(named);
    bar.finish_and_clear();
    receipt
}

/// Keeps the receipt, if that is asked for, before it is shown.
fn print(session: &Session, shelf: Option<&Receipts>, pushed: &Pushed<'_>) -> anyhow::Result<()> {
    if let Some(shelf) = shelf {
        shelf.keep(pushed)?;
    }
    session
        .print
        .object(pushed, |pushed| format!("{}: {}", pushed.file.display(), where_to(pushed.receipt)))
}

/// Where a file will be, in words.
fn where_to(receipt: &UploadReceipt) -> String {
    let Landing { window, closes_at, closes_at_latest, files_in_window, late, paused } =
        &receipt.landing;
    if receipt.quarantined {
        return "held for an admin: its time is too far ahead".to_owned();
    }
    if !receipt.inspections.is_empty() {
        return "inspected before it is grouped".to_owned();
    }
    let (start, end) = (window.start, window.end);
    let repeated = if receipt.repeated { ", as it was before" } else { "" };
    match (late, files_in_window) {
        (true, _) => {
            format!("late for the window {start} to {end}: it goes into a later revision{repeated}")
        }
        _ if *paused => {
            format!(
                "in the window {start} to {end}, which closes once the pool is resumed{repeated}"
            )
        }
        (false, Some(files)) => format!(
            "in the window {start} to {end}, one of {files} files, closes at {closes_at}, by {closes_at_latest} at the latest{repeated}"
        ),
        (false, None) => {
            format!(
                "in the window {start} to {end}, closes at {closes_at}, by {closes_at_latest} at the latest{repeated}"
            )
        }
    }
}

impl PushArgs {
    /// Where receipts are kept, if that is asked for.
    async fn shelf(&self, client: &Client) -> anyhow::Result<Option<Receipts>> {
        match &self.receipts {
            Some(folder) => Receipts::open(folder, client).await.map(Some),
            None => Ok(None),
        }
    }

    /// When a file was made. Where the server needs a time, the file's own is told by default.
    fn time_of(&self, file: &Path, needed: bool) -> anyhow::Result<Option<ObservedAt>> {
        if self.at.is_some() || !(self.at_mtime || needed) {
            return Ok(self.at);
        }
        changed_at(file).map(Some)
    }

    fn type_of(&self, file: &Path) -> MediaType {
        self.media_type.clone().unwrap_or_else(|| type_by_extension(file))
    }
}

/// When a file was last changed.
pub(super) fn changed_at(file: &Path) -> anyhow::Result<ObservedAt> {
    let changed = std::fs::metadata(file).and_then(|metadata| metadata.modified());
    let changed = changed.with_context(|| file.display().to_string())?;
    let millis = changed.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Ok(ObservedAt::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)))
}

/// What a file is, as far as its name tells.
pub(super) fn type_by_extension(file: &Path) -> MediaType {
    let guessed = || mime_guess::from_path(file).first()?.essence_str().parse().ok();
    guessed().unwrap_or_else(MediaType::octet_stream)
}

/// What a file is called there: its name without its folders.
pub(super) fn name_of(file: &Path) -> anyhow::Result<FileName> {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.parse().with_context(|| file.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        push: PushArgs,
    }

    fn parsed(arguments: &[&str]) -> Result<PushArgs, clap::Error> {
        let arguments = ["push", "--pool", "north"].iter().chain(arguments);
        Line::try_parse_from(arguments).map(|line| line.push)
    }

    #[test]
    fn what_goes_together() {
        assert!(parsed(&["a", "b", "--update", "--at-mtime"]).is_ok());
        assert!(parsed(&["--spool", "dir"]).is_ok());
        for bad in [
            &[][..],
            &["a", "--at", "yesterday"],
            &["a", "--at", "2026-11-21T10:30:00Z", "--at-mtime"],
            &["a", "--update", "--spool", "dir"],
        ] {
            assert!(parsed(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn types_and_times_of_files() {
        let push = parsed(&["a.csv"]).unwrap();
        for (file, expected) in [
            ("a.csv", "text/csv"),
            ("b/c.JPG", "image/jpeg"),
            ("a", "application/octet-stream"),
            ("a.unheard-of", "application/octet-stream"),
        ] {
            assert_eq!(push.type_of(Path::new(file)).as_str(), expected, "{file}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let file = std::fs::File::create(&path).unwrap();
        file.set_modified(UNIX_EPOCH + std::time::Duration::from_millis(1_234)).unwrap();
        let at = Some(ObservedAt::from_millis(1_234));
        assert_eq!(push.time_of(&path, false).unwrap(), None);
        assert_eq!(push.time_of(&path, true).unwrap(), at);
        assert_eq!(parsed(&["a", "--at-mtime"]).unwrap().time_of(&path, false).unwrap(), at);
        let said = parsed(&["a", "--at", "1970-01-01T00:00:01Z"]).unwrap();
        assert_eq!(said.time_of(&path, true).unwrap(), Some(ObservedAt::from_millis(1_000)));
    }

    #[test]
    fn names_are_without_folders() {
        assert_eq!(name_of(Path::new("/x/y/a.csv")).unwrap().as_str(), "a.csv");
        assert!(name_of(Path::new("/")).is_err());
    }
}
