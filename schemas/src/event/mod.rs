//! What can stand in a topic: one enum per topic, one struct per type, past tense, facts only.
//!
//! A type's name is `sluice.<noun>.<past-tense>.v<n>`. Once released a type only gains optional
//! fields; another meaning is another type. No password, token or address is ever in an event.

mod about;
mod audit;
mod clock;
mod correction;
mod delivery;
mod directory;
pub mod example;
#[cfg(test)]
mod frozen_tests;
mod inspection;
mod member;
mod pool;
mod upload;
mod window;
mod work;

pub use audit::{AuditOutcome, AuditRecorded};
pub use clock::{SemanticsRaised, Timer, TimerDue};
pub use correction::{
    RedeliveryBegun, RedeliveryRequested, ResultCorrected, ResultWithdrawRequested, ResultWithdrawn,
};
pub use delivery::{DeliveryAcknowledged, DeliveryFailed, DeliveryFetched};
pub use directory::{
    AccountCreated, AccountDisabled, AccountEnabled, MembershipCopied, PolicyCopied, PoolLocated,
    PoolStateCopied, SessionRevoked, SnapshotTaken, TokenCopied,
};
pub use inspection::{
    FAULTS_NAMED_MAX, FaultCode, FileAccepted, FileAttemptFailed, FileFailed, FileFaults,
    FileRejected, FileRetried, InspectionBegun, RetryRight, RowFault, Stage, UploadAccepted,
    UploadAttemptFailed, UploadInspectionStarted, UploadRejected, UploadRetryRequested,
};
pub use member::{
    Backlog, JoinTokenIssueRequested, JoinTokenIssued, JoinTokenRevokeRequested, JoinTokenRevoked,
    MemberAddRequested, MemberAdded, MemberJoinRequested, MemberRemoveRequested, MemberRemoved,
    MemberResumeRequested, MemberResumed, MemberRoleChanged, MemberSuspendRequested,
    MemberSuspended, OwnerTransferRequested, TokenUsed,
};
pub use pool::{
    OpenWindows, PolicyBefore, PolicyChangeRequested, PolicyChanged, PoolArchiveRequested,
    PoolArchived, PoolCreated, PoolPauseRequested, PoolPaused, PoolResumeRequested, PoolResumed,
    PoolState, Refusal, RequestRefused,
};
pub use upload::{
    ContentErased, FileDiscarded, FilePlaced, FileReleased, HeldReason, Placement, Sent,
    UpdateReceived, UploadDiscardRequested, UploadReceived, UploadRefused, UploadReleaseRequested,
    UploadRepeated,
};
pub use window::{
    BatchAmended, BatchCancelled, BatchFailed, BatchReady, BatchRequested, CloseReason, Closed,
    FilesGrouped, GROUPED_FILES_MAX, GroupedFile, MISSING_NAMED_MAX, ManifestPage, RangeListed,
    RangeOpened, WindowCloseAsked, WindowOpened, WindowSkipped,
};
pub use work::{
    BatchLeased, BatchRetried, BatchRetryRequested, ClaimRefusal, ClaimRefused, ClaimRequested,
    ExpiryReason, LeaseExpired, LeaseRenewed, OfferRefusal, ProcessingFailed, ResultOffered,
    ResultPublished, ResultRefused,
};

use schemars::Schema;
use serde_json::value::RawValue;

/// A body that can stand in a topic: knows its type's name and reads its data back by it.
pub trait Body: Sized + serde::Serialize {
    /// The type's name, such as `sluice.upload.received.v1`.
    fn type_name(&self) -> &'static str;

    /// Reads `data` of the type of this name; `None` when the name is not one of this topic's.
    fn decode(type_name: &str, data: &RawValue) -> Option<Result<Self, serde_json::Error>> {
        Self::deserialize(type_name, &mut serde_json::Deserializer::from_str(data.get()))
    }

    /// The same, from anything that data can be read from.
    fn deserialize<'de, D: serde::Deserializer<'de>>(
        type_name: &str,
        data: D,
    ) -> Option<Result<Self, D::Error>>;
}

