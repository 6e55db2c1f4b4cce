//! Where in a pool's log something was written: sent with the answer to a write, sent back with a
//! read that is to see it.

use std::fmt;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponseParts, ResponseParts};
use http::HeaderValue;
use http::request::Parts;
use schemas::api::POSITION_HEADER;
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::topic::Offset;

use super::Refused;

/// A place in a pool's events; in text `<pool>:<offset>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolPosition {
    /// The pool.
    pub pool: PoolName,
    /// The event.
    pub offset: Offset,
}

/// The text was no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a position is <pool>:<offset>")]
pub struct NotAPosition;

impl fmt::Display for PoolPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.pool, self.offset)
    }
}

impl FromStr for PoolPosition {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let (pool, offset) = text.split_once(':').ok_or(NotAPosition)?;
        // Digits only: the standard parser would take a sign.
        let digits = offset.bytes().all(|byte| byte.is_ascii_digit());
        let offset = offset.parse().ok().filter(|_| digits).ok_or(NotAPosition)?;
        Ok(Self { pool: pool.parse().map_err(|_| NotAPosition)?, offset })
    }
}

impl IntoResponseParts for PoolPosition {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut to: ResponseParts) -> Result<ResponseParts, Self::Error> {
        let value = HeaderValue::try_from(self.to_string());
        let value = value.expect("names of pools and numbers are visible ASCII");
        to.headers_mut().insert(POSITION_HEADER, value);
        Ok(to)
    }
}

/// The position that a read asks for, if it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedPosition(pub Option<PoolPosition>);

impl<S: Send + Sync> FromRequestParts<S> for AskedPosition {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let Some(value) = parts.headers.get(POSITION_HEADER) else { return Ok(Self(None)) };
        let position = value.to_str().map_err(|_| NotAPosition).and_then(str::parse);
        let wrong = |wrong: NotAPosition| {
            Refused::from(Code::InvalidRequest).detail(format!("{POSITION_HEADER}: {wrong}"))
        };
        position.map(|position| Self(Some(position))).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;
    use http::Request;

    #[test]
    fn text_and_back() {
        let position = PoolPosition { pool: "a-2".parse().unwrap(), offset: 17 };
        assert_eq!(position.to_string(), "a-2:17");
        assert_eq!("a-2:17".parse(), Ok(position.clone()));
        let response = (position, "").into_response();
        assert_eq!(response.headers()["sluice-position"], "a-2:17");
        for bad in ["", "a-2", "a-2:", ":1", "a-2:-1", "a-2:+1", "a-2:1:2", "A:1", "a-2:1 "] {
            assert_eq!(bad.parse::<PoolPosition>(), Err(NotAPosition), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_read_may_ask_for_one() {
        let ask = async |value: Option<&[u8]>| {
            let mut request = Request::builder();
            if let Some(value) = value {
                request = request.header(POSITION_HEADER, value);
            }
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            let asked = AskedPosition::from_request_parts(&mut parts, &()).await;
            asked.map(|asked| asked.0.map(|position| position.offset)).map_err(|no| no.code())
        };
        assert_eq!(ask(None).await, Ok(None));
        assert_eq!(ask(Some(b"a-2:17")).await, Ok(Some(17)));
        assert_eq!(ask(Some(b"17")).await, Err(Code::InvalidRequest));
        assert_eq!(ask(Some(b"\xff")).await, Err(Code::InvalidRequest));
    }
}
