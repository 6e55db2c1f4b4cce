//! Door: the log. Topics of records in one order each; the truth that everything follows from.
//!
//! ```text
//!             append ──▶ ┌────┬────┬────┬────┐
//!   topic                │ 0  │ 1  │ 2  │ 3  │ ◀── end (4): where the next record goes
//!                        └────┴────┴────┴────┘
//!                         tail ──▶ chunks of records, in order, none left out
//! ```
//!
//! What every back end promises, and [`suite`] checks:
//! * An append that returned is durable: it survives the loss of the process, and of the machine as
//!   far as the back end says.
//! * A record's time is when it was appended, by the log's own clock; within a topic it never runs
//!   backwards. What clients say of time stands in the value.
//! * Offsets count from 0 without gaps, unless the topic is compacted.
//! * A reader never silently skips: a topic made again, or cut short, is [`Error::Gap`].

mod answers;
mod draft;
#[cfg(any(test, feature = "suites"))]
mod faulty;
mod sqlite;
#[cfg(any(test, doc, feature = "suites"))]
pub mod suite;

pub use answers::{Answered, Answers, Heard, Missed, Subscription};
pub use draft::Draft;
pub use sqlite::{Options, SqliteLog, SqliteLogReader};

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use schemas::time::LogTime;
use schemas::topic::{Offset, Topic};
use uuid::Uuid;

/// Why the log did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It did nothing; asking again later may help.
    #[error("the log refused: {reason}")]
    Refused {
        /// What stood in the way.
        reason: String,
        /// When asking again may help.
        retry_after: Duration,
    },
    /// It may have happened, wholly or in part. Read the topic to its end before appending again.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// There is no such topic: `ensure` it first.
    #[error("no topic {0}")]
    NoTopic(Topic),
    /// Records that were there are not: the topic was made again or cut short. Never read on.
    #[error("gap in {0}: made again or cut short")]
    Gap(Topic),
    /// The record is larger than the log takes.
    #[error("a record of {0} bytes is too large")]
    TooLarge(usize),
    /// Somebody must put it right first: a topic's settings, a permission. Nothing was done, and
    /// asking again does not help.
    #[error("the log is not set up for this: {0}")]
    Misconfigured(String),
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Unknown(_))
    }
}

/// What the door answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A place to read on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which topic of that name: one deleted and made again has another. Nil when it has no
    /// records yet and the back end cannot tell.
    pub topic_id: Uuid,
    /// The first record not read.
    pub next: Offset,
}

/// What place is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// The oldest record kept.
    Start,
    /// Where the next record will go. Everything appended before the call is before it.
    End,
    /// The first record appended at this time or later; the end when there is none.
    At(LogTime),
}

/// Where an append went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the last draft.
    pub last: Offset,
    /// Its time.
    pub at: LogTime,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place.
    pub offset: Offset,
    /// When it was appended, by the log's clock.
    pub at: LogTime,
    /// Its bytes: a slice of a buffer that several records share.
    pub value: Bytes,
}

/// Some records of one topic, in order, none left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The topic.
    pub topic: Topic,
    /// Which topic of that name.
    pub topic_id: Uuid,
    /// At least one record.
    pub records: Vec<Record>,
    /// Where to read on.
    pub end: Offset,
}

/// The half of the log that writes.
#[async_trait]
pub trait Append: Debug + Send + Sync {
    /// Appends the drafts in order, with nothing of this call's between others' guaranteed only
    /// for a single draft.
    ///
    /// There MUST be a draft. It MUST be durable on return. After [`Error::Unknown`] any prefix may have been appended, now
    /// or a little later; after any other error nothing was and nothing will be.
    async fn append(&self, to: &Topic, drafts: Vec<Draft>) -> Result<Appended>;

    /// Makes the topic, with explicit settings, unless it is there. MUST be safe to call at once
    /// from several processes.
    async fn ensure(&self, topic: &Topic) -> Result<()>;
}

/// The half of the log that reads.
#[async_trait]
pub trait Read: Debug + Send + Sync {
    /// Finds a place in a topic.
    async fn find(&self, topic: &Topic, at: Find) -> Result<Position>;

    /// A reader of many topics at once that holds at most `ahead_bytes_max` bytes which its
    /// consumer has not taken, or one record.
    async fn tail(&self, ahead_bytes_max: usize) -> Result<Box<dyn Tail>>;

    /// Takes part in sharing out the pools of a role: tells which shards this process gained and
    /// lost. A shard MUST NOT be owned by two processes for longer than the back end's session.
    async fn own(&self, group: Group) -> Result<BoxStream<'static, Result<Owned>>>;
}

/// A reader of many topics.
#[async_trait]
pub trait Tail: Debug + Send {
    /// Reads `topic` from there on; `None` stops. What was read ahead of a topic that is stopped
    /// or moved MUST NOT come any more. A place that is not in the topic (of another topic's id,
    /// beyond the end, before the oldest record kept of one that is not compacted) is
    /// [`Error::Gap`] from `next`.
    fn watch(&mut self, topic: &Topic, from: Option<Position>);

    /// The next chunk of any watched topic; waits for one. MUST be fair: a topic with much to read
    /// does not keep the others waiting for long. Cancel-safe: nothing is lost when it is dropped.
    /// After an error about a topic that topic is no longer watched; the others go on.
    async fn next(&mut self) -> Result<Chunk>;
}

/// The instances that share pools among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Those that fold.
    Batchers,
    /// Those that project.
    Projectors,
    /// Those that inspect files.
    Inspectors,
}

/// A change of what this process owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owned {
    /// This shard is ours from now on.
    Gained(u8),
    /// It is ours no longer: stop writing for it now.
    Lost(u8),
}