/// The name of a type and the JSON Schema (2020-12) of its data.
pub type NamedSchema = (&'static str, Schema);

macro_rules! topic_bodies {
    ($($(#[$doc:meta])* $enum:ident { $($variant:ident = $type:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each variant is the struct of its name, documented there")]
        pub enum $enum { $($variant($variant),)* }

        $(impl From<$variant> for $enum {
            fn from(body: $variant) -> Self {
                Self::$variant(body)
            }
        })*

        impl serde::Serialize for $enum {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$variant(body) => body.serialize(to),)* }
            }
        }

        impl Body for $enum {
            fn type_name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $type,)* }
            }

            fn deserialize<'de, D: serde::Deserializer<'de>>(
                type_name: &str,
                data: D,
            ) -> Option<Result<Self, D::Error>> {
                Some(match type_name {
                    $($type => <$variant as serde::Deserialize>::deserialize(data).map(Self::$variant),)*
                    _ => return None,
                })
            }
        }

        impl $enum {
            /// The types of this topic, each with the schema of its data.
            pub fn schemas() -> Vec<NamedSchema> {
                vec![$(($type, schemars::schema_for!($variant)),)*]
            }
        }
    )*};
}

topic_bodies! {
    /// `sluice.pool.<pool>.events`: what was said. Written by ingest, and by the pool's owner for
    /// the clock.
    Event {
        PoolCreated = "sluice.pool.created.v1",
        PolicyChangeRequested = "sluice.policy.change-requested.v1",
        MemberAddRequested = "sluice.member.add-requested.v1",
        MemberJoinRequested = "sluice.member.join-requested.v1",
        MemberRemoveRequested = "sluice.member.remove-requested.v1",
        MemberSuspendRequested = "sluice.member.suspend-requested.v1",
        MemberResumeRequested = "sluice.member.resume-requested.v1",
        OwnerTransferRequested = "sluice.member.owner-transfer-requested.v1",
        JoinTokenIssueRequested = "sluice.join-token.issue-requested.v1",
        JoinTokenRevokeRequested = "sluice.join-token.revoke-requested.v1",
        PoolPauseRequested = "sluice.pool.pause-requested.v1",
        PoolResumeRequested = "sluice.pool.resume-requested.v1",
        PoolArchiveRequested = "sluice.pool.archive-requested.v1",
        UploadReceived = "sluice.upload.received.v1",
        UpdateReceived = "sluice.update.received.v1",
        UploadInspectionStarted = "sluice.upload.inspection-started.v1",
        UploadAccepted = "sluice.upload.accepted.v1",
        UploadRejected = "sluice.upload.rejected.v1",
        UploadAttemptFailed = "sluice.upload.attempt-failed.v1",
        UploadRetryRequested = "sluice.upload.retry-requested.v1",
        UploadReleaseRequested = "sluice.upload.release-requested.v1",
        UploadDiscardRequested = "sluice.upload.discard-requested.v1",
        WindowCloseAsked = "sluice.window.close-asked.v1",
        BatchRequested = "sluice.batch.requested.v1",
        RangeListed = "sluice.range.listed.v1",
        ClaimRequested = "sluice.claim.requested.v1",
        LeaseRenewed = "sluice.lease.renewed.v1",
        ProcessingFailed = "sluice.processing.failed.v1",
        ResultOffered = "sluice.result.offered.v1",
        BatchRetryRequested = "sluice.batch.retry-requested.v1",
        ResultCorrected = "sluice.result.corrected.v1",
        ResultWithdrawRequested = "sluice.result.withdraw-requested.v1",
        RedeliveryRequested = "sluice.redelivery.requested.v1",
        TimerDue = "sluice.timer.due.v1",
        SemanticsRaised = "sluice.semantics.raised.v1",
    }

    /// `sluice.pool.<pool>.batches`: what follows from the events, and from nothing else. Written
    /// by the pool's batcher.
    Derived {
        PolicyChanged = "sluice.pool.policy-changed.v1",
        RequestRefused = "sluice.request.refused.v1",
        MemberAdded = "sluice.member.added.v1",
        MemberRoleChanged = "sluice.member.role-changed.v1",
        MemberRemoved = "sluice.member.removed.v1",
        MemberSuspended = "sluice.member.suspended.v1",
        MemberResumed = "sluice.member.resumed.v1",
        JoinTokenIssued = "sluice.join-token.issued.v1",
        JoinTokenRevoked = "sluice.join-token.revoked.v1",
        PoolPaused = "sluice.pool.paused.v1",
        PoolResumed = "sluice.pool.resumed.v1",
        PoolArchived = "sluice.pool.archived.v1",
        FilePlaced = "sluice.file.placed.v1",
        InspectionBegun = "sluice.inspection.begun.v1",
        FileAccepted = "sluice.file.accepted.v1",
        FileRejected = "sluice.file.rejected.v1",
        FileAttemptFailed = "sluice.file.attempt-failed.v1",
        FileFailed = "sluice.file.failed.v1",
        FileRetried = "sluice.file.retried.v1",
        FileReleased = "sluice.file.released.v1",
        FileDiscarded = "sluice.file.discarded.v1",
        ContentErased = "sluice.content.erased.v1",
        UploadRefused = "sluice.upload.refused.v1",
        UploadRepeated = "sluice.upload.repeated.v1",
        FilesGrouped = "sluice.file.grouped.v1",
        WindowOpened = "sluice.window.opened.v1",
        WindowSkipped = "sluice.window.skipped.v1",
        RangeOpened = "sluice.range.opened.v1",
        ManifestPage = "sluice.manifest.page.v1",
        BatchReady = "sluice.batch.ready.v1",
        BatchAmended = "sluice.batch.amended.v1",
        BatchFailed = "sluice.batch.failed.v1",
        BatchCancelled = "sluice.batch.cancelled.v1",
        BatchRetried = "sluice.batch.retried.v1",
        BatchLeased = "sluice.batch.leased.v1",
        ClaimRefused = "sluice.claim.refused.v1",
        LeaseExpired = "sluice.lease.expired.v1",
        ResultPublished = "sluice.result.published.v1",
        ResultRefused = "sluice.result.refused.v1",
        ResultWithdrawn = "sluice.result.withdrawn.v1",
        RedeliveryBegun = "sluice.redelivery.begun.v1",
    }

    /// `sluice.pool.<pool>.deliveries`: who has which result.
    Delivery {
        DeliveryFetched = "sluice.delivery.fetched.v1",
        DeliveryAcknowledged = "sluice.delivery.acknowledged.v1",
        DeliveryFailed = "sluice.delivery.failed.v1",
    }

    /// `sluice.directory`: what every instance must know to let a request in. Compacted by key.
    Directory {
        PoolLocated = "sluice.pool.located.v1",
        PolicyCopied = "sluice.policy.copied.v1",
        MembershipCopied = "sluice.membership.copied.v1",
        TokenCopied = "sluice.join-token.copied.v1",
        PoolStateCopied = "sluice.pool.state-copied.v1",
        AccountCreated = "sluice.account.created.v1",
        AccountDisabled = "sluice.account.disabled.v1",
        AccountEnabled = "sluice.account.enabled.v1",
        SessionRevoked = "sluice.session.revoked.v1",
        SnapshotTaken = "sluice.snapshot.taken.v1",
    }

    /// `sluice.audit`: what matters for security, as it was done, asked or denied.
    Audit {
        AuditRecorded = "sluice.audit.recorded.v1",
    }
}

