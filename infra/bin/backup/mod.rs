//! `sluice backup` and `sluice restore`: the embedded data as it was at one moment, copied while a
//! server serves.
//!
//! The order makes the copies fit together: tables first, since they may lag behind the log but
//! never be ahead of it; then the log; then what is kept, so that no account the log names is
//! missing; then objects, so that every one the log names is there (bytes before event); keys.
//! Each copy is of one moment; what is acknowledged before the backup begins is in all of them.

mod files;
mod manifest;
mod restore;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use client::fresh;
use schemas::time::Wall;
use serde::Serialize;

pub(crate) use restore::{RestoreArgs, restore};

use self::files::{copy_file, is_empty_or_absent, sync_folder, write_new};
use self::manifest::{Entry, MANIFEST_FILE, Manifest};
use crate::outcome::Done;
use crate::print::bytes;
use crate::session::Session;

/// The files of tables, in the order they are copied.
const TABLES: [&str; 3] = ["views.sqlite", "log.sqlite", "kept.sqlite"];
const OBJECTS: &str = "blobs";
const KEYS: &str = "keys";

/// Copy a server's data to a folder, while it serves or not
///
/// All that was acknowledged before is in it. For the embedded log; what is on Kafka is backed up
/// there. sluice restore puts it back.
#[derive(Args, Debug)]
pub(crate) struct BackupArgs {
    /// The folder: made, or empty
    folder: PathBuf,
    /// Folder of the server's data
    #[arg(long, env = "SLUICE_DATA", default_value = "data")]
    data: PathBuf,
}

/// What was copied.
#[derive(Debug, Serialize)]
struct Copied {
    folder: PathBuf,
    began_at: Wall,
    files: usize,
    bytes: u64,
}

/// Makes a backup.
pub(crate) async fn back_up(args: BackupArgs, session: &Session) -> anyhow::Result<Done> {
    let began_at = fresh::now();
    let BackupArgs { folder, data } = args;
    let (from, to) = (data, folder.clone());
    let entries = tokio::task::spawn_blocking(move || copy_all(&from, &to, began_at)).await??;
    let (files, total) = (entries.len(), entries.iter().map(|entry| entry.size_bytes).sum());
    let copied = Copied { folder, began_at, files, bytes: total };
    session.print.object(&copied, |copied| {
        let (files, total) = (copied.files, bytes(copied.bytes));
        format!("{files} files, {total}, in {}", copied.folder.display())
    })?;
    Ok(Done::Whole)
}

fn copy_all(data: &Path, folder: &Path, began_at: Wall) -> anyhow::Result<Vec<Entry>> {
    if !data.join("log.sqlite").try_exists()? {
        bail!("there is no log in {}", data.display());
    }
    if !is_empty_or_absent(folder)? {
        bail!("{} is not empty", folder.display());
    }
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut entries = Vec::new();
    for name in TABLES {
        let copy = folder.join(name);
        infra::backup::copy_tables(&data.join(name), &copy).context("copy the tables")?;
        entries.push(files::entry_of(&copy, name)?);
    }
    copy_objects(data, folder, &mut entries)?;
    for name in files::names_in(&data.join(KEYS))? {
        let path = format!("{KEYS}/{name}");
        entries.extend(copy_file(&data.join(&path), &folder.join(&path), path)?);
    }
    sync_folder(&folder.join(KEYS))?;
    let manifest = Manifest::new(began_at, entries);
    let text = serde_json::to_vec_pretty(&manifest)?;
    write_new(&folder.join(MANIFEST_FILE), &text)?;
    Ok(manifest.files)
}

/// Objects never change. One that is gone by now was removed as of no use to anybody.
fn copy_objects(data: &Path, folder: &Path, entries: &mut Vec<Entry>) -> anyhow::Result<()> {
    let root = data.join(OBJECTS);
    for listed in infra::backup::object_files(&root) {
        let listed = listed.with_context(|| root.display().to_string())?;
        for object in &listed {
            let path = object.strip_prefix(data)?.to_string_lossy().into_owned();
            entries.extend(copy_file(object, &folder.join(&path), path)?);
        }
        if let Some(fan) = listed.first().and_then(|object| object.parent()) {
            sync_folder(&folder.join(fan.strip_prefix(data)?))?;
        }
    }
    Ok(())
}
