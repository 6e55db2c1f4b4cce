//! What becomes durable when: files under a name that says they are not whole, until they are.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::place;
use crate::blobs::{Error, Result};
use crate::faults::{self, Bug};

#[cfg(feature = "faults")]
use super::volatile;

/// A file on its way. Dropped, it is removed, also when it is durable already: whoever asked for it
/// has gone, or it is not known whether it will stay.
#[derive(Debug)]
pub(super) struct Unfinished {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl Unfinished {
    /// Makes one in this folder.
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        faults::crash_point("blobs.before-write");
        let path = folder.join(place::unfinished_name());
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Self { file, path, kept: false })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Appends all of another file.
    pub(super) fn copy(&mut self, from: &Path) -> io::Result<()> {
        io::copy(&mut File::open(from)?, &mut self.file).map(drop)
    }

    /// Makes it durable as `to`, in the same folder.
    pub(super) fn settle(mut self, to: &Path) -> Result<Self> {
        faults::crash_point("blobs.before-sync");
        if !faults::planted(Bug::AnswerBeforeSync) {
            self.file.sync_data().map_err(refused)?;
            #[cfg(feature = "faults")]
            volatile::synced(&self.path);
        }
        faults::crash_point("blobs.before-rename");
        rename(&self.path, to).map_err(refused)?;
        to.clone_into(&mut self.path);
        faults::crash_point("blobs.after-rename");
        if !faults::planted(Bug::AnswerBeforeSync) {
            sync_folder_of(to).map_err(unknown)?;
        }
        faults::crash_point("blobs.after-sync-folder");
        Ok(self)
    }

    /// It stays.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let path = std::mem::take(&mut self.path);
        // Removing a large file takes a while: not on a thread that serves others.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || fs::remove_file(seen(path)))),
            Err(_) => _ = fs::remove_file(seen(path)),
        }
    }
}

/// Renames; durable once the folder is synced.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(feature = "faults")]
    if faults::volatile() {
        return volatile::rename(from, to);
    }
    fs::rename(from, to)
}

/// Makes a folder; durable once the one it is in is synced.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    #[cfg(feature = "faults")]
    if faults::volatile() {
        return volatile::make_folder(path);
    }
    fs::create_dir(path)
}

/// Makes what happened in the folder that this is in durable.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    #[cfg(feature = "faults")]
    volatile::sync_folder(folder)?;
    Ok(())
}

/// Where a file is that may not be durable yet.
pub(super) fn seen(path: PathBuf) -> PathBuf {
    #[cfg(feature = "faults")]
    if let Some(seen) = volatile::seen(&path) {
        return seen;
    }
    path
}

/// Nothing happened.
pub(super) fn refused(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full,
        io::ErrorKind::NotFound => Error::Absent,
        _ => Error::Refused { reason: error.to_string(), retry_after: super::RETRY_AFTER },
    }
}

/// It may have happened.
pub(super) fn unknown(error: io::Error) -> Error {
    Error::Unknown(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let failed = |kind: io::ErrorKind| refused(kind.into());
        assert!(matches!(failed(io::ErrorKind::StorageFull), Error::Full));
        assert!(matches!(failed(io::ErrorKind::QuotaExceeded), Error::Full));
        assert!(matches!(failed(io::ErrorKind::NotFound), Error::Absent));
        assert!(matches!(failed(io::ErrorKind::PermissionDenied), Error::Refused { .. }));
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut file = Unfinished { file: full, path: PathBuf::new(), kept: true };
        assert!(matches!(refused(file.write(b"x").unwrap_err()), Error::Full));
    }
}
