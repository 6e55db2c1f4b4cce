//! `sluice import`: sends a folder of files to a pool, each once, however often it is run.

mod files;
mod time;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use client::{Client, Progress, Source, Upload};
use futures_util::StreamExt as _;
use schemas::api::UploadReceipt;
use schemas::digest::Digest;
use schemas::name::IdempotencyKey;
use schemas::time::ObservedAt;
use serde::Serialize;

use self::time::Pattern;
use super::push::{changed_at, name_of, type_by_extension};
use crate::outcome::{Done, tell};
use crate::print::{Printer, bytes};
use crate::receipts::{Pushed, Receipts};
use crate::session::{OfPool, Session};

/// Send a folder of files
///
/// Each file is an upload of its own, grouped by when it was last changed, or by the time in its
/// name. The key of each is made of its path in the folder and its content: run it again, after it
/// was cut off or when there are more files, and nothing is taken twice. What cannot be sent does
/// not stop the rest; exit code 3 then.
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    of: OfPool,
    /// The folder, with those in it; names that begin with a dot and links are left out
    folder: PathBuf,
    /// Take each file's time from its name: a pattern as of strftime, found anywhere in the name,
    /// such as %Y%m%dT%H%M%S or %Y-%m-%d; UTC unless it has %z [default: when it was changed]
    #[arg(long, value_name = "PATTERN")]
    time_in_name: Option<Pattern>,
    /// Files under way at once
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// Show what would be sent, and when it would be grouped; send nothing
    #[arg(long)]
    dry_run: bool,
    /// Keep receipts in this folder, and the server's keys with them
    #[arg(long, value_name = "DIR", env = "SLUICE_RECEIPTS")]
    receipts: Option<PathBuf>,
}

/// How it went.
#[derive(Debug, Default, Serialize)]
struct Summary {
    files: usize,
    sent: usize,
    /// Those the pool had already.
    repeated: usize,
    failed: usize,
    /// Those that were no longer tried.
    left: usize,
    bytes: u64,
}

/// What would be sent.
#[derive(Debug, Serialize)]
struct Planned<'a> {
    file: &'a Path,
    observed_at: ObservedAt,
    size_bytes: u64,
    idempotency_key: IdempotencyKey,
}

pub(crate) async fn run(args: ImportArgs, session: &Session) -> anyhow::Result<Done> {
    let files = files::below(&args.folder)?;
    let client = session.client()?;
    let shelf = match &args.receipts {
        Some(folder) if !args.dry_run => Some(Receipts::open(folder, &client).await?),
        _ => None,
    };
    let mut summary = Summary { files: files.len(), ..Summary::default() };
    let one = async |file: &PathBuf| (file.clone(), args.one(file, &client).await);
    let jobs = usize::from(args.jobs);
    let mut sending = futures_util::stream::iter(files.iter().map(one)).buffer_unordered(jobs);
    let mut fatal = None;
    while let Some((file, outcome)) = sending.next().await {
        match outcome {
            Ok(Outcome::Planned { upload, at }) => {
                plan(session.print, &file, &upload, at)?;
                summary.bytes += upload.source.size_bytes();
            }
            Ok(Outcome::Taken(receipt)) => {
                summary.count(&receipt);
                let pushed = Pushed { file: &file, receipt: &receipt };
                if let Some(shelf) = &shelf {
                    shelf.keep(&pushed)?;
                }
                show(session.print, &pushed)?;
            }
            Err(error) => {
                summary.failed += 1;
                if stops_all(&error) {
                    fatal = Some(error);
                    break;
                }
                tell(&error, session);
            }
        }
    }
    drop(sending);
    end(&args, session, summary, fatal)
}

fn end(
    args: &ImportArgs,
    session: &Session,
    mut summary: Summary,
    fatal: Option<anyhow::Error>,
) -> anyhow::Result<Done> {
    let Summary { files, sent, repeated, failed, .. } = summary;
    summary.left = if args.dry_run { 0 } else { files - sent - repeated - failed };
    let left = summary.left;
    let done = if failed == 0 { Done::Whole } else { Done::InPart };
    session.print.object(&BTreeMap::from([("summary", &summary)]), |_| {
        let total = bytes(summary.bytes);
        if args.dry_run {
            return format!("{files} files, {total}, would be sent; {failed} could not");
        }
        let left = if left == 0 { String::new() } else { format!(", {left} not tried") };
        format!(
            "{files} files: {sent} sent ({total}), {repeated} there already, {failed} failed{left}"
        )
    })?;
    fatal.map_or(Ok(done), Err)
}

/// What became of one file.
enum Outcome {
    Planned { upload: Box<Upload>, at: ObservedAt },
    Taken(Box<UploadReceipt>),
}

impl ImportArgs {
    async fn one(&self, file: &Path, client: &Client) -> anyhow::Result<Outcome> {
        let named = || file.display().to_string();
        let name = name_of(file)?;
        let at = match &self.time_in_name {
            Some(pattern) => pattern.find(name.as_str()).with_context(named)?,
            None => changed_at(file)?,
        };
        let mut upload = Upload::new(name, Source::file(file).await?);
        upload.media_type = type_by_extension(file);
        upload.observed_at = Some(at);
        upload.key = key(file.strip_prefix(&self.folder)?, upload.source.sha256());
        if self.dry_run {
            return Ok(Outcome::Planned { upload: Box::new(upload), at });
        }
        let receipt = client.upload(&self.of.pool, &upload, &Progress::none()).await;
        Ok(Outcome::Taken(Box::new(receipt.with_context(named)?)))
    }
}

impl Summary {
    fn count(&mut self, receipt: &UploadReceipt) {
        if receipt.repeated {
            self.repeated += 1;
        } else {
            self.sent += 1;
            self.bytes += receipt.size_bytes;
        }
    }
}

/// The key of a file: the same for the same content at the same place in the folder.
fn key(path: &Path, sha256: Digest) -> IdempotencyKey {
    let text = format!("{}\0{sha256}", path.to_string_lossy());
    let key = format!("import-{}", Digest::of(text.as_bytes()));
    key.parse().expect("hexadecimal digits are visible ASCII")
}

/// Whether the other files would fail alike.
fn stops_all(error: &anyhow::Error) -> bool {
    let call = error.chain().find_map(|cause| cause.downcast_ref::<client::Error>());
    let unreachable = matches!(call, Some(client::Error::Unreachable(_)));
    let status = call.and_then(client::Error::status);
    unreachable || matches!(status, Some(401 | 403 | 404))
}

fn plan(print: Printer, file: &Path, upload: &Upload, at: ObservedAt) -> anyhow::Result<()> {
    let size_bytes = upload.source.size_bytes();
    let idempotency_key = upload.key.clone();
    let planned = Planned { file, observed_at: at, size_bytes, idempotency_key };
    print.object(&planned, |planned| {
        format!("{}: {at}, {}", planned.file.display(), bytes(size_bytes))
    })
}

/// Each file is shown to programs; people see how it went.
fn show(print: Printer, pushed: &Pushed<'_>) -> anyhow::Result<()> {
    if print.is_json() { print.object(pushed, |_| String::new()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_of_the_place_and_the_content() {
        let [a, b] = ["a/x.csv", "b/x.csv"].map(Path::new);
        let [hello, hallo] = ["hello", "hallo"].map(|text| Digest::of(text.as_bytes()));
        assert_eq!(key(a, hello), key(a, hello));
        assert_ne!(key(a, hello), key(b, hello));
        assert_ne!(key(a, hello), key(a, hallo));
    }
}
