//! Why a call failed, whether a repeat may help, and whether it may have taken effect.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use schemas::digest::Digest;
use schemas::problem::{Code, Problem};

/// What a call gives.
pub type Result<T> = std::result::Result<T, Error>;

/// A call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused, and said why in our language.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// Something answered that does not speak it: a proxy, or a server newer than this client.
    #[error("the answer was {status}: {text}")]
    Foreign {
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        text: String,
        /// When it asks to be asked again.
        retry_after: Option<Duration>,
    },
    /// The server has the request, but did not know its outcome in time (202).
    #[error("the server has taken the request, its outcome is not known yet")]
    Pending,
    /// No connection came about: nothing was sent.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// The connection failed on the way.
    #[error("the connection failed: {0}")]
    Cut(String),
    /// Nothing moved for this long.
    #[error("the server was silent for {} s", .0.as_secs())]
    Silent(Duration),
    /// A success whose body is not what was expected.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
    /// The bytes that came are not the ones asked for. Nothing of them was left.
    #[error("the bytes have the digest {found}, not {expected}")]
    OtherBytes {
        /// As announced.
        expected: Digest,
        /// Of what came.
        found: Digest,
    },
    /// A file on this machine cannot be read or written.
    #[error("{}: {source}", path.display())]
    Local {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file changed while it was being sent.
    #[error("{} changed while it was being sent", .0.display())]
    Changed(PathBuf),
    /// The address of the server is none.
    #[error("{0:?} is no address of a server: http:// or https:// is expected")]
    BadAddress(String),
    /// The last try ended like this; an earlier one may have taken effect.
    #[error("{0}; an earlier try may have taken effect")]
    Doubtful(Box<Error>),
}

/// A refusal with all that the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What it said.
    pub problem: Problem,
    /// When it asks to be asked again, by the header or by the problem.
    pub retry_after: Option<Duration>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Problem { title, detail, errors, .. } = &self.problem;
        f.write_str(title)?;
        if let Some(detail) = detail {
            write!(f, ": {detail}")?;
        }
        errors.iter().try_for_each(|error| write!(f, "\n  {}: {}", error.pointer, error.detail))
    }
}

impl Error {
    /// The refusal, when the server refused in our language.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Doubtful(last) => last.refusal(),
            _ => None,
        }
    }

    /// The code of the refusal.
    pub fn code(&self) -> Option<Code> {
        self.refusal().map(|refusal| refusal.problem.code)
    }

    /// The HTTP status, when anything answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.problem.status),
            Self::Foreign { status, .. } => Some(*status),
            Self::Doubtful(last) => last.status(),
            _ => None,
        }
    }

    /// Whether the same call may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Refused(refusal) => matches!(
                refusal.problem.code,
                Code::LengthMismatch
                    | Code::DigestMismatch
                    | Code::SlowBody
                    | Code::UploadInProgress
                    | Code::Internal
                    | Code::Unavailable
                    | Code::OutcomeUnknown
                    | Code::PositionNotReached
                    | Code::TooBusy
                    | Code::RateLimited
                    | Code::QuotaReserved
                    | Code::StorageFull
            ),
            Self::Foreign { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502..=504),
            Self::Pending | Self::Unreachable(_) | Self::Cut(_) | Self::Silent(_) => true,
            Self::Unreadable(_)
            | Self::OtherBytes { .. }
            | Self::Local { .. }
            | Self::Changed(_)
            | Self::BadAddress(_) => false,
            Self::Doubtful(last) => last.retryable(),
        }
    }

    /// Whether the call may have taken effect all the same.
    pub fn may_be_done(&self) -> bool {
        match self {
            Self::Refused(refusal) => matches!(
                refusal.problem.code,
                Code::UploadInProgress | Code::Internal | Code::OutcomeUnknown
            ),
            // Whoever stands between may have passed the request on.
            Self::Foreign { status, .. } => *status < 400 || *status >= 500,
            Self::Pending
            | Self::Cut(_)
            | Self::Silent(_)
            | Self::Unreadable(_)
            | Self::Doubtful(_) => true,
            Self::Unreachable(_)
            | Self::OtherBytes { .. }
            | Self::Local { .. }
            | Self::Changed(_)
            | Self::BadAddress(_) => false,
        }
    }

    /// When the server asks to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::Foreign { retry_after, .. } => *retry_after,
            Self::Doubtful(last) => last.retry_after(),
            _ => None,
        }
    }

    /// Whether it is about who asks: not signed in, or not any more.
    pub fn is_signed_out(&self) -> bool {
        self.status() == Some(401)
    }

    /// The same, when an earlier try may have taken effect.
    pub(crate) fn in_doubt(self, doubt: bool) -> Self {
        if doubt && !self.may_be_done() { Self::Doubtful(Box::new(self)) } else { self }
    }

    /// A file on this machine failed.
    pub(crate) fn local(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::Local { path, source }
    }
}

/// What went wrong with a file while its bytes were on their way into a request. Travels through
/// the HTTP library among the sources of its error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{} changed", .0.display())]
    Changed(PathBuf),
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        let mut reason = String::new();
        let mut next: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = next {
            match error.downcast_ref() {
                Some(Fault::Changed(path)) => return Self::Changed(path.clone()),
                Some(Fault::Read { path, source }) => {
                    // What is borrowed cannot be moved out: the kind and the text are kept.
                    let source = io::Error::new(source.kind(), source.to_string());
                    return Self::Local { path: path.clone(), source };
                }
                None => {}
            }
            // The last one says most; those before only wrap it.
            reason.clear();
            _ = write!(reason, "{error}");
            next = error.source();
        }
        if error.is_connect() { Self::Unreachable(reason) } else { Self::Cut(reason) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: Code) -> Error {
        Error::Refused(Box::new(Refusal { problem: code.into(), retry_after: None }))
    }

    #[test]
    fn what_may_be_repeated_and_what_may_have_been_done() {
        let check = |error: Error, expected: (bool, bool)| {
            assert_eq!((error.retryable(), error.may_be_done()), expected, "{error}");
        };
        check(refused(Code::TooBusy), (true, false));
        check(refused(Code::RateLimited), (true, false));
        check(refused(Code::Unavailable), (true, false));
        check(refused(Code::OutcomeUnknown), (true, true));
        check(refused(Code::UploadInProgress), (true, true));
        check(refused(Code::Forbidden), (false, false));
        check(refused(Code::StaleLease), (false, false));
        check(Error::Unreachable(String::new()), (true, false));
        check(Error::Cut(String::new()), (true, true));
        let foreign = |status| Error::Foreign { status, text: String::new(), retry_after: None };
        check(foreign(502), (true, true));
        check(foreign(429), (true, false));
        check(foreign(413), (false, false));
        check(refused(Code::InvalidToken).in_doubt(true), (false, true));
        check(refused(Code::InvalidToken).in_doubt(false), (false, false));
    }

    #[test]
    fn codes_that_ask_for_a_retry_are_retryable() {
        for code in Code::ALL {
            let asks = code.advice().to_lowercase().contains("retry");
            assert_eq!(refused(*code).retryable(), asks, "{}", code.as_str());
        }
    }

    #[test]
    fn a_refusal_reads_as_one_text() {
        let field = schemas::problem::FieldError {
            pointer: "/items/1".into(),
            detail: "empty".into(),
            code: None,
        };
        let problem = Problem::new(Code::UpdateInvalid).detail("1 of 2").errors(vec![field]);
        let text = Refusal { problem, retry_after: None }.to_string();
        let expected =
            "some files of the update cannot be taken, so none was: 1 of 2\n  /items/1: empty";
        assert_eq!(text, expected);
    }
}
