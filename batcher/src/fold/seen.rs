//! Uploads seen within a day of the log's clock, so that a repeat is known as one.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use schemas::digest::Digest;
use schemas::id::UploadId;
use schemas::time::LogTime;
use serde::{Deserialize, Serialize};

/// How long an upload's id is remembered. Older keys ingest looks up in the views.
const REMEMBERED_MS: u64 = 86_400_000;

/// What a repeated upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Never seen within the day.
    New,
    /// The same content.
    Same,
    /// Other content.
    Other,
}

/// The ids, each with the first bytes of its content's digest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Packed", into = "Packed")]
pub(super) struct Seen {
    by_id: HashMap<UploadId, u64, BuildHasherDefault<IdHasher>>,
    by_age: VecDeque<(LogTime, UploadId)>,
}

impl Seen {
    /// Whether it was seen, and with which content.
    pub(super) fn know(&self, upload: UploadId, sha256: &Digest) -> Known {
        match self.by_id.get(&upload) {
            None => Known::New,
            Some(mark) if *mark == mark_of(sha256) => Known::Same,
            Some(_) => Known::Other,
        }
    }

    /// Whether it was seen.
    pub(super) fn has(&self, upload: UploadId) -> bool {
        self.by_id.contains_key(&upload)
    }

    /// Remembers it, and forgets what is over a day old. False when it was remembered already.
    pub(super) fn remember(&mut self, upload: UploadId, sha256: &Digest, clock: LogTime) -> bool {
        while let Some((at, old)) = self.by_age.front().copied()
            && clock.since(at) > REMEMBERED_MS
        {
            self.by_age.pop_front();
            self.by_id.remove(&old);
        }
        let Entry::Vacant(new) = self.by_id.entry(upload) else { return false };
        new.insert(mark_of(sha256));
        self.by_age.push_back((clock, upload));
        true
    }
}

/// What is remembered of a content: the first bytes of its digest.
pub(super) fn mark_of(sha256: &Digest) -> u64 {
    sha256.bytes().first_chunk().copied().map_or(0, u64::from_be_bytes)
}

/// Upload ids are keyed hashes already: their own bits will do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut().zip(piece).for_each(|(to, from)| *to = *from);
            self.0 = (self.0.rotate_left(23) ^ u64::from_le_bytes(word))
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
}

/// How it lies in a snapshot: in order of age.
#[derive(Serialize, Deserialize)]
struct Packed(Vec<(i64, u128, u64)>);

impl From<Seen> for Packed {
    fn from(seen: Seen) -> Self {
        let pack = |(at, id): &(LogTime, UploadId)| {
            (at.millis(), id.bits(), seen.by_id.get(id).copied().unwrap_or(0))
        };
        Self(seen.by_age.iter().map(pack).collect())
    }
}

impl From<Packed> for Seen {
    fn from(packed: Packed) -> Self {
        let mut seen = Self::default();
        for (at, id, mark) in packed.0 {
            let id = UploadId::from_bits(id);
            seen.by_id.insert(id, mark);
            seen.by_age.push_back((LogTime::from_millis(at), id));
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_is_known_for_a_day() {
        let [a, b] = [1, 2].map(UploadId::from_bits);
        let [one, two] = [Digest::of(b"1"), Digest::of(b"2")];
        let mut seen = Seen::default();
        assert_eq!(seen.know(a, &one), Known::New);
        assert!(seen.remember(a, &one, LogTime::from_millis(0)));
        assert!(!seen.remember(a, &two, LogTime::from_millis(0)), "known already");
        assert_eq!((seen.know(a, &one), seen.know(a, &two)), (Known::Same, Known::Other));
        assert!(seen.remember(b, &one, LogTime::from_millis(REMEMBERED_MS.cast_signed())));
        assert_eq!(seen.know(a, &one), Known::Same, "not over a day yet");
        assert_eq!(Seen::from(Packed::from(seen.clone())), seen);
        let after = LogTime::from_millis(REMEMBERED_MS.cast_signed() + 1);
        assert!(seen.remember(UploadId::from_bits(3), &one, after));
        assert_eq!(seen.know(a, &one), Known::New);
    }
}
