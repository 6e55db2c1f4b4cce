//! A file on its way in: written under a temporary name, locked, and given its own name only once
//! it is whole, right and durable.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use schemas::digest::Digest;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use crate::error::{Error, Result};

/// The beginning of a file.
#[derive(Debug)]
pub(crate) struct Part {
    path: PathBuf,
    to: PathBuf,
    file: tokio::fs::File,
    length_bytes: u64,
    hash: Sha256,
}

impl Part {
    /// What an earlier process left of the bytes with this digest for `to`, or nothing yet. Bytes
    /// for another file are another part, with the same digest too.
    pub(crate) async fn open(to: &Path, sha256: Digest) -> Result<Self> {
        let folder = to.parent().filter(|parent| !parent.as_os_str().is_empty());
        let path = folder.unwrap_or(Path::new(".")).join(part_name(to, sha256));
        let locked = {
            let path = path.clone();
            tokio::task::spawn_blocking(move || locked(&path)).await.map_err(io::Error::other)
        };
        let file = locked.and_then(|file| file).map_err(Error::local(&path))?;
        let file = tokio::fs::File::from_std(file);
        let mut part = Self { path, to: to.to_owned(), file, length_bytes: 0, hash: Sha256::new() };
        part.recall().await.map_err(Error::local(&part.path))?;
        Ok(part)
    }

    /// Reads what is there already.
    async fn recall(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 128 * 1024];
        loop {
            let read = self.file.read(&mut buffer).await?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
                return Ok(());
            };
            self.hash.update(bytes);
            self.length_bytes += bytes.len() as u64;
        }
    }

    pub(crate) fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    pub(crate) fn sha256(&self) -> Digest {
        Digest::from_bytes(self.hash.clone().finalize().into())
    }

    pub(crate) async fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let written = async {
            self.file.write_all(bytes).await?;
            // Else it would be under way still, and its failure be told with the next piece.
            self.file.flush().await
        };
        written.await.map_err(Error::local(&self.path))?;
        self.hash.update(bytes);
        self.length_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Begins again from nothing.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        let restarted = async {
            self.file.set_len(0).await?;
            self.file.rewind().await.map(drop)
        };
        restarted.await.map_err(Error::local(&self.path))?;
        self.length_bytes = 0;
        self.hash = Sha256::new();
        Ok(())
    }

    /// Makes it durable, then gives it its name, replacing what had it.
    pub(crate) async fn keep(self) -> Result<()> {
        let kept = async {
            self.file.sync_all().await?;
            tokio::fs::rename(&self.path, &self.to).await
        };
        kept.await.map_err(Error::local(&self.to))?;
        sync_folder_of(&self.to).await.map_err(Error::local(&self.to))
    }

    /// Leaves nothing of it.
    pub(crate) async fn discard(self) -> Result<()> {
        tokio::fs::remove_file(&self.path).await.map_err(Error::local(&self.path))
    }
}

fn part_name(to: &Path, sha256: Digest) -> String {
    let name = to.file_name().unwrap_or_default().as_encoded_bytes();
    let whose = Digest::of(&[&sha256.bytes()[..], name].concat()).to_string();
    format!(".{}.part", whose.chars().take(32).collect::<String>())
}

/// The file at `path`, made if need be, that no other process writes to.
fn locked(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    loop {
        let file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let busy = "another process is fetching the same file here";
                return Err(io::Error::new(ErrorKind::ResourceBusy, busy));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Whoever had the lock may have finished it: then this file has another name by now.
        if std::fs::exists(path)? {
            return Ok(file);
        }
    }
}

/// Makes the names in the folder of `path` durable.
pub(crate) async fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    // Elsewhere folders cannot be opened, and names are durable by themselves.
    if cfg!(unix) {
        tokio::fs::File::open(folder.unwrap_or(Path::new("."))).await?.sync_all().await?;
    }
    Ok(())
}
