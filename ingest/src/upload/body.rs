//! A file's bytes on their way to the store: looked at as they begin, held to their digest at
//! their end. No more of them is in memory than the beginning, or one piece.

use std::collections::VecDeque;
use std::fmt;
use std::io;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use infra::blobs;
use infra::http::body::{Bounds, Came, Fault, Receipt, guarded};
use schemas::digest::Digest;

use super::Rejection;
use super::kinds::HEAD_BYTES;

/// A file of which the beginning has come.
pub(crate) struct Incoming {
    /// The pieces taken so far: the first [`HEAD_BYTES`], in whole pieces, or all there is.
    ahead: VecDeque<Bytes>,
    rest: blobs::Body,
    receipt: Receipt,
}

impl Incoming {
    /// Waits for the beginning of a body that is held to `bounds`.
    pub(crate) async fn begin(body: Body, bounds: Bounds) -> Result<Self, Fault> {
        let (mut rest, receipt) = guarded(body, bounds);
        let (mut ahead, mut ahead_bytes) = (VecDeque::new(), 0);
        while ahead_bytes < HEAD_BYTES
            && let Some(piece) = rest.next().await
        {
            let piece = piece.map_err(|error| fault_of(&error))?;
            ahead_bytes += piece.len();
            ahead.push_back(piece);
        }
        Ok(Self { ahead, rest, receipt })
    }

    /// Its first [`HEAD_BYTES`], or all there is.
    pub(crate) fn head(&self) -> Vec<u8> {
        self.ahead.iter().flatten().copied().take(HEAD_BYTES).collect()
    }

    /// Reads it to its end and forgets it: only what it was is of interest.
    pub(crate) async fn read_through(mut self) -> Result<Came, Fault> {
        self.ahead.clear();
        while let Some(piece) = self.rest.next().await {
            piece.map_err(|error| fault_of(&error))?;
        }
        // A good end leaves a receipt.
        self.receipt.get().ok_or(Fault::Cut)
    }

    /// All of it, and the receipt for it. The last piece is held back until the digest is known to
    /// be `expected`: no store ever has the whole of a file that is not.
    pub(crate) fn checked(self, expected: Option<Digest>) -> (blobs::Body, Receipt) {
        let receipt = self.receipt.clone();
        let pieces = stream::iter(self.ahead.into_iter().map(Ok)).chain(self.rest).boxed();
        let held = HeldBack { pieces, last: None, receipt: self.receipt, expected };
        let pieces = stream::try_unfold(held, async |mut held| {
            Ok(held.next().await?.map(|piece| (piece, held)))
        });
        (pieces.boxed(), receipt)
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("receipt", &self.receipt).finish_non_exhaustive()
    }
}

struct HeldBack {
    pieces: blobs::Body,
    last: Option<Bytes>,
    receipt: Receipt,
    expected: Option<Digest>,
}

impl HeldBack {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while let Some(piece) = self.pieces.next().await.transpose()? {
            if let Some(earlier) = self.last.replace(piece) {
                return Ok(Some(earlier));
            }
        }
        if let (Some(declared), Some(came)) = (self.expected.take(), self.receipt.get())
            && came.sha256 != declared
        {
            let found = came.sha256;
            return Err(io::Error::other(Rejection::Digest { declared, found }));
        }
        Ok(self.last.take())
    }
}

/// What went wrong with a body; what the store itself says of it counts as a cut.
fn fault_of(error: &io::Error) -> Fault {
    Fault::within(error).cloned().unwrap_or(Fault::Cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt;
    use schemas::problem::Code;
    use std::time::Duration;

    fn bounds(declared_bytes: Option<u64>) -> Bounds {
        let pause_max = Duration::from_secs(30);
        Bounds { declared_bytes, bytes_max: 1_000_000, over: Code::FileTooLarge, pause_max }
    }

    fn body(pieces: &[&'static [u8]]) -> Body {
        let pieces: Vec<io::Result<Bytes>> =
            pieces.iter().map(|piece| Ok(Bytes::from_static(piece))).collect();
        Body::from_stream(stream::iter(pieces))
    }

    async fn read(pieces: &[&'static [u8]], expected: Option<Digest>) -> Vec<io::Result<Bytes>> {
        let incoming = Incoming::begin(body(pieces), bounds(None)).await.unwrap();
        incoming.checked(expected).0.collect().await
    }

    #[tokio::test]
    async fn the_beginning_is_seen_and_nothing_is_lost() {
        let long: &'static [u8] = &[7; 3 * HEAD_BYTES];
        let (first, rest) = long.split_at(100);
        for pieces in [vec![long], vec![first, rest], vec![first], vec![]] {
            let whole = pieces.concat();
            let incoming = Incoming::begin(body(&pieces), bounds(None)).await.unwrap();
            assert_eq!(incoming.head(), whole[..whole.len().min(HEAD_BYTES)]);
            let (chunks, receipt) = incoming.checked(Some(Digest::of(&whole)));
            let read: Vec<Bytes> = chunks.try_collect().await.unwrap();
            assert_eq!(read.concat(), whole);
            assert_eq!(receipt.get().unwrap().sha256, Digest::of(&whole));
            let incoming = Incoming::begin(body(&pieces), bounds(None)).await.unwrap();
            assert_eq!(incoming.read_through().await.unwrap().size_bytes, whole.len() as u64);
        }
    }

    #[tokio::test]
    async fn the_last_piece_of_a_file_with_another_digest_is_never_given_on() {
        let wrong = Some(Digest::of(b"another"));
        let one: &[&'static [u8]] = &[b"abc"];
        for pieces in [one, &[b"abc", b"def", b"g"]] {
            let mut read = read(pieces, wrong).await;
            let error = read.pop().unwrap().unwrap_err();
            let found = error.get_ref().unwrap().downcast_ref::<Rejection>().unwrap();
            assert_eq!(found.code(), Code::DigestMismatch);
            let given: Vec<Bytes> = read.into_iter().map(Result::unwrap).collect();
            assert_eq!(given.concat(), pieces[..pieces.len() - 1].concat());
        }
    }

    #[tokio::test]
    async fn a_body_that_ends_early_fails_wherever_it_does() {
        let short = |pieces: &[&'static [u8]]| Incoming::begin(body(pieces), bounds(Some(9_000)));
        assert!(matches!(short(&[b"abc"]).await, Err(Fault::Length { .. })));
        let incoming = short(&[&[7; 5_000], b"abc"]).await.unwrap();
        assert!(matches!(incoming.read_through().await, Err(Fault::Length { .. })));
        let incoming = short(&[&[7; 5_000], b"abc"]).await.unwrap();
        let read: Vec<_> = incoming.checked(None).0.collect().await;
        assert!(Fault::within(read.last().unwrap().as_ref().unwrap_err()).is_some());
    }
}
