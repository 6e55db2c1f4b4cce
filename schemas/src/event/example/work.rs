//! Examples of work on batches, its results and their deliveries.

use super::{MOMENT, batch, client, closed, id, parsed, result, window, worker};
use crate::digest::Digest;
use crate::event::{
    BatchLeased, ClaimRefusal, ClaimRefused, CloseReason, Delivery, DeliveryAcknowledged,
    DeliveryFailed, DeliveryFetched, Derived, ExpiryReason, LeaseExpired, OfferRefusal,
    RedeliveryBegun, ResultCorrected, ResultOffered, ResultPublished, ResultRefused,
    ResultWithdrawn,
};
use crate::id::{AccountId, ClaimId};
use crate::time::{LogTime, StoredAt};

pub(super) fn offered() -> ResultOffered {
    ResultOffered {
        batch: batch(),
        revision: 1,
        epoch: Some(1),
        manifest_sha256: closed(1, CloseReason::WindowEnd).manifest_sha256,
        worker: worker(),
        name: parsed("mean.csv"),
        media_type: parsed("text/csv"),
        object: parsed("r/0199f3a2-5c1e-7d53-b0a4-00000000000a"),
        sha256: Digest::of(b"result"),
        size_bytes: 6,
        stored_at: StoredAt::from_millis(MOMENT + 330_000),
    }
}

pub(super) fn corrected(by: AccountId, stored_at: StoredAt) -> ResultCorrected {
    ResultCorrected {
        of: result(),
        batch: batch(),
        by,
        name: parsed("mean-corrected.csv"),
        media_type: parsed("text/csv"),
        object: parsed("r/0199f3a2-5c1e-7d53-b0a4-00000000000b"),
        sha256: Digest::of(b"better"),
        size_bytes: 6,
        stored_at,
    }
}

/// One of each type of a pool's deliveries.
pub fn deliveries() -> Vec<Delivery> {
    let (result, seq, member) = (result(), 7, client());
    let sha256 = Digest::of(b"result");
    vec![
        DeliveryFetched { result, seq, member }.into(),
        DeliveryAcknowledged { result, seq, member, sha256, redelivery: Some(9) }.into(),
        DeliveryFailed { result, seq, member, sha256: Digest::of(b"cut short") }.into(),
    ]
}

pub(super) fn derived() -> Vec<Derived> {
    let ResultOffered { name, media_type, object, sha256, size_bytes, manifest_sha256, .. } =
        offered();
    vec![
        BatchLeased {
            batch: batch(),
            revision: 1,
            manifest_sha256,
            worker: worker(),
            claim: ClaimId::from_bits(id(9)),
            epoch: 1,
            attempt: 1,
            expires_at: LogTime::from_millis(MOMENT + 815_000),
            confirm_by: Some(LogTime::from_millis(MOMENT + 230_000)),
        }
        .into(),
        ClaimRefused { reason: ClaimRefusal::NothingToClaim }.into(),
        LeaseExpired {
            batch: batch(),
            revision: 1,
            epoch: 1,
            reason: ExpiryReason::Expired,
            attempts: 1,
        }
        .into(),
        ResultPublished {
            result: result(),
            batch: batch(),
            window: window(),
            part: 1,
            revision: 1,
            correction: 0,
            supersedes: None,
            worker: worker(),
            name,
            media_type,
            object,
            sha256,
            size_bytes,
        }
        .into(),
        ResultRefused {
            batch: batch(),
            revision: 1,
            reason: OfferRefusal::StaleEpoch,
            repeats: None,
        }
        .into(),
        ResultWithdrawn { result: result(), batch: batch(), by: AccountId::from_bits(id(7)) }
            .into(),
        RedeliveryBegun { by: AccountId::from_bits(id(7)), member: Some(client()), from_seq: 7 }
            .into(),
    ]
}
