//! Putting an object: its body is streamed into a file that becomes the object once it is whole.
//!
//! A thread is held only while there is a piece to write, and at most one piece is buffered: a
//! thousand slow clients cost a thousand small buffers and nothing else.

use std::io;
use std::path::{Path, PathBuf};

use futures_util::StreamExt;

use super::disk::{self, Unfinished};
use super::threads::Threads;
use crate::blobs::{Body, Error, Result};

/// Bytes that are written at once.
const PIECE_BYTES: usize = 64 * 1024;

/// A file being written, and what it does not have yet. Moved to the thread that writes.
struct Writing {
    to: PathBuf,
    /// None until there is a piece.
    file: Option<Unfinished>,
    ahead: Vec<u8>,
}

impl Writing {
    /// Writes what is ahead, then `bytes`.
    fn write(mut self, bytes: &[u8]) -> Result<Self> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let folder = self.to.parent().unwrap_or(Path::new("."));
                none.insert(Unfinished::create(folder).map_err(disk::refused)?)
            }
        };
        file.write(&self.ahead).and_then(|()| file.write(bytes)).map_err(disk::refused)?;
        self.ahead.clear();
        Ok(self)
    }

    fn settle(self) -> Result<Option<Unfinished>> {
        let Self { to, file, .. } = self.write(&[])?;
        file.map(|file| file.settle(&to)).transpose()
    }
}

/// Puts the body as the file `to`.
pub(super) async fn put(
    threads: &Threads,
    to: PathBuf,
    size_bytes: Option<u64>,
    mut body: Body,
) -> Result<()> {
    let mut writing = Writing { to, file: None, ahead: Vec::new() };
    let mut taken = 0;
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(Error::Body)?;
        taken += bytes.len() as u64;
        if size_bytes.is_some_and(|size| taken > size) {
            return Err(wrong_length("longer than said"));
        }
        if writing.ahead.len() + bytes.len() < PIECE_BYTES {
            // Copied: a small slice may hold a large buffer of its connection.
            writing.ahead.extend_from_slice(&bytes);
        } else {
            writing = threads.run(move || writing.write(&bytes)).await?;
        }
    }
    if size_bytes.is_some_and(|size| taken < size) {
        return Err(wrong_length("shorter than said"));
    }
    // Dropped while it waits for this, nothing is left either.
    if let Some(object) = threads.run(move || writing.settle()).await? {
        object.keep();
    }
    Ok(())
}

fn wrong_length(what: &str) -> Error {
    Error::Body(io::Error::new(io::ErrorKind::UnexpectedEof, format!("the body is {what}")))
}
