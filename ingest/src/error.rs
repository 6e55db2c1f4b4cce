//! Why ingest did not do as asked, and the one way from there to what the caller is told.

use std::time::Duration;

use infra::directory::Stale;
use infra::http::Refused;
use infra::http::body::Fault;
use infra::room::Low;
use infra::{blobs, log, views};
use schemas::event::{ClaimRefusal, OfferRefusal, Refusal};
use schemas::problem::{Code, FieldError};

use crate::quota::Exceeded;
use crate::upload::Rejection;

/// Why ingest did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log did not take it.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// The bytes could not be stored; no event says that they were.
    #[error("not stored: {0}")]
    NotStored(#[source] blobs::Error),
    /// There is no room for more bytes.
    #[error(transparent)]
    Low(#[from] Low),
    /// There is no room in a quota.
    #[error(transparent)]
    Quota(Exceeded),
    /// The tables cannot be asked what has to be known.
    #[error(transparent)]
    Tables(#[from] views::Error),
    /// Whether a key was used before cannot be told while the tables cannot be asked.
    #[error("the tables cannot be asked about an old key: {0}")]
    OldKey(#[source] views::Error),
    /// Nobody can be let in.
    #[error(transparent)]
    Directory(#[from] Stale),
    /// The body cannot be used.
    #[error(transparent)]
    Body(#[from] Fault),
    /// The file is not taken.
    #[error(transparent)]
    File(#[from] Rejection),
    /// Another request works on the same upload.
    #[error("the same upload is being received")]
    InProgress,
    /// The key was used with other content.
    #[error("the key was used with other content")]
    KeyReused,
    /// The body is not the multipart form it should be.
    #[error("multipart: {0}")]
    Multipart(String),
    /// The manifest of an update is not the JSON it should be.
    #[error("manifest: {0}")]
    Manifest(String),
    /// The update as a whole is too large.
    #[error("{0}")]
    UpdateTooLarge(String),
    /// Files of the update are not taken, so none is.
    #[error("{} files of the update are not taken", .0.len())]
    Update(Vec<FieldError>),
    /// The fold refused a request.
    #[error("refused: {0:?}")]
    Asked(Refusal),
    /// The fold refused a claim, a renewal or a failure.
    #[error("refused: {0:?}")]
    Work(ClaimRefusal),
    /// The fold refused a result.
    #[error("refused: {0:?}")]
    Offer(OfferRefusal),
    /// There are as many pools as there may be.
    #[error("there are as many pools as there may be")]
    PoolsFull,
    /// There is no such thing.
    #[error("no such thing")]
    NotFound,
    /// The fold has not answered in time what cannot be asked for later.
    #[error("the fold has not answered in time")]
    Unanswered,
    /// Something is not as it must be.
    #[error("{0}")]
    Broken(&'static str),
}

impl Error {
    /// Whether the same request may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Log(error) => error.retryable(),
            Self::NotStored(error) => error.retryable() || matches!(error, blobs::Error::Full),
            Self::Tables(error) => error.retryable(),
            Self::OldKey(_)
            | Self::Directory(_)
            | Self::Body(_)
            | Self::InProgress
            | Self::Low(_)
            | Self::Unanswered => true,
            Self::File(rejection) => {
                matches!(rejection, Rejection::Digest { .. } | Rejection::Length { .. })
            }
            Self::Quota(exceeded) => *exceeded == Exceeded::Reserved,
            Self::Work(refusal) => *refusal == ClaimRefusal::DeadlinePassed,
            Self::KeyReused
            | Self::Multipart(_)
            | Self::Manifest(_)
            | Self::UpdateTooLarge(_)
            | Self::Update(_)
            | Self::Asked(_)
            | Self::Offer(_)
            | Self::PoolsFull
            | Self::NotFound
            | Self::Broken(_) => false,
        }
    }
}

/// A put that failed: what the body did is the sender's, the rest is the store's.
impl From<blobs::Error> for Error {
    fn from(error: blobs::Error) -> Self {
        if let blobs::Error::Body(io) = &error {
            if let Some(fault) = Fault::within(io) {
                return Self::Body(fault.clone());
            }
            if let Some(rejection) = io.get_ref().and_then(|inner| inner.downcast_ref()) {
                return Self::File(Rejection::clone(rejection));
            }
        }
        Self::NotStored(error)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        match error {
            Error::Log(error) => error.into(),
            // Without its event an upload is none: that it may be stored changes nothing.
            Error::NotStored(blobs::Error::Unknown(reason)) => {
                tracing::warn!(%reason, "whether bytes were stored is not known");
                Self::from(Code::Unavailable)
            }
            Error::NotStored(error) => error.into(),
            Error::Low(_) => Code::StorageFull.into(),
            Error::Quota(exceeded) => quota(exceeded).into(),
            Error::Tables(error) => error.into(),
            Error::OldKey(error) => {
                tracing::warn!(%error, "an old key could not be looked up");
                Self::from(Code::Unavailable).detail(
                    "whether the key was used before cannot be told now; \
                     a UUIDv7 made within the last 24 hours would do",
                )
            }
            Error::Directory(stale) => stale.into(),
            Error::Body(fault) => (&fault).into(),
            Error::File(rejection) => Self::from(rejection.code()).detail(rejection.to_string()),
            Error::InProgress => {
                Self::from(Code::UploadInProgress).retry_after(Duration::from_secs(1))
            }
            Error::KeyReused => Code::IdempotencyKeyReused.into(),
            Error::Multipart(detail) => Self::from(Code::MalformedMultipart).detail(detail),
            Error::Manifest(detail) => Self::from(Code::InvalidJson).detail(detail),
            Error::UpdateTooLarge(detail) => Self::from(Code::UpdateTooLarge).detail(detail),
            Error::Update(errors) => Self::from(Code::UpdateInvalid).errors(errors),
            Error::Asked(refusal) => asked(refusal).into(),
            Error::Work(refusal) => worked(refusal),
            Error::Offer(refusal) => offered(refusal).into(),
            Error::PoolsFull => Code::PoolsFull.into(),
            Error::NotFound => Code::NotFound.into(),
            Error::Unanswered => Code::OutcomeUnknown.into(),
            Error::Broken(what) => Self::internal(&what),
        }
    }
}

fn quota(exceeded: Exceeded) -> Code {
    match exceeded {
        Exceeded::Pool => Code::PoolQuotaExceeded,
        Exceeded::Member => Code::MemberQuotaExceeded,
        Exceeded::Reserved => Code::QuotaReserved,
    }
}

fn asked(refusal: Refusal) -> Code {
    match refusal {
        Refusal::PoolNameTaken => Code::PoolNameTaken,
        Refusal::NoPool | Refusal::NoMember | Refusal::NoToken | Refusal::NotUnderInspection => {
            Code::NotFound
        }
        Refusal::TokenUsedUp => Code::TokenUsedUp,
        Refusal::TokenExpired => Code::TokenExpired,
        Refusal::LastOwner => Code::LastOwner,
        Refusal::MembersFull => Code::MembersFull,
        Refusal::TokensFull => Code::TokensFull,
        Refusal::NoOpenWindow => Code::NoOpenWindow,
        Refusal::RequestReused => Code::IdempotencyKeyReused,
        Refusal::RangeUnknown => Code::RangeUnknown,
        Refusal::RangesFull => Code::RangesFull,
        Refusal::PolicyStale => Code::PolicyStale,
        Refusal::PoliciesFull => Code::PoliciesFull,
        Refusal::NotHeld => Code::NotHeld,
        Refusal::Suspended => Code::MemberSuspended,
        Refusal::NotAnOwner => Code::Forbidden,
        Refusal::TokenRevoked => Code::TokenRevoked,
        Refusal::PoolPaused => Code::PoolPaused,
        Refusal::PoolArchived => Code::PoolArchived,
        Refusal::NotFailed => Code::NotFailed,
        Refusal::RetriesUsedUp => Code::RetriesUsedUp,
        Refusal::InspectionsFull => Code::TooBusy,
    }
}

fn worked(refusal: ClaimRefusal) -> Refused {
    match refusal {
        ClaimRefusal::NotAProcessor => Code::Forbidden.into(),
        ClaimRefusal::StaleEpoch => Code::StaleLease.into(),
        ClaimRefusal::NoBatch => Code::NotFound.into(),
        // It lay too long on its way, or the log's clock is ahead of ours.
        ClaimRefusal::DeadlinePassed | ClaimRefusal::NothingToClaim => {
            Refused::from(Code::Unavailable).detail("the claim was recorded too late to count")
        }
    }
}

fn offered(refusal: OfferRefusal) -> Code {
    match refusal {
        OfferRefusal::NoBatch => Code::NotFound,
        OfferRefusal::StaleEpoch => Code::StaleLease,
        OfferRefusal::OtherManifest => Code::OtherManifest,
        OfferRefusal::HasResult => Code::ResultExists,
        OfferRefusal::NotAProcessor => Code::Forbidden,
        OfferRefusal::Superseded => Code::ResultSuperseded,
        OfferRefusal::Settled => Code::ResultSettled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn code(error: impl Into<Error>) -> &'static str {
        Refused::from(error.into()).code().as_str()
    }

    #[test]
    fn a_put_that_failed_is_told_as_what_it_was() {
        let body = |inner: io::Error| blobs::Error::Body(inner);
        assert_eq!(code(body(Fault::Slow.into_io())), "slow-body");
        assert_eq!(code(body(io::Error::other(Rejection::Empty))), "empty-file");
        assert_eq!(code(body(io::Error::other("the disk is on fire"))), "internal");
        assert_eq!(code(blobs::Error::Full), "storage-full");
        assert_eq!(code(blobs::Error::Unknown("?".into())), "unavailable");
    }

    #[test]
    fn what_may_succeed_later_is_told_so() {
        let log = |error: log::Error| Error::from(error).retryable();
        assert!(log(log::Error::Unknown("?".into())) && !log(log::Error::TooLarge(1)));
        assert!(Error::from(Fault::Cut).retryable() && Error::InProgress.retryable());
        assert!(Error::from(blobs::Error::Full).retryable());
        assert!(!Error::KeyReused.retryable() && !Error::from(Rejection::Empty).retryable());
    }

    #[test]
    fn what_the_fold_refuses_has_a_code() {
        assert_eq!(code(Error::Asked(Refusal::NoOpenWindow)), "no-open-window");
        assert_eq!(code(Error::Asked(Refusal::TokensFull)), "tokens-full");
        assert_eq!(code(Error::Work(ClaimRefusal::StaleEpoch)), "stale-lease");
        assert_eq!(code(Error::Work(ClaimRefusal::DeadlinePassed)), "unavailable");
        assert_eq!(code(Error::Offer(OfferRefusal::HasResult)), "result-exists");
        assert_eq!(code(Error::Unanswered), "outcome-unknown");
    }
}
