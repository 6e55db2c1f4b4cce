//! A refusal and what the caller is told of it (RFC 9457).
//!
//! What failed on our side goes to the log, once, here; the caller gets a code and a request id.

use std::fmt;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use schemas::problem::{self, Code, FieldError, Problem};

use crate::directory::Stale;
use crate::http::body::Fault;
use crate::{blobs, identity, log, views};

/// A request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(Box<Problem>);

impl Refused {
    /// With what happened this time. For the caller: nothing of our insides.
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self(Box::new(self.0.detail(detail)))
    }

    /// With what was wrong where.
    pub fn errors(self, errors: Vec<FieldError>) -> Self {
        Self(Box::new(self.0.errors(errors)))
    }

    /// With the time after which a retry may help, in whole seconds and at least one.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        let seconds = u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX);
        self.0.retry_after_s = Some(seconds.max(1));
        self
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What the caller is told.
    pub fn problem(&self) -> &Problem {
        &self.0
    }

    /// Something failed on our side: logged, and not told.
    pub fn internal(error: &dyn fmt::Display) -> Self {
        tracing::error!(%error, "a request failed on our side");
        Code::Internal.into()
    }

    fn unavailable(reason: &dyn fmt::Display, retry_after: Duration) -> Self {
        tracing::warn!(%reason, "a request found a part of the service out of reach");
        Self::from(Code::Unavailable).retry_after(retry_after)
    }

    fn unknown(reason: &dyn fmt::Display) -> Self {
        tracing::warn!(%reason, "the outcome of a request is unknown");
        Code::OutcomeUnknown.into()
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<Code> for Refused {
    fn from(code: Code) -> Self {
        Problem::new(code).into()
    }
}

impl From<log::Error> for Refused {
    fn from(error: log::Error) -> Self {
        match &error {
            log::Error::Refused { reason, retry_after } => Self::unavailable(reason, *retry_after),
            log::Error::Unknown(reason) => Self::unknown(reason),
            log::Error::NoTopic(_)
            | log::Error::Gap(_)
            | log::Error::TooLarge(_)
            | log::Error::Misconfigured(_) => Self::internal(&error),
        }
    }
}

impl From<blobs::Error> for Refused {
    fn from(error: blobs::Error) -> Self {
        match &error {
            blobs::Error::Refused { reason, retry_after } => {
                Self::unavailable(reason, *retry_after)
            }
            blobs::Error::Unknown(reason) => Self::unknown(reason),
            blobs::Error::Full => Code::StorageFull.into(),
            blobs::Error::Range => Code::RangeNotSatisfiable.into(),
            blobs::Error::Body(io) => match Fault::within(io) {
                Some(fault) => fault.into(),
                None => Self::internal(&error),
            },
            blobs::Error::Absent => Self::internal(&error),
        }
    }
}

/// Of the kept tables too: their errors are these.
impl From<views::Error> for Refused {
    fn from(error: views::Error) -> Self {
        match &error {
            views::Error::Refused { reason, retry_after } => {
                Self::unavailable(reason, *retry_after)
            }
            views::Error::Full => Code::StorageFull.into(),
            views::Error::NoTable(_) | views::Error::BadRow(_) => Self::internal(&error),
        }
    }
}

impl From<identity::Error> for Refused {
    fn from(error: identity::Error) -> Self {
        match &error {
            identity::Error::NameTaken => Code::NameTaken.into(),
            identity::Error::WeakPassword => Code::WeakPassword.into(),
            identity::Error::Full => Code::AccountsFull.into(),
            identity::Error::Disabled => Code::AccountDisabled.into(),
            identity::Error::InvalidCredentials | identity::Error::NoIssuer => {
                Code::InvalidCredentials.into()
            }
            identity::Error::Closed => Code::SignUpClosed.into(),
            identity::Error::InvalidToken => Code::InvalidToken.into(),
            identity::Error::Busy => Code::TooBusy.into(),
            identity::Error::Unavailable { reason, retry_after } => {
                Self::unavailable(reason, *retry_after)
            }
            identity::Error::Unknown(reason) => Self::unknown(reason),
            identity::Error::NoRoom => Code::StorageFull.into(),
            identity::Error::Internal(_) => Self::internal(&error),
        }
    }
}

impl From<Stale> for Refused {
    fn from(stale: Stale) -> Self {
        Self::unavailable(&stale, Duration::from_secs(1))
    }
}

impl From<&Fault> for Refused {
    fn from(fault: &Fault) -> Self {
        Self::from(fault.code()).detail(fault.to_string())
    }
}

/// What `problem` looks like on the wire.
pub(crate) fn rendered(problem: &Problem) -> Body {
    serde_json::to_vec(problem).expect("texts and numbers always serialise").into()
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let problem = *self.0;
        let mut response = Response::new(rendered(&problem));
        *response.status_mut() = http::StatusCode::from_u16(problem.status)
            .expect("the codes' own test keeps them from 400 to 599");
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(problem::CONTENT_TYPE));
        if let Some(seconds) = problem.retry_after_s {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if problem.status == 401 {
            // RFC 6750, section 3: the error is named only when a token was sent.
            let challenge = match problem.code {
                Code::InvalidToken => r#"Bearer realm="sluice", error="invalid_token""#,
                _ => r#"Bearer realm="sluice""#,
            };
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        // The outermost layer knows the request's id and writes the body once more with it.
        response.extensions_mut().insert(problem);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::BadRow;
    use schemas::topic::Topic;

    const WAIT: Duration = Duration::from_millis(1_200);

    fn told(refused: impl Into<Refused>) -> (u16, &'static str, Option<u32>) {
        let refused = refused.into();
        let problem = refused.problem();
        assert_eq!(problem.detail, None, "nothing of our insides");
        (problem.status, refused.code().as_str(), problem.retry_after_s)
    }

    #[test]
    fn errors_of_the_doors_become_problems() {
        let reason = || "secret/path is gone".to_owned();
        let unavailable = (503, "unavailable", Some(2));
        let unknown = (503, "outcome-unknown", Some(1));
        let internal = (500, "internal", None);
        let full = (507, "storage-full", Some(1));

        let refused = log::Error::Refused { reason: reason(), retry_after: WAIT };
        assert_eq!(told(refused), unavailable);
        assert_eq!(told(log::Error::Unknown(reason())), unknown);
        assert_eq!(told(log::Error::NoTopic(Topic::directory())), internal);
        assert_eq!(told(log::Error::Gap(Topic::directory())), internal);
        assert_eq!(told(log::Error::TooLarge(1)), internal);

        let refused = blobs::Error::Refused { reason: reason(), retry_after: WAIT };
        assert_eq!(told(refused), unavailable);
        assert_eq!(told(blobs::Error::Unknown(reason())), unknown);
        assert_eq!(told(blobs::Error::Full), full);
        assert_eq!(told(blobs::Error::Range).0, 416);
        assert_eq!(told(blobs::Error::Absent), internal);
        assert_eq!(told(blobs::Error::Body(std::io::Error::other("secret"))), internal);

        let refused = views::Error::Refused { reason: reason(), retry_after: WAIT };
        assert_eq!(told(refused), unavailable);
        assert_eq!(told(views::Error::Full), full);
        assert_eq!(told(views::Error::NoTable(reason())), internal);
        assert_eq!(told(views::Error::BadRow(BadRow { column: "x" })), internal);

        let refused = identity::Error::Unavailable { reason: reason(), retry_after: WAIT };
        assert_eq!(told(refused), unavailable);
        assert_eq!(told(identity::Error::Unknown(reason())), unknown);
        assert_eq!(told(identity::Error::NoRoom), full);
        assert_eq!(told(identity::Error::Internal(reason())), internal);
        assert_eq!(told(identity::Error::Busy), (503, "too-busy", Some(1)));
        assert_eq!(told(Stale), (503, "unavailable", Some(1)));
    }

    #[test]
    fn a_fault_of_the_body_survives_the_store() {
        let io = Fault::Slow.into_io();
        let refused = Refused::from(blobs::Error::Body(io));
        assert_eq!(refused.code(), Code::SlowBody);
    }

    #[test]
    fn a_refusal_has_the_headers_of_its_status() {
        let header = |refused: Refused, name: http::HeaderName| {
            let response = refused.into_response();
            response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        let busy = Refused::from(Code::TooBusy).retry_after(Duration::from_millis(1));
        assert_eq!(header(busy.clone(), RETRY_AFTER).as_deref(), Some("1"));
        assert_eq!(header(busy, CONTENT_TYPE).as_deref(), Some("application/problem+json"));
        let challenge = |code: Code| header(code.into(), WWW_AUTHENTICATE);
        assert_eq!(challenge(Code::NotSignedIn).unwrap(), r#"Bearer realm="sluice""#);
        assert!(challenge(Code::InvalidToken).unwrap().ends_with(r#"error="invalid_token""#));
        assert!(
            challenge(Code::InvalidCredentials).is_some() && challenge(Code::NotFound).is_none()
        );
    }
}
