//! Reading an object, and what is known of it.

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use schemas::time::Wall;

use super::disk;
use super::threads::Threads;
use crate::blobs::{Body, Error, Result, Stat};

/// Bytes that are read at once.
const PIECE_BYTES: u64 = 64 * 1024;

/// What is known of the object in this file.
pub(super) fn stat(path: PathBuf) -> Result<Option<Stat>> {
    match std::fs::metadata(disk::seen(path)) {
        Ok(metadata) => {
            Ok(Some(Stat { size_bytes: metadata.len(), put_at: time(metadata.modified()) }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(disk::refused(error)),
    }
}

fn time(time: io::Result<std::time::SystemTime>) -> Wall {
    let since = time.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Wall::from_millis(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}

/// When a file was last written.
pub(super) fn written_at(metadata: &Metadata) -> Wall {
    time(metadata.modified())
}

/// When a folder was made; where the file system does not know, when it was last changed.
pub(super) fn made_at(metadata: &Metadata) -> Wall {
    time(metadata.created().or_else(|_| metadata.modified()))
}

/// Reads a range of the object in this file.
pub(super) async fn get(threads: &Threads, path: PathBuf, range: Range<u64>) -> Result<Body> {
    let open = move || {
        let mut file = File::open(disk::seen(path)).map_err(disk::refused)?;
        let size = file.metadata().map_err(disk::refused)?.len();
        if range.start > range.end || range.start > size {
            return Err(Error::Range);
        }
        file.seek(SeekFrom::Start(range.start)).map_err(disk::refused)?;
        Ok((file, range.end.min(size) - range.start))
    };
    let (file, left) = threads.run(open).await?;
    let threads = threads.clone();
    let pieces = stream::try_unfold((file, left), move |(file, left)| {
        let threads = threads.clone();
        async move {
            if left == 0 {
                return Ok(None);
            }
            let read = threads.run(move || Ok(piece(file, left))).await;
            read.map_err(io::Error::other)?.map(Some)
        }
    });
    Ok(pieces.boxed())
}

fn piece(mut file: File, left: u64) -> io::Result<(Bytes, (File, u64))> {
    let mut piece = vec![0; usize::try_from(left.min(PIECE_BYTES)).unwrap_or(0)];
    file.read_exact(&mut piece)?;
    let left = left - piece.len() as u64;
    Ok((piece.into(), (file, left)))
}
