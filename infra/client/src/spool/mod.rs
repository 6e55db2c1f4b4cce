//! An offline spool: files wait in a folder until a server has them.
//!
//! Plain files, nothing else: `<key>.data` is a file and `<key>.json` beside it says what it is;
//! `<pool>.flush.json` is the update under way, `refused/` holds what the server will not take. A
//! file is in the spool once its `.json` is there. It leaves it after the server's receipt, and
//! whenever the process is killed, no file is lost and none is sent twice: what an update
//! consists of, and its key, is written down before anything is sent ([`Spool::flush`]).

mod flush;
mod item;
mod record;

pub use flush::Flushed;
pub use item::{Item, ItemFacts};
pub use record::RefusedItem;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use schemas::name::{IdempotencyKey, PoolName};

use crate::fresh;

/// What the spool gives.
pub type Result<T> = std::result::Result<T, Error>;

/// The spool cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of it, or for it, cannot be read or written.
    #[error("{}: {source}", path.display())]
    Local {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds as much as it may.
    #[error("the spool is full: it holds {files} files, {bytes} bytes")]
    Full {
        /// Files in it.
        files: usize,
        /// Their bytes.
        bytes: u64,
    },
    /// Another process is flushing it.
    #[error("another process is flushing the spool")]
    Busy,
    /// Someone else changed a file of it.
    #[error("{}: {reason}", path.display())]
    Broken {
        /// Which.
        path: PathBuf,
        /// How.
        reason: String,
    },
}

impl Error {
    fn local(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::Local { path, source }
    }
}

/// How much a spool may hold. Processes that add at the same moment may go over it by what they
/// add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Files.
    pub files_max: usize,
    /// Their bytes.
    pub bytes_max: u64,
}

impl Default for Bounds {
    /// 10,000 files, 10 GB.
    fn default() -> Self {
        Self { files_max: 10_000, bytes_max: 10_000_000_000 }
    }
}

/// A folder of files that wait.
#[derive(Clone, Debug)]
pub struct Spool {
    folder: PathBuf,
    bounds: Bounds,
}

impl Spool {
    /// Opens the spool in `folder`, making it if need be.
    pub fn open(folder: impl Into<PathBuf>, bounds: Bounds) -> Result<Self> {
        let folder = folder.into();
        let refused = folder.join("refused");
        fs::create_dir_all(&refused).map_err(Error::local(&refused))?;
        Ok(Self { folder, bounds })
    }

    /// Takes a copy of the file at `path`. On return it is durable.
    pub async fn add(&self, path: &Path, facts: ItemFacts) -> Result<Item> {
        let (spool, path) = (self.clone(), path.to_owned());
        blocking(move || {
            let (files, bytes) = spool.held()?;
            let more = fs::metadata(&path).map_err(Error::local(&path))?.len();
            let Bounds { files_max, bytes_max } = spool.bounds;
            if files >= files_max || bytes.saturating_add(more) > bytes_max {
                return Err(Error::Full { files, bytes });
            }
            item::store(&spool.folder, fresh::key(), &path, facts)
        })
        .await
    }

    /// What waits, oldest first.
    pub fn items(&self) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        for path in self.paths()? {
            if let Some(key) = item::key_of(&path, "json") {
                items.extend(item::load(&self.folder, &key)?);
            }
        }
        items.sort_by(|a: &Item, b| a.key.cmp(&b.key));
        Ok(items)
    }

    /// Where the file of an item lies.
    pub fn data_path(&self, key: &IdempotencyKey) -> PathBuf {
        item::data_path(&self.folder, key)
    }

    fn record_path(&self, pool: &PoolName) -> PathBuf {
        self.folder.join(format!("{pool}.flush.json"))
    }

    fn paths(&self) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.folder).map_err(Error::local(&self.folder))?;
        let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect();
        let paths: io::Result<Vec<PathBuf>> = paths;
        paths.map_err(Error::local(&self.folder))
    }

    /// Files and bytes in it.
    fn held(&self) -> Result<(usize, u64)> {
        let mut held = (0, 0);
        for path in self.paths()? {
            // One that is gone by now was sent a moment ago.
            if item::key_of(&path, "data").is_some()
                && let Ok(metadata) = fs::metadata(&path)
            {
                held = (held.0 + 1, held.1 + metadata.len());
            }
        }
        Ok(held)
    }

    /// The right to flush, held as long as the file is open.
    fn lock(&self) -> Result<File> {
        let path = self.folder.join(".lock");
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(Error::local(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Error::Busy),
            Err(TryLockError::Error(source)) => Err(Error::Local { path, source }),
        }
    }
}

/// Does what blocks on files where it blocks nobody else.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::local("spool")(io::Error::other(error)))?
}
