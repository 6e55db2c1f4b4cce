//! Snapshots: the fold's state as a digest-checked object, so that a restart need not begin at
//! zero. They may be thrown away at any time.

use futures_util::TryStreamExt as _;
use infra::blobs::{self, Blobs, Stale};
use infra::clock::Clock;
use infra::log::Position;
use infra::{faults, fresh};
use schemas::digest::Digest;
use schemas::event::SnapshotTaken;
use schemas::name::{ObjectKey, PoolName};
use schemas::topic::Offset;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::fold::{SEMANTICS, State};

/// Raised when the form of [`State`] changes: older snapshots are ignored then.
const FORM: u32 = 5;

/// Where the fold and its output stood: written before the state.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Head {
    form: u32,
    semantics: u32,
    /// The topic of events it was folded from.
    events_id: Uuid,
    /// The topic of what follows, and how far that had been written.
    batches_id: Uuid,
    batches_next: Offset,
    /// The greatest (cause, index) written by then.
    highest: Option<(Offset, u32)>,
}

/// A snapshot that was read back.
#[derive(Debug)]
pub(crate) struct Snapshot {
    head: Head,
    /// The state.
    pub(crate) state: State,
}

/// A state on its way to be stored, once all that follows from it is durable.
#[derive(Debug)]
pub(crate) struct Taken {
    pool: PoolName,
    events_id: Uuid,
    highest: Option<(Offset, u32)>,
    next: Offset,
    state: Vec<u8>,
}

impl Snapshot {
    /// Where to read the events on from.
    pub(crate) fn events(&self) -> Position {
        Position { topic_id: self.head.events_id, next: self.state.next() }
    }

    /// Where to look for what was written after it.
    pub(crate) fn batches(&self) -> Position {
        Position { topic_id: self.head.batches_id, next: self.head.batches_next }
    }

    /// The greatest (cause, index) written before that.
    pub(crate) fn highest(&self) -> Option<(Offset, u32)> {
        self.head.highest
    }

    /// Reads one back; `None` when it is not there, damaged or of another form: then the fold
    /// begins at zero.
    pub(crate) async fn load(blobs: &dyn Blobs, taken: &SnapshotTaken) -> Option<Self> {
        let bytes = match read(blobs, taken).await {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::warn!(pool = %taken.pool, %error, "snapshot cannot be read: from zero");
                return None;
            }
        };
        if Digest::of(&bytes) != taken.sha256 {
            tracing::warn!(pool = %taken.pool, "snapshot is damaged: from zero");
            return None;
        }
        let mut values = rmp_serde::Deserializer::from_read_ref(&bytes);
        let head = Head::deserialize(&mut values).ok()?;
        let known = (head.form, head.semantics) == (FORM, SEMANTICS);
        let state = if known { State::deserialize(&mut values).ok() } else { None };
        Some(Self { head, state: state? })
    }
}

async fn read(blobs: &dyn Blobs, taken: &SnapshotTaken) -> Result<Vec<u8>, blobs::Error> {
    let body = blobs.get(&taken.object, 0..taken.size_bytes).await?;
    let joined = body.try_fold(Vec::new(), |mut all, piece| async move {
        all.extend_from_slice(&piece);
        Ok(all)
    });
    joined.await.map_err(blobs::Error::Body)
}

impl Taken {
    /// The state as it is now; `None` when it cannot be written down, which is a defect.
    pub(crate) fn of(
        pool: &PoolName,
        events_id: Uuid,
        highest: Option<(Offset, u32)>,
        state: &State,
    ) -> Option<Self> {
        let next = state.next();
        let state = rmp_serde::to_vec_named(state)
            .inspect_err(|error| tracing::error!(%pool, %error, "state cannot be written down"))
            .ok()?;
        Some(Self { pool: pool.clone(), events_id, highest, next, state })
    }

    /// Stores it. `batches` is where the next derived record will go.
    pub(crate) async fn store(
        self,
        blobs: &dyn Blobs,
        clock: &dyn Clock,
        batches: Position,
    ) -> Result<SnapshotTaken, blobs::Error> {
        let head = Head {
            form: FORM,
            semantics: SEMANTICS,
            events_id: self.events_id,
            batches_id: batches.topic_id,
            batches_next: batches.next,
            highest: self.highest,
        };
        let mut bytes = rmp_serde::to_vec(&head).expect("numbers can be written down");
        bytes.extend_from_slice(&self.state);
        let object = format!("s/{}/{}-{}", self.pool, self.next, fresh::uuid(clock.now()));
        let object: ObjectKey = object.parse().expect("names and numbers make a key");
        let (sha256, size_bytes) = (Digest::of(&bytes), bytes.len() as u64);
        faults::crash_point("batcher.before-snapshot");
        let pieces: Vec<_> = bytes.chunks(65_536).map(|piece| Ok(piece.to_vec().into())).collect();
        let body = Box::pin(futures_util::stream::iter(pieces));
        blobs.put(&object, Some(size_bytes), body).await?;
        faults::crash_point("batcher.after-snapshot");
        Ok(SnapshotTaken { pool: self.pool, object, sha256, size_bytes, next: self.next })
    }
}

/// Removes a snapshot that a newer one has taken the place of.
pub(crate) async fn remove(blobs: &dyn Blobs, clock: &dyn Clock, taken: &SnapshotTaken) {
    let stale = Stale::Object { key: taken.object.clone(), put_at: clock.now() };
    if let Err(error) = blobs.remove(stale).await {
        tracing::debug!(pool = %taken.pool, %error, "an old snapshot stays");
    }
}
