//! Door: blobs. The files' bytes, under keys that are never used twice.
//!
//! What every back end promises, and [`suite`] checks:
//! * An object is whole or it is not there; one that was put is durable and never changes.
//! * Memory does not grow with an object's size: bodies are streamed both ways.
//! * A put that failed or was dropped leaves nothing that `get` or `stat` would find.

#[cfg(any(test, feature = "suites"))]
mod faulty;
mod folder;
#[cfg(any(test, doc, feature = "suites"))]
pub mod suite;

pub use folder::Folder;

use std::fmt::Debug;
use std::io;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use schemas::name::ObjectKey;
use schemas::time::Wall;

/// Why the store did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It did nothing; asking again later may help.
    #[error("the store refused: {reason}")]
    Refused {
        /// What stood in the way.
        reason: String,
        /// When asking again may help.
        retry_after: Duration,
    },
    /// It may have happened.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// There is no room.
    #[error("no room left")]
    Full,
    /// There is no such object.
    #[error("no such object")]
    Absent,
    /// The body ended early, was too long or failed: nothing was kept.
    #[error("the body failed: {0}")]
    Body(#[source] io::Error),
    /// The range lies outside the object.
    #[error("range outside the object")]
    Range,
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Unknown(_))
    }
}

/// What the door answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Bytes on their way.
pub type Body = BoxStream<'static, io::Result<Bytes>>;

/// Largest part of an object put in parts.
pub const PART_BYTES_MAX: usize = 8 * 1024 * 1024;

/// An object as the store knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its length.
    pub size_bytes: u64,
    /// When it was put, by the store's clock.
    pub put_at: Wall,
}

/// An object being put in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multipart {
    /// The object it will be.
    pub key: ObjectKey,
    /// The store's name for it.
    pub token: String,
}

/// A part that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 1.
    pub number: u16,
    /// The store's name for its content.
    pub tag: String,
    /// Its length.
    pub size_bytes: u64,
}

/// Something that was put and may be of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stale {
    /// An object.
    Object {
        /// Its key.
        key: ObjectKey,
        /// When it was put, by the store's clock.
        put_at: Wall,
    },
    /// An object begun in parts and never finished.
    Multipart {
        /// It.
        upload: Multipart,
        /// When it was begun, by the store's clock.
        begun_at: Wall,
    },
}

/// What a presigned URL allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Read the object.
    Get,
    /// Put the object.
    Put,
}

/// The store.
#[async_trait]
pub trait Blobs: Debug + Send + Sync {
    /// Puts an object, streamed. With `size_bytes` the body MUST have exactly that length.
    ///
    /// MUST be durable on return, under a key never used before. Dropped or failed, it MUST leave
    /// nothing that `get` or `stat` would find.
    async fn put(&self, key: &ObjectKey, size_bytes: Option<u64>, body: Body) -> Result<()>;

    /// Begins an object in parts.
    async fn begin(&self, key: &ObjectKey) -> Result<Multipart>;

    /// Puts one part, durable on return; may be repeated with the same bytes. All parts but the
    /// last MUST have one size, of 5 MiB to [`PART_BYTES_MAX`].
    async fn part(&self, of: &Multipart, number: u16, bytes: Vec<Bytes>) -> Result<Part>;

    /// Makes the object of its parts, numbered from 1 without a gap. A repeat after success does
    /// nothing.
    async fn finish(&self, of: &Multipart, parts: &[Part]) -> Result<()>;

    /// Reads bytes `range` of an object, streamed. An end beyond the object is cut to it; a start
    /// beyond it, or beyond the end, is [`Error::Range`].
    async fn get(&self, key: &ObjectKey, range: Range<u64>) -> Result<Body>;

    /// What the store knows of an object; `None` when there is none.
    async fn stat(&self, key: &ObjectKey) -> Result<Option<Stat>>;

    /// What was put or begun before then, in no order.
    async fn stale(&self, before: Wall) -> Result<BoxStream<'static, Result<Stale>>>;

    /// Removes it; nothing happens when it is gone already.
    async fn remove(&self, stale: Stale) -> Result<()>;

    /// A URL that allows `verb` on this one object for `ttl`, where the store can be reached by
    /// clients.
    fn presign(&self, key: &ObjectKey, verb: Verb, ttl: Duration) -> Option<String>;
}
