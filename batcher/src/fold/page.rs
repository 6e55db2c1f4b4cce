//! References gathered for one page of a manifest, and the manifest's digest so far.

use std::sync::Arc;

use schemas::digest::Digest;
use schemas::event::ManifestPage;
use schemas::file::{FileRef, REFERENCES_BYTES_MAX, manifest_digest};
use schemas::id::BatchId;
use serde::{Deserialize, Serialize};

use super::emit::Emit;

/// A manifest being written: what stands, and the page being filled. At most one page of
/// references is held; a full one goes out at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Files in it, the page being filled counted.
    pub(super) files: u32,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Pages that stand.
    pub(super) pages: u32,
    /// Digest of the pages that stand.
    pub(super) digest: Option<Digest>,
    filling: Vec<Arc<FileRef>>,
    filling_bytes: usize,
}

impl Manifest {
    /// One more file. Sends the page before it off if the two do not fit together.
    pub(super) fn add(&mut self, batch: BatchId, file: Arc<FileRef>, emit: &mut Emit<'_>) {
        let room = file.json_bytes_max();
        if self.filling_bytes + room > REFERENCES_BYTES_MAX {
            self.flush(batch, emit);
        }
        self.files += 1;
        self.bytes = self.bytes.saturating_add(file.size_bytes);
        self.filling_bytes += room;
        self.filling.push(file);
    }

    /// The references of all its files in order, as long as no page went out.
    pub(super) fn references(&self) -> Option<Vec<Arc<FileRef>>> {
        let mut references = (self.pages == 0).then(|| self.filling.clone());
        if let Some(references) = &mut references {
            references.sort_unstable_by_key(|file| file.order());
        }
        references
    }

    /// Sends off the page being filled, unless it is empty.
    pub(super) fn flush(&mut self, batch: BatchId, emit: &mut Emit<'_>) {
        if self.filling.is_empty() {
            return;
        }
        let mut added = std::mem::take(&mut self.filling);
        self.filling_bytes = 0;
        added.sort_unstable_by_key(|file| file.order());
        self.digest = Some(manifest_digest(self.digest, added.iter().map(AsRef::as_ref)));
        self.pages += 1;
        emit.say(ManifestPage { batch, page: self.pages, added });
    }
}
