//! Putting an object: its body is streamed into a file that becomes the object once it is whole.
//!
//! A thread is held only while there is a piece to write. While it writes, the next piece is
//! received (and hashed, by whoever made the body): an upload holds two pieces then, and one at
//! most while it waits for its client. A thousand slow clients cost a thousand small buffers.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::StreamExt;

use super::disk::{self, Unfinished};
use super::threads::Threads;
use crate::blobs::{Body, Error, Result};

/// Bytes that are written at once.
const PIECE_BYTES: usize = 64 * 1024;

/// A file being written. Moved to the thread that writes.
struct Writing {
    to: PathBuf,
    /// None until there is a piece.
    file: Option<Unfinished>,
}

impl Writing {
    fn write(mut self, piece: &Piece) -> Result<Self> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let folder = self.to.parent().unwrap_or(Path::new("."));
                none.insert(Unfinished::create(folder).map_err(disk::refused)?)
            }
        };
        file.write(&piece.ahead).and_then(|()| file.write(&piece.last)).map_err(disk::refused)?;
        Ok(self)
    }

    fn settle(self, rest: &Piece) -> Result<Option<Unfinished>> {
        let Self { to, file } = self.write(rest)?;
        file.map(|file| file.settle(&to)).transpose()
    }
}

/// Some bytes of a body, in order.
struct Piece {
    /// Small slices, copied together: one may hold a large buffer of its connection.
    ahead: Vec<u8>,
    /// The slice that made it enough.
    last: Bytes,
    /// Whether the body has ended with it.
    ended: bool,
}

/// A body that is received, held to its length.
struct Receiving {
    body: Body,
    taken: u64,
    size_bytes: Option<u64>,
}

impl Receiving {
    async fn piece(&mut self) -> Result<Piece> {
        let mut piece = Piece { ahead: Vec::new(), last: Bytes::new(), ended: false };
        while let Some(bytes) = self.body.next().await {
            let bytes = bytes.map_err(Error::Body)?;
            self.taken += bytes.len() as u64;
            if self.size_bytes.is_some_and(|size| self.taken > size) {
                return Err(wrong_length("longer than said"));
            }
            if piece.ahead.len() + bytes.len() >= PIECE_BYTES {
                piece.last = bytes;
                return Ok(piece);
            }
            piece.ahead.extend_from_slice(&bytes);
        }
        if self.size_bytes.is_some_and(|size| self.taken < size) {
            return Err(wrong_length("shorter than said"));
        }
        piece.ended = true;
        Ok(piece)
    }
}

/// Puts the body as the file `to`.
pub(super) async fn put(
    threads: &Threads,
    to: PathBuf,
    size_bytes: Option<u64>,
    body: Body,
) -> Result<()> {
    let mut receiving = Receiving { body, taken: 0, size_bytes };
    let mut writing = Writing { to, file: None };
    let mut piece = receiving.piece().await?;
    while !piece.ended {
        let write = threads.run(move || writing.write(&piece));
        let (written, next) = tokio::join!(write, receiving.piece());
        (writing, piece) = (written?, next?);
    }
    // Dropped while it waits for this, nothing is left either.
    if let Some(object) = threads.run(move || writing.settle(&piece)).await? {
        object.keep();
    }
    Ok(())
}

fn wrong_length(what: &str) -> Error {
    Error::Body(io::Error::new(io::ErrorKind::UnexpectedEof, format!("the body is {what}")))
}
