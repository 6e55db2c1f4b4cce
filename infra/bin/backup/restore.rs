//! `sluice restore`: puts a backup where a server can begin with it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use client::fresh;
use serde::Serialize;

use super::files::{copy_file, entry_of, is_empty_or_absent, sync_folder};
use super::manifest::{Entry, Manifest};
use crate::outcome::{Done, ProvedWrong};
use crate::print::bytes;
use crate::session::Session;

/// Put a backup back, to a folder that is empty or not there
///
/// Every file is checked against the backup's manifest as it is copied; nothing is there before
/// all of it is. Start the server on it, then sluice replay POOL --verify.
#[derive(Args, Debug)]
pub(crate) struct RestoreArgs {
    /// The backup
    folder: PathBuf,
    /// Folder of the server's data: made, or empty
    #[arg(long, env = "SLUICE_DATA", default_value = "data")]
    data: PathBuf,
    /// Only check the backup: write nothing
    #[arg(long)]
    check: bool,
}

/// What was restored.
#[derive(Debug, Serialize)]
struct Restored {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    #[serde(flatten)]
    of: Of,
    files: usize,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct Of {
    sluice: String,
    began_at: schemas::time::Wall,
}

/// Restores, or checks.
pub(crate) async fn restore(args: RestoreArgs, session: &Session) -> anyhow::Result<Done> {
    let manifest = Manifest::read(&args.folder)?;
    let total = manifest.files.iter().map(|entry| entry.size_bytes).sum();
    let Manifest { sluice, began_at, files, .. } = manifest;
    let count = files.len();
    let (folder, data) = (args.folder, (!args.check).then_some(args.data));
    let to = data.clone();
    tokio::task::spawn_blocking(move || match to {
        Some(data) => put_back(&folder, &data, &files),
        None => check(&folder, &files),
    })
    .await??;
    let restored = Restored { data, of: Of { sluice, began_at }, files: count, bytes: total };
    session.print.object(&restored, |restored| {
        let (files, total) = (restored.files, bytes(restored.bytes));
        let of = format!("{files} files, {total}, as of {}", restored.of.began_at);
        match &restored.data {
            Some(data) => format!("{of}, in {}", data.display()),
            None => format!("whole: {of}"),
        }
    })?;
    Ok(Done::Whole)
}

fn check(folder: &Path, files: &[Entry]) -> anyhow::Result<()> {
    for entry in files {
        compare(&entry_of(&folder.join(&entry.path), &entry.path)?, entry)?;
    }
    Ok(())
}

/// Copies to a folder beside `data` first: what is begun and not finished is no data folder.
fn put_back(folder: &Path, data: &Path, files: &[Entry]) -> anyhow::Result<()> {
    if !is_empty_or_absent(data)? {
        bail!("{} is not empty: nothing is restored over what is there", data.display());
    }
    let name = data.file_name().context("the data folder has no name")?.to_string_lossy();
    let beside = data.with_file_name(format!(".{name}.restoring-{}", fresh::key()));
    fs::create_dir_all(&beside).with_context(|| beside.display().to_string())?;
    let copied = copy_all(folder, &beside, files);
    let placed = copied.and_then(|()| {
        fs::rename(&beside, data).with_context(|| format!("make {}", data.display()))
    });
    if placed.is_err() {
        _ = fs::remove_dir_all(&beside);
        return placed;
    }
    match data.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => sync_folder(parent),
        None => sync_folder(Path::new(".")),
    }
}

fn copy_all(folder: &Path, to: &Path, files: &[Entry]) -> anyhow::Result<()> {
    let mut folders = std::collections::BTreeSet::from([to.to_owned()]);
    for entry in files {
        let target = to.join(&entry.path);
        let copied = copy_file(&folder.join(&entry.path), &target, entry.path.clone())?;
        let Some(copied) = copied else {
            return Err(ProvedWrong(format!("{} is not in the backup", entry.path)).into());
        };
        compare(&copied, entry)?;
        let above = target.ancestors().skip(1).take_while(|folder| folder.starts_with(to));
        folders.extend(above.map(Path::to_owned));
    }
    folders.iter().try_for_each(|folder| sync_folder(folder))
}

fn compare(found: &Entry, expected: &Entry) -> anyhow::Result<()> {
    if found == expected {
        return Ok(());
    }
    let path = &expected.path;
    Err(ProvedWrong(format!("{path} is not as it was backed up: its digest is another")).into())
}
