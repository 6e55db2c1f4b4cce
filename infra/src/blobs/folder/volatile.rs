//! A disk that forgets with the process what was not synced, as a machine does with its power.
//!
//! What is renamed lies under a `.lost,` name until its folder is synced, and the next start removes
//! such names; a file that was never synced itself is then an empty one, as on ext4. Readers of this
//! process see what was renamed, as the page cache shows it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use crate::faults::volatile;

#[derive(Debug)]
struct Disk {
    /// Files whose content is durable.
    synced: BTreeSet<PathBuf>,
    /// What was renamed in a folder that was not synced since.
    renamed: Vec<Renamed>,
}

#[derive(Debug)]
struct Renamed {
    to: PathBuf,
    synced: bool,
}

static DISK: Mutex<Disk> = Mutex::new(Disk { synced: BTreeSet::new(), renamed: Vec::new() });

fn disk() -> MutexGuard<'static, Disk> {
    DISK.lock().expect("nothing panics while holding it")
}

fn lost(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".lost,{name}"))
}

/// The content of this file is durable.
pub(super) fn synced(path: &Path) {
    if volatile() {
        disk().synced.insert(path.to_owned());
    }
}

pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let mut disk = disk();
    fs::rename(from, lost(to))?;
    // A file of a folder of parts was settled under its own name before.
    let synced = disk.synced.remove(from);
    disk.renamed.push(Renamed { to: to.to_owned(), synced });
    Ok(())
}

pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(lost(path))?;
    disk().renamed.push(Renamed { to: path.to_owned(), synced: true });
    Ok(())
}

pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if !volatile() {
        return Ok(());
    }
    let mut disk = disk();
    let (here, elsewhere) = std::mem::take(&mut disk.renamed)
        .into_iter()
        .partition(|it| it.to.parent() == Some(folder));
    disk.renamed = elsewhere;
    for Renamed { to, synced } in here {
        if synced {
            fs::rename(lost(&to), &to)?;
            disk.synced.insert(to);
        } else {
            File::create(&to)?;
        }
    }
    Ok(())
}

/// Where this process sees it.
pub(super) fn seen(path: &Path) -> Option<PathBuf> {
    let lost = volatile().then(|| lost(path))?;
    lost.exists().then_some(lost)
}