/// The types of every topic, in the order of the documents: events, what is derived from them,
/// deliveries, the directory, the audit log.
pub fn all_schemas() -> [Vec<NamedSchema>; 5] {
    let [events, derived] = [Event::schemas(), Derived::schemas()];
    [events, derived, Delivery::schemas(), Directory::schemas(), Audit::schemas()]
}

impl Directory {
    /// The key it is compacted by: the newest record of a key is the truth about it.
    pub fn key(&self) -> String {
        match self {
            Self::PoolLocated(body) => format!("pool/{}", body.name),
            Self::PolicyCopied(body) => format!("policy/{}", body.pool),
            Self::MembershipCopied(body) => format!("member/{}/{}", body.pool, body.account),
            Self::TokenCopied(body) => format!("token/{}/{}", body.pool, body.token),
            Self::PoolStateCopied(body) => format!("state/{}", body.pool),
            Self::AccountCreated(body) => format!("account/{}", body.account),
            Self::AccountDisabled(body) => format!("account-state/{}", body.account),
            Self::AccountEnabled(body) => format!("account-state/{}", body.account),
            Self::SessionRevoked(body) => format!("session/{}", body.session),
            Self::SnapshotTaken(body) => format!("snapshot/{}", body.pool),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_closed_by_itself_answers_nobody() {
        let ready = example::derived().into_iter().find_map(|body| match body {
            Derived::BatchReady(ready) => Some(ready),
            _ => None,
        });
        let mut ready = ready.unwrap();
        for (reason, answers) in [
            (CloseReason::WindowEnd, false),
            (CloseReason::Count, false),
            (CloseReason::Asked, true),
            (CloseReason::Requested, true),
        ] {
            ready.closed.reason = reason;
            assert_eq!(Derived::from(ready.clone()).answers(), answers, "{reason:?}");
        }
    }
}
