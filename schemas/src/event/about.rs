//! What records are about, and which of them answer a request.

use super::{CloseReason, Derived, Event, ExpiryReason};

impl Event {
    /// What it is about, where that is one thing: the CloudEvents attribute `subject`.
    pub fn subject(&self) -> Option<String> {
        Some(match self {
            Self::UploadReceived(body) => body.file.upload.to_string(),
            Self::UpdateReceived(body) => body.update.to_string(),
            Self::UploadInspectionStarted(body) => body.upload.to_string(),
            Self::UploadAccepted(body) => body.upload.to_string(),
            Self::UploadRejected(body) => body.upload.to_string(),
            Self::UploadAttemptFailed(body) => body.upload.to_string(),
            Self::UploadRetryRequested(body) => body.upload.to_string(),
            Self::UploadReleaseRequested(body) => body.file.upload.to_string(),
            Self::UploadDiscardRequested(body) => body.upload.to_string(),
            Self::BatchRequested(body) => body.request.to_string(),
            Self::RangeListed(body) => body.request.to_string(),
            Self::ClaimRequested(body) => body.claim.to_string(),
            Self::LeaseRenewed(body) => body.batch.to_string(),
            Self::ProcessingFailed(body) => body.batch.to_string(),
            Self::ResultOffered(body) => body.batch.to_string(),
            Self::BatchRetryRequested(body) => body.batch.to_string(),
            Self::ResultCorrected(body) => body.of.to_string(),
            Self::ResultWithdrawRequested(body) => body.result.to_string(),
            Self::MemberAddRequested(body) => body.account.to_string(),
            Self::MemberJoinRequested(body) => body.account.to_string(),
            Self::MemberRemoveRequested(body) => body.account.to_string(),
            Self::MemberSuspendRequested(body) => body.account.to_string(),
            Self::MemberResumeRequested(body) => body.account.to_string(),
            Self::OwnerTransferRequested(body) => body.to.to_string(),
            Self::JoinTokenIssueRequested(body) => body.token.to_string(),
            Self::JoinTokenRevokeRequested(body) => body.token.to_string(),
            Self::PoolCreated(_)
            | Self::PolicyChangeRequested(_)
            | Self::PoolPauseRequested(_)
            | Self::PoolResumeRequested(_)
            | Self::PoolArchiveRequested(_)
            | Self::WindowCloseAsked(_)
            | Self::RedeliveryRequested(_)
            | Self::TimerDue(_)
            | Self::SemanticsRaised(_) => return None,
        })
    }
}

impl Derived {
    /// What it is about, where that is one thing: the CloudEvents attribute `subject`.
    pub fn subject(&self) -> Option<String> {
        Some(match self {
            Self::FilePlaced(body) => body.file.upload.to_string(),
            Self::InspectionBegun(body) => body.upload.to_string(),
            Self::FileAccepted(body) => body.file.upload.to_string(),
            Self::FileRejected(body) => body.upload.to_string(),
            Self::FileAttemptFailed(body) => body.upload.to_string(),
            Self::FileFailed(body) => body.upload.to_string(),
            Self::FileRetried(body) => body.file.upload.to_string(),
            Self::FileReleased(body) => body.file.upload.to_string(),
            Self::FileDiscarded(body) => body.upload.to_string(),
            Self::UploadRefused(body) => body.upload.to_string(),
            Self::UploadRepeated(body) => body.upload.to_string(),
            Self::FilesGrouped(body) => body.batch.to_string(),
            Self::WindowOpened(body) => body.batch.to_string(),
            Self::WindowSkipped(body) => body.batch.to_string(),
            Self::RangeOpened(body) => body.batch.to_string(),
            Self::ManifestPage(body) => body.batch.to_string(),
            Self::BatchReady(body) => body.closed.batch.to_string(),
            Self::BatchAmended(body) => body.closed.batch.to_string(),
            Self::BatchFailed(body) => body.batch.to_string(),
            Self::BatchRetried(body) => body.batch.to_string(),
            Self::BatchLeased(body) => body.batch.to_string(),
            Self::LeaseExpired(body) => body.batch.to_string(),
            Self::ResultPublished(body) => body.result.to_string(),
            Self::ResultRefused(body) => body.batch.to_string(),
            Self::ResultWithdrawn(body) => body.result.to_string(),
            Self::MemberAdded(body) => body.account.to_string(),
            Self::MemberRoleChanged(body) => body.account.to_string(),
            Self::MemberRemoved(body) => body.account.to_string(),
            Self::MemberSuspended(body) => body.account.to_string(),
            Self::MemberResumed(body) => body.account.to_string(),
            Self::JoinTokenIssued(body) => body.token.to_string(),
            Self::JoinTokenRevoked(body) => body.token.to_string(),
            Self::BatchCancelled(body) => body.batch.to_string(),
            Self::PolicyChanged(_)
            | Self::PoolPaused(_)
            | Self::PoolResumed(_)
            | Self::PoolArchived(_)
            | Self::RequestRefused(_)
            | Self::ClaimRefused(_)
            | Self::RedeliveryBegun(_)
            | Self::ContentErased(_) => return None,
        })
    }

    /// Whether this answers the request that caused it: of the records of a request, the first
    /// such one is its answer. A window that closed only because time had passed when the request
    /// was recorded answers nothing, though the request is its cause.
    pub fn answers(&self) -> bool {
        match self {
            Self::BatchReady(body) => {
                matches!(body.closed.reason, CloseReason::Asked | CloseReason::Requested)
            }
            Self::LeaseExpired(body) => body.reason == ExpiryReason::Failed,
            Self::PolicyChanged(_)
            | Self::RangeOpened(_)
            | Self::RequestRefused(_)
            | Self::MemberAdded(_)
            | Self::MemberRoleChanged(_)
            | Self::MemberRemoved(_)
            | Self::MemberSuspended(_)
            | Self::MemberResumed(_)
            | Self::JoinTokenIssued(_)
            | Self::JoinTokenRevoked(_)
            | Self::PoolPaused(_)
            | Self::PoolResumed(_)
            | Self::PoolArchived(_)
            | Self::UploadRefused(_)
            | Self::UploadRepeated(_)
            | Self::FilePlaced(_)
            | Self::InspectionBegun(_)
            | Self::FileRetried(_)
            | Self::FileReleased(_)
            | Self::FileDiscarded(_)
            | Self::BatchRetried(_)
            | Self::BatchLeased(_)
            | Self::ClaimRefused(_)
            | Self::ResultPublished(_)
            | Self::ResultRefused(_)
            | Self::ResultWithdrawn(_)
            | Self::RedeliveryBegun(_) => true,
            Self::WindowOpened(_)
            | Self::FilesGrouped(_)
            | Self::WindowSkipped(_)
            | Self::ManifestPage(_)
            | Self::BatchAmended(_)
            | Self::BatchCancelled(_)
            | Self::BatchFailed(_)
            | Self::FileAccepted(_)
            | Self::FileRejected(_)
            | Self::FileAttemptFailed(_)
            | Self::FileFailed(_)
            | Self::ContentErased(_) => false,
        }
    }
}
