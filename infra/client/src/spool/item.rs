//! One file of the spool on disk: its bytes, and what it is beside them.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use schemas::digest::Digest;
use schemas::name::{FileName, IdempotencyKey, MediaType, PoolName};
use schemas::time::ObservedAt;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Error, Result};

/// What is known of a file before it is in the spool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemFacts {
    /// Where it is to go.
    pub pool: PoolName,
    /// What to call it.
    pub name: FileName,
    /// When it was made, by this machine's clock.
    pub observed_at: ObservedAt,
    /// What it is.
    pub media_type: MediaType,
}

/// A file in the spool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Names it here: a UUIDv7, so that items sort by the time they were added.
    pub key: IdempotencyKey,
    /// Length in bytes.
    pub size_bytes: u64,
    /// Digest of its bytes.
    pub sha256: Digest,
    /// What it is.
    #[serde(flatten)]
    pub facts: ItemFacts,
}

pub(super) fn data_path(folder: &Path, key: &IdempotencyKey) -> PathBuf {
    folder.join(format!("{key}.data"))
}

pub(super) fn json_path(folder: &Path, key: &IdempotencyKey) -> PathBuf {
    folder.join(format!("{key}.json"))
}

/// The key of the item that a file of this extension belongs to, if it does.
pub(super) fn key_of(path: &Path, extension: &str) -> Option<IdempotencyKey> {
    let is_kind = path.extension().is_some_and(|found| found == extension);
    let stem = path.file_stem().filter(|_| is_kind)?.to_str()?;
    uuid::Uuid::try_parse(stem).ok()?;
    stem.parse().ok()
}

/// Copies the file at `from` in: its bytes first, then what it is, which makes it an item.
pub(super) fn store(
    folder: &Path,
    key: IdempotencyKey,
    from: &Path,
    facts: ItemFacts,
) -> Result<Item> {
    let coming = folder.join(format!("{key}.part"));
    let copied = File::open(from).and_then(|source| copy(source, &coming));
    let (size_bytes, sha256) = copied.map_err(|source| {
        // Nothing half is left behind, where that can be helped.
        _ = fs::remove_file(&coming);
        Error::Local { path: from.to_owned(), source }
    })?;
    let data = data_path(folder, &key);
    fs::rename(&coming, &data).map_err(Error::local(&data))?;
    let item = Item { key, size_bytes, sha256, facts };
    write_json(&json_path(folder, &item.key), &item)?;
    Ok(item)
}

fn copy(mut from: File, to: &Path) -> io::Result<(u64, Digest)> {
    let mut to = File::create(to)?;
    let (mut size_bytes, mut hash) = (0, Sha256::new());
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let read = from.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        hash.update(bytes);
        to.write_all(bytes)?;
        size_bytes += bytes.len() as u64;
    }
    to.sync_all()?;
    Ok((size_bytes, Digest::from_bytes(hash.finalize().into())))
}

/// The item of this key, unless there is none.
pub(super) fn load(folder: &Path, key: &IdempotencyKey) -> Result<Option<Item>> {
    read_json(&json_path(folder, key))
}

/// Replaces the file at `path` as a whole, durably.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let bytes = serde_json::to_vec_pretty(value).expect("texts and numbers always serialise");
    let coming = path.with_extension("json.part");
    let written = || {
        let mut file = File::create(&coming)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&coming, path)?;
        sync_folder(path.parent().unwrap_or(Path::new(".")))
    };
    written().map_err(Error::local(path))
}

pub(super) fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            let reason = format!("{error}; mend or remove it");
            Error::Broken { path: path.to_owned(), reason }
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Local { path: path.to_owned(), source }),
    }
}

/// Removes the file at `path`, if it is there.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::Local { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// Makes the names in a folder durable: what was removed stays removed.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Elsewhere folders cannot be opened, and names are durable by themselves.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
