//! What is to be sent: a file or bytes, measured beforehand, so that length and digest can be
//! declared; streamed, so that memory does not grow with it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt};
use schemas::digest::Digest;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use crate::error::{Error, Fault, Result};

/// Bytes read from a file at once.
const CHUNK_BYTES: usize = 128 * 1024;

/// Told the bytes that have gone so far, in this try: a repeat counts from 0 again.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(u64) + Send + Sync>);

impl Progress {
    /// Calls `tell` for each piece, from the task that sends or receives: it should be quick.
    pub fn new(tell: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// Tells nobody.
    pub fn none() -> Self {
        Self::new(|_| ())
    }

    pub(crate) fn tell(&self, bytes: u64) {
        (self.0)(bytes);
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// Something to be sent, with its length and digest.
#[derive(Clone, Debug)]
pub struct Source {
    content: Content,
    size_bytes: u64,
    sha256: Digest,
}

#[derive(Clone, Debug)]
enum Content {
    File(PathBuf),
    Bytes(Bytes),
}

pub(crate) type Chunks = BoxStream<'static, std::result::Result<Bytes, Fault>>;

impl Source {
    /// The file at `path`, read once here for its digest and once more for each try.
    pub async fn file(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let (size_bytes, sha256) = measured(&path).await.map_err(Error::local(&path))?;
        Ok(Self { content: Content::File(path), size_bytes, sha256 })
    }

    /// The file at `path`, whose length and digest are known already. Sending fails when they are
    /// others by then.
    pub fn known_file(path: impl Into<PathBuf>, size_bytes: u64, sha256: Digest) -> Self {
        Self { content: Content::File(path.into()), size_bytes, sha256 }
    }

    /// These bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let (size_bytes, sha256) = (bytes.len() as u64, Digest::of(&bytes));
        Self { content: Content::Bytes(bytes), size_bytes, sha256 }
    }

    /// Its length in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Its digest.
    pub fn sha256(&self) -> Digest {
        self.sha256
    }

    /// Its bytes, exactly as many as measured and with the digest measured, or a fault before the
    /// last of them.
    pub(crate) fn chunks(&self) -> Chunks {
        match &self.content {
            Content::Bytes(bytes) if bytes.is_empty() => stream::empty().boxed(),
            Content::Bytes(bytes) => stream::iter([Ok(bytes.clone())]).boxed(),
            Content::File(path) => {
                let (size_bytes, sha256) = (self.size_bytes, self.sha256);
                stream::try_unfold(Reading::Closed(path.clone()), move |reading| {
                    reading.next(size_bytes, sha256)
                })
                .boxed()
            }
        }
    }
}

/// A file being read for sending.
enum Reading {
    Closed(PathBuf),
    Open(Box<Opened>),
}

struct Opened {
    path: PathBuf,
    file: File,
    read_bytes: u64,
    hash: Sha256,
}

impl Reading {
    async fn next(
        self,
        size_bytes: u64,
        sha256: Digest,
    ) -> std::result::Result<Option<(Bytes, Self)>, Fault> {
        let mut open = match self {
            Self::Open(open) => open,
            Self::Closed(path) => {
                let opened = File::open(&path).await;
                let file = opened.map_err(|source| Fault::Read { path: path.clone(), source })?;
                Box::new(Opened { path, file, read_bytes: 0, hash: Sha256::new() })
            }
        };
        let left = size_bytes - open.read_bytes;
        if left == 0 {
            return Ok(None);
        }
        let mut buffer = BytesMut::with_capacity(CHUNK_BYTES);
        let read = (&mut open.file).take(left.min(CHUNK_BYTES as u64)).read_buf(&mut buffer).await;
        read.map_err(|source| Fault::Read { path: open.path.clone(), source })?;
        open.read_bytes += buffer.len() as u64;
        open.hash.update(&buffer);
        // The last piece is held back until all of it is known to be what was declared.
        let is_last = open.read_bytes == size_bytes;
        let is_other = || Digest::from_bytes(open.hash.clone().finalize().into()) != sha256;
        if buffer.is_empty() || (is_last && is_other()) {
            return Err(Fault::Changed(open.path));
        }
        Ok(Some((buffer.freeze(), Self::Open(open))))
    }
}

/// Length and digest of a file.
async fn measured(path: &Path) -> std::io::Result<(u64, Digest)> {
    let mut file = File::open(path).await?;
    let (mut size_bytes, mut hash) = (0, Sha256::new());
    let mut buffer = BytesMut::with_capacity(CHUNK_BYTES);
    while file.read_buf(&mut buffer).await? > 0 {
        size_bytes += buffer.len() as u64;
        hash.update(&buffer);
        buffer.clear();
    }
    Ok((size_bytes, Digest::from_bytes(hash.finalize().into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt;

    async fn sent(source: &Source) -> std::result::Result<Vec<u8>, Fault> {
        let chunks: Vec<Bytes> = source.chunks().try_collect().await?;
        Ok(chunks.concat())
    }

    #[tokio::test]
    async fn a_file_is_sent_as_it_was_measured_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let content = vec![7; 3 * CHUNK_BYTES + 1];
        std::fs::write(&path, &content).unwrap();
        let source = Source::file(&path).await.unwrap();
        assert_eq!(source.size_bytes(), content.len() as u64);
        assert_eq!(source.sha256(), Digest::of(&content));
        assert_eq!(sent(&source).await.unwrap(), content);

        std::fs::write(&path, [&content[..], b"more"].concat()).unwrap();
        assert_eq!(sent(&source).await.unwrap(), content, "what came after is for another upload");
        for other in [&content[1..], &vec![8; 3 * CHUNK_BYTES + 1]] {
            std::fs::write(&path, other).unwrap();
            assert!(matches!(sent(&source).await, Err(Fault::Changed(_))));
        }
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(sent(&source).await, Err(Fault::Read { .. })));
        assert!(matches!(Source::file(&path).await, Err(Error::Local { .. })));
    }

    #[tokio::test]
    async fn bytes_and_nothing() {
        assert_eq!(sent(&Source::bytes("abc")).await.unwrap(), b"abc");
        assert_eq!(sent(&Source::bytes("")).await.unwrap(), b"");
    }
}
