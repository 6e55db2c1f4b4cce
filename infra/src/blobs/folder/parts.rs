//! Putting an object in parts: each part is a durable file of its own until the object is made.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use schemas::digest::Digest;
use sha2::{Digest as _, Sha256};

use super::disk::{self, Unfinished};
use super::place;
use crate::blobs::{Error, Multipart, PART_BYTES_MAX, Part, Result};

/// Begins: makes the folder of the parts.
pub(super) fn begin(folder: &Path) -> Result<()> {
    disk::make_folder(folder).map_err(disk::refused)?;
    disk::sync_folder_of(folder).map_err(disk::unknown)
}

/// Writes one part into the folder of the parts. Its tag is a digest: a repeat with the same bytes
/// is the same file.
pub(super) fn part(folder: &Path, number: u16, bytes: &[Bytes]) -> Result<Part> {
    let size: usize = bytes.iter().map(Bytes::len).sum();
    if size > PART_BYTES_MAX || number == 0 {
        return Err(unfit("a part is too large, or has no number"));
    }
    let mut digest = Sha256::new();
    let mut file = Unfinished::create(folder).map_err(disk::refused)?;
    for piece in bytes {
        digest.update(piece);
        file.write(piece).map_err(disk::refused)?;
    }
    let digest: [u8; 32] = digest.finalize().into();
    let tag = Digest::from_bytes(digest).to_string();
    let part = Part { number, tag, size_bytes: size as u64 };
    file.settle(&path(folder, &part)?)?.keep();
    Ok(part)
}

fn path(folder: &Path, part: &Part) -> Result<PathBuf> {
    Ok(folder.join(place::part_name(part).ok_or(Error::Absent)?))
}

/// Makes the object of its parts: one part becomes it, several are copied together.
pub(super) fn finish(folder: &Path, parts: &[Part], object: &Path) -> Result<()> {
    if parts.is_empty() || (1..).zip(parts).any(|(number, part)| number != u32::from(part.number)) {
        return Err(unfit("parts are numbered from 1 without a gap"));
    }
    let made = make(folder, parts, object);
    // A repeat, or another who was quicker.
    if matches!(made, Err(Error::Absent)) && disk::seen(object.to_owned()).exists() {
        return Ok(());
    }
    made?;
    // What is left of the parts is found by a sweep.
    _ = fs::remove_dir_all(folder);
    Ok(())
}

fn make(folder: &Path, parts: &[Part], object: &Path) -> Result<()> {
    let mut paths = Vec::new();
    for part in parts {
        let path = disk::seen(path(folder, part)?);
        if fs::metadata(&path).map_err(disk::refused)?.len() != part.size_bytes {
            return Err(Error::Absent);
        }
        paths.push(path);
    }
    if let [only] = paths.as_slice() {
        disk::rename(only, object).map_err(disk::refused)?;
        return disk::sync_folder_of(object).map_err(disk::unknown);
    }
    let fan = object.parent().unwrap_or(Path::new("."));
    let mut file = Unfinished::create(fan).map_err(disk::refused)?;
    for path in paths {
        file.copy(&path).map_err(disk::refused)?;
    }
    file.settle(object)?.keep();
    Ok(())
}

fn unfit(why: &str) -> Error {
    Error::Body(io::Error::new(io::ErrorKind::InvalidInput, why))
}

/// The folder of the parts of an upload.
pub(super) fn folder(root: &Path, of: &Multipart) -> Result<PathBuf> {
    Ok(place::fan(root, &of.key).join(place::parts_name(of).ok_or(Error::Absent)?))
}
