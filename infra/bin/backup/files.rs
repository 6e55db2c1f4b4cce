//! Files copied durably, with their digests.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use schemas::digest::Digest;
use sha2::{Digest as _, Sha256};

use super::manifest::Entry;

/// Bytes copied at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// Whether nothing would be lost by writing there.
pub(super) fn is_empty_or_absent(folder: &Path) -> anyhow::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).with_context(|| folder.display().to_string()),
    }
}

/// Copies a file to a place where there is none, with its permissions, and syncs it. `None` when
/// it is not there any more.
pub(super) fn copy_file(from: &Path, to: &Path, path: String) -> anyhow::Result<Option<Entry>> {
    let named = || format!("copy {} to {}", from.display(), to.display());
    let mut source = match File::open(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.with_context(named)?,
    };
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(named)?;
    }
    let mut target = create_new(to).with_context(named)?;
    target.set_permissions(source.metadata()?.permissions()).with_context(named)?;
    let (size_bytes, sha256) = pass(&mut source, Some(&mut target)).with_context(named)?;
    target.sync_all().with_context(named)?;
    Ok(Some(Entry { path, size_bytes, sha256 }))
}

/// What a file is, read to its end.
pub(super) fn entry_of(file: &Path, path: &str) -> anyhow::Result<Entry> {
    let named = || file.display().to_string();
    let mut opened = File::open(file).with_context(named)?;
    let (size_bytes, sha256) = pass(&mut opened, None).with_context(named)?;
    Ok(Entry { path: path.to_owned(), size_bytes, sha256 })
}

/// Reads a file to its end, and writes it to another, if there is one.
fn pass(source: &mut File, mut target: Option<&mut File>) -> std::io::Result<(u64, Digest)> {
    let (mut buffer, mut hash, mut size_bytes) = (vec![0; CHUNK_BYTES], Sha256::new(), 0);
    loop {
        let read = source.read(&mut buffer)?;
        let Some(chunk) = buffer.get(..read).filter(|chunk| !chunk.is_empty()) else { break };
        hash.update(chunk);
        if let Some(target) = &mut target {
            target.write_all(chunk)?;
        }
        size_bytes += read as u64;
    }
    Ok((size_bytes, Digest::from_bytes(hash.finalize().into())))
}

/// Writes a file where there is none, and syncs it and its folder.
pub(super) fn write_new(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let named = || path.display().to_string();
    let mut file = create_new(path).with_context(named)?;
    file.write_all(content).with_context(named)?;
    file.sync_all().with_context(named)?;
    path.parent().map_or(Ok(()), sync_folder)
}

fn create_new(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> anyhow::Result<()> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.with_context(|| folder.display().to_string())
}

/// The names of the files in a folder, in order, without those that are on their way.
pub(super) fn names_in(folder: &Path) -> anyhow::Result<Vec<String>> {
    let named = || folder.display().to_string();
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(named)? {
        let entry = entry.with_context(named)?;
        if entry.file_type()?.is_file() {
            names.extend(entry.file_name().into_string().ok());
        }
    }
    names.sort();
    Ok(names)
}
