//! What the log says of a file: a reference, never its bytes.

use std::io::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::fmt::Hyphenated;

use crate::digest::Digest;
use crate::id::{AccountId, UploadId};
use crate::name::{FileName, InspectionName, MediaType, ObjectKey};
use crate::time::{EffectiveAt, ObservedAt, ReceivedAt, SentAt};

/// Most bytes of references in one record: an update's, or one page of a manifest.
pub const REFERENCES_BYTES_MAX: usize = 524_288;

/// Where a file's effective time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TimeSource {
    /// The client said when it made the file.
    Client,
    /// The client said so, and by how much its clock is off was taken away.
    Corrected,
    /// It did not: the time we had it.
    Server,
}

/// One file, as every later stage sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileRef {
    /// The upload that brought it.
    pub upload: UploadId,
    /// Who sent it.
    pub client: AccountId,
    /// What its client calls it.
    pub name: FileName,
    /// Length in bytes; never 0.
    pub size_bytes: u64,
    /// Digest of its bytes.
    pub sha256: Digest,
    /// What its bytes are.
    pub media_type: MediaType,
    /// Where its bytes lie.
    pub object: ObjectKey,
    /// When its client made it, by the client's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<ObservedAt>,
    /// When its client sent it, by the client's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<SentAt>,
    /// When we had it.
    pub received_at: ReceivedAt,
    /// The time it is grouped by.
    pub effective_at: EffectiveAt,
    /// Where `effective_at` comes from.
    pub time_source: TimeSource,
    /// Whether `effective_at` was cut back to our clock.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clamped: bool,
    /// Whether its time is so far ahead of ours that an admin must decide.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quarantined: bool,
    /// What it is inspected for before it may be grouped; nothing once it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inspections: Vec<InspectionName>,
}

impl FileRef {
    /// An upper bound of this reference's length as JSON.
    pub fn json_bytes_max(&self) -> usize {
        // Fixed fields and punctuation, then each text twice: quotes may be escaped.
        640 + 2 * (self.name.as_str().len() + self.media_type.as_str().len())
            + self.object.as_str().len()
            + self.inspections.iter().map(|name| name.as_str().len() + 3).sum::<usize>()
    }

    /// The order of files within a page of a manifest.
    pub fn order(&self) -> (EffectiveAt, AccountId, UploadId) {
        (self.effective_at, self.client, self.upload)
    }
}

/// The digest of a manifest after one more page: `sha256(previous digest ‖ lines)`, where each
/// file is one line `upload sha256 size_bytes effective_at_ms\n` and the first page follows 64
/// zeros. Anyone can check it with a few lines of any language (docs/worker.md).
pub fn manifest_digest<'a>(
    previous: Option<Digest>,
    files: impl Iterator<Item = &'a FileRef>,
) -> Digest {
    let (mut lines, mut hash) = (Vec::with_capacity(16_384), Sha256::new());
    match previous {
        Some(digest) => lines.extend_from_slice(digest.digits().as_flattened()),
        None => lines.extend_from_slice(&[b'0'; 64]),
    }
    lines.push(b'\n');
    for file in files {
        let mut id = [0; Hyphenated::LENGTH];
        let id = file.upload.uuid().as_hyphenated().encode_lower(&mut id);
        lines.extend_from_slice(id.as_bytes());
        lines.push(b' ');
        lines.extend_from_slice(file.sha256.digits().as_flattened());
        let at = file.effective_at.millis();
        writeln!(lines, " {} {at}", file.size_bytes).expect("memory takes all that is written");
        if lines.len() > 16_000 {
            hash.update(&lines);
            lines.clear();
        }
    }
    hash.update(&lines);
    Digest::from_bytes(hash.finalize().into())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn example() -> FileRef {
        FileRef {
            upload: UploadId::from_bits(0x0199_f3a2_5c1e_8d53_b0a4_3d2f_0c7f_9a11),
            client: AccountId::from_bits(0x0199_f3a2_0000_7000_8000_0000_0000_0001),
            name: "reading-0930.csv".parse().unwrap(),
            size_bytes: 5,
            sha256: Digest::of(b"hello"),
            media_type: "text/csv".parse().unwrap(),
            object: "u/0199f3a2/1".parse().unwrap(),
            observed_at: Some(ObservedAt::from_millis(1_795_257_000_000)),
            sent_at: Some(SentAt::from_millis(1_795_257_001_000)),
            received_at: ReceivedAt::from_millis(1_795_257_002_000),
            effective_at: EffectiveAt::from_millis(1_795_257_000_000),
            time_source: TimeSource::Client,
            clamped: false,
            quarantined: false,
            inspections: Vec::new(),
        }
    }

    #[test]
    fn the_bound_of_a_reference_holds() {
        let mut file = example();
        assert!(serde_json::to_string(&file).unwrap().len() <= file.json_bytes_max());
        file.name = "\"".repeat(255).parse().unwrap();
        file.clamped = true;
        file.quarantined = true;
        file.inspections = vec!["a".repeat(40).parse().unwrap(); 8];
        assert!(serde_json::to_string(&file).unwrap().len() <= file.json_bytes_max());
    }

    #[test]
    fn the_digest_of_a_manifest_is_plain_text_hashed() {
        let file = example();
        let line = format!("{} {} 5 1795257000000\n", file.upload, file.sha256);
        let first = Digest::of(format!("{}\n{line}", "0".repeat(64)).as_bytes());
        assert_eq!(manifest_digest(None, [&file].into_iter()), first);
        let second = Digest::of(format!("{first}\n{line}{line}").as_bytes());
        assert_eq!(manifest_digest(Some(first), [&file, &file].into_iter()), second);
        let many = vec![&file; 1_000];
        let long = Digest::of(format!("{first}\n{}", line.repeat(1_000)).as_bytes());
        assert_eq!(manifest_digest(Some(first), many.into_iter()), long);
    }
}
