//! Ids: one newtype each over a UUID (RFC 9562), so that no two kinds can be mixed up.
//!
//! Ids made by a process come from `infra` (random); the ones here are computed: the same facts
//! give the same id on every replay.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::text::as_text;
use crate::time::{Window, WindowKind};

/// The text was no UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
pub struct NotAnId;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The id that is this UUID.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The id whose 128 bits these are.
            pub const fn from_bits(bits: u128) -> Self {
                Self(Uuid::from_u128(bits))
            }

            /// The UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// The 128 bits.
            pub const fn bits(self) -> u128 {
                self.0.as_u128()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
                f.pad(self.0.as_hyphenated().encode_lower(&mut text))
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                Uuid::try_parse(text).map(Self).map_err(|_| NotAnId)
            }
        }

        as_text!($name, "uuid", "0199f3a2-5c1e-7d53-b0a4-3d2f0c7f9a11");
    )*};
}

ids! {
    /// A pool. Its name is for people; this is what records are keyed by.
    PoolId;
    /// An account: a person, a device or a program. As a sender of files it is called a client.
    AccountId;
    /// One upload of one file: the same for every retry under one idempotency key.
    UploadId;
    /// One update: many files sent as a unit by a client that was offline.
    UpdateId;
    /// One part of one window, closed. Keeps its id through all its revisions.
    BatchId;
    /// One result: the one file computed from one revision of a batch.
    ResultId;
    /// One claim by a worker; a repeat of the same claim gives the same lease.
    ClaimId;
    /// One request for a batch of a range of time; a repeat of the same request gives the same.
    RequestId;
    /// One run of a file's inspections.
    RunId;
    /// A join token, named by a digest of its secret: the secret itself is never written down.
    TokenId;
    /// One webhook: a target that a pool's notices are sent to.
    WebhookId;
    /// One record, for consumers that drop duplicates by id (CloudEvents `id`).
    EventId;
    /// Whatever has an id, where it does not matter what it is.
    ObjectId;
    /// One signed-in session: the `jti` of its access tokens (RFC 7519).
    SessionId;
}

/// The namespace of every computed id: the UUIDv5 of the URL `https://sluice.invalid/ns`.
const NAMESPACE: Uuid = Uuid::from_u128(0x213b_e0c9_f36b_5a71_87d2_3fa0_f01a_cebe);

fn computed(name: fmt::Arguments<'_>) -> Uuid {
    Uuid::new_v5(&NAMESPACE, name.to_string().as_bytes())
}

impl BatchId {
    /// The batch that is `part` of `window` in `pool`: the same on every replay.
    pub fn of(pool: PoolId, window: &Window, part: u32) -> Self {
        let (kind, start, end) = (window.kind, window.start.millis(), window.end.millis());
        Self(computed(format_args!("batch|{pool}|{kind}|{start}|{end}|{part}")))
    }

    /// The batch that was asked for by `request`: two requests for one range are two batches.
    pub fn requested(pool: PoolId, request: RequestId) -> Self {
        Self(computed(format_args!("batch|{pool}|{}|{request}", WindowKind::Range)))
    }
}

impl ResultId {
    /// The result of `revision` of `batch`: there is at most one.
    pub fn of(batch: BatchId, revision: u32) -> Self {
        Self(computed(format_args!("result|{batch}|{revision}")))
    }

    /// What came of correcting it so often; the result itself at 0.
    pub fn corrected(batch: BatchId, revision: u32, correction: u32) -> Self {
        match correction {
            0 => Self::of(batch, revision),
            _ => Self(computed(format_args!("result|{batch}|{revision}|{correction}"))),
        }
    }
}

impl EventId {
    /// The id of output `index` of the event at `cause` in `pool`: a copy written by a second
    /// batcher has the same id.
    pub fn derived(pool: PoolId, cause: u64, index: u32) -> Self {
        Self(computed(format_args!("derived|{pool}|{cause}|{index}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::EffectiveAt;

    #[test]
    fn text_and_back() {
        let id = UploadId::from_bits(7);
        assert_eq!(id.to_string(), "00000000-0000-0000-0000-000000000007");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("seven".parse::<UploadId>(), Err(NotAnId));
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{id}\""));
    }

    #[test]
    fn computed_ids_never_change() {
        let window = Window {
            kind: WindowKind::Grid,
            start: EffectiveAt::from_millis(0),
            end: EffectiveAt::from_millis(60_000),
        };
        let batch = BatchId::of(PoolId::from_bits(1), &window, 1);
        // Computed with Python's uuid.uuid5.
        assert_eq!(batch.to_string(), "d7d7c04a-3c86-5f55-86a1-880065dd6eec");
        assert_eq!(ResultId::of(batch, 2).to_string(), "8c2bab23-412b-5118-95e6-927b89d80977");
        let corrected = |n| ResultId::corrected(batch, 2, n);
        assert_eq!(corrected(0), ResultId::of(batch, 2));
        assert!(corrected(1) != corrected(0) && corrected(1) != corrected(2));
        assert_eq!(
            EventId::derived(PoolId::from_bits(1), 9, 0).to_string(),
            "45c93d08-5efe-5987-b69f-52c4c77ec4a4"
        );
        assert_ne!(batch, BatchId::of(PoolId::from_bits(1), &window, 2));
    }
}
