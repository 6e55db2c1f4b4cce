//! What the clients themselves know: each writes down what it was told, and nothing else counts.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use schemas::digest::Digest;
use schemas::id::{AccountId, BatchId, ResultId, UploadId};
use schemas::time::EffectiveAt;

/// A file that was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acked {
    pub(crate) upload: UploadId,
    pub(crate) client: AccountId,
    pub(crate) sha256: Digest,
    pub(crate) size_bytes: u64,
    pub(crate) effective_at: EffectiveAt,
}

/// A result that was taken, as its worker was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offered {
    pub(crate) batch: BatchId,
    pub(crate) revision: u32,
    pub(crate) sha256: Digest,
}

/// A result that a member fetched. Whether its receipt stands is asked of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) member: AccountId,
    pub(crate) result: ResultId,
    pub(crate) sha256: Digest,
}

/// Where the latest result stood when a member asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Latest {
    pub(crate) window: schemas::time::Window,
    pub(crate) part: u32,
    pub(crate) revision: u32,
}

/// All that the clients wrote down.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) acked: Vec<Acked>,
    /// Files that were sent at all, acknowledged or not.
    pub(crate) attempted: BTreeSet<Digest>,
    pub(crate) offered: Vec<Offered>,
    pub(crate) received: Vec<Received>,
    /// What each member was told was the latest, in the order it was told.
    pub(crate) latest: Vec<(AccountId, Latest)>,
    /// What a client found that can never be right, such as other bytes than it sent.
    pub(crate) wrong: Vec<String>,
}

/// A history that many write into.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<History>>);

impl Recorder {
    pub(crate) fn note(&self, write: impl FnOnce(&mut History)) {
        write(&mut self.0.lock().unwrap());
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&History) -> T) -> T {
        read(&self.0.lock().unwrap())
    }
}
