//! What a handler gets, and what it gives: a batch in a folder, one file or a failure.

use std::fmt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use client::Source;
use schemas::file::FileRef;
use schemas::id::BatchId;
use schemas::name::{FileName, MediaType, PoolName};

/// A batch to work on. Its files lie in a temporary folder, which is gone once the handler's
/// output is published, or the lease is lost.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The pool.
    pub pool: PoolName,
    /// The batch.
    pub batch: BatchId,
    /// The revision of it: the first, or with files that came late.
    pub revision: u32,
    /// Counted from 1: how often this revision has been leased.
    pub attempt: u32,
    /// Its files, all revisions together, in the manifest's order.
    pub files: Vec<InputFile>,
    pub(crate) folder: PathBuf,
}

/// One file of a batch, fetched and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// What the manifest says of it.
    pub file: FileRef,
    /// Where it lies. Its name there is ours: clients' names may clash.
    pub path: PathBuf,
}

impl Batch {
    /// A batch laid out by hand, at its first attempt: for tests of handlers.
    pub fn laid_out(
        pool: PoolName,
        (batch, revision): (BatchId, u32),
        files: Vec<InputFile>,
        folder: PathBuf,
    ) -> Self {
        Self { pool, batch, revision, attempt: 1, files, folder }
    }

    /// The temporary folder: a handler may put its own files here too.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder in it with the files of the batch and nothing else.
    pub fn inputs(&self) -> PathBuf {
        inputs(&self.folder)
    }
}

pub(crate) fn inputs(folder: &Path) -> PathBuf {
    folder.join("inputs")
}

/// The one file computed from a batch.
#[derive(Clone, Debug)]
pub struct Output {
    pub(crate) name: FileName,
    pub(crate) media_type: MediaType,
    pub(crate) content: Content,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Bytes(Bytes),
    File(PathBuf),
}

impl Output {
    /// These bytes; at least one.
    pub fn bytes(name: FileName, media_type: MediaType, bytes: impl Into<Bytes>) -> Self {
        Self { name, media_type, content: Content::Bytes(bytes.into()) }
    }

    /// The file at `path`, in [`Batch::folder`] or anywhere else. It is read when the handler has
    /// returned.
    pub fn file(name: FileName, media_type: MediaType, path: impl Into<PathBuf>) -> Self {
        Self { name, media_type, content: Content::File(path.into()) }
    }

    pub(crate) async fn source(&self) -> client::Result<Source> {
        match &self.content {
            Content::Bytes(bytes) => Ok(Source::bytes(bytes.clone())),
            Content::File(path) => Source::file(path).await,
        }
    }
}

/// A handler could not compute a result. Any error becomes one by `?`, and is worth another try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Told to the pool's admins when the batch is given up; cut to 500 bytes.
    pub reason: String,
    /// Whether another attempt may help.
    pub retryable: bool,
}

impl Failed {
    /// For this reason; another attempt may help.
    pub fn because(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), retryable: true }
    }

    /// For this reason; the same files will give the same failure.
    pub fn for_good(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), retryable: false }
    }
}

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        let mut reason = error.to_string();
        let mut next = error.source();
        while let Some(source) = next {
            reason = format!("{reason}: {source}");
            next = source.source();
        }
        Self { reason, retryable: true }
    }
}
