//! The token endpoint of OAuth 2.0 (RFC 6749): the grant `password`, section 4.3.
//!
//! What the RFC has words for is refused in its words (section 5.2); the rest are problems like
//! everywhere. There are no registered clients: who tries to authenticate as one is refused.

use axum::body::Body;
use axum::extract;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use infra::http::body::{Bounds, whole};
use infra::http::{Json, Refused};
use infra::identity::{self, Proof};
use schemas::api::{TokenAnswer, TokenForm};
use schemas::name::UserName;
use serde::Serialize;

use crate::state::State;

/// Longest form.
const FORM_BYTES_MAX: u64 = 16_384;

/// An error of section 5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "error", rename_all = "snake_case")]
enum Refusal {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnsupportedGrantType,
}

pub(super) async fn token(
    extract::State(state): extract::State<State>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    if headers.contains_key(AUTHORIZATION) {
        return Ok(Refusal::InvalidClient.into_response());
    }
    let bounds = Bounds::of_body(&headers, FORM_BYTES_MAX, &state.limits)?;
    let bytes = whole(body, bounds).await.map_err(|fault| Refused::from(&fault))?;
    let proof = match proof(&headers, &bytes) {
        Ok(proof) => proof,
        Err(refusal) => return Ok(refusal.into_response()),
    };
    let token = match state.access.identity().sign_in(proof).await {
        Ok(token) => token,
        Err(identity::Error::InvalidCredentials) => {
            return Ok(Refusal::InvalidGrant.into_response());
        }
        Err(other) => return Err(other.into()),
    };
    let answer = TokenAnswer {
        access_token: token.access_token.expose().to_owned(),
        token_type: "Bearer".to_owned(),
        expires_in: token.expires_in_s,
    };
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

fn proof(headers: &HeaderMap, bytes: &[u8]) -> Result<Proof, Refusal> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Refusal::InvalidRequest);
    }
    // A parameter that comes twice is an error of the form.
    let form: TokenForm =
        serde_urlencoded::from_bytes(bytes).map_err(|_| Refusal::InvalidRequest)?;
    if form.grant_type != "password" {
        return Err(Refusal::UnsupportedGrantType);
    }
    let (Some(name), Some(password)) = (form.username, form.password) else {
        return Err(Refusal::InvalidRequest);
    };
    // A name that cannot be belongs to nobody.
    let name: UserName = name.parse().map_err(|_| Refusal::InvalidGrant)?;
    Ok(Proof::Password { name, password: password.into() })
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let no_store = [(CACHE_CONTROL, "no-store")];
        match self {
            Self::InvalidClient => {
                let challenge = [(WWW_AUTHENTICATE, r#"Basic realm="sluice""#)];
                (StatusCode::UNAUTHORIZED, no_store, challenge, Json(self)).into_response()
            }
            Self::InvalidRequest | Self::InvalidGrant | Self::UnsupportedGrantType => {
                (StatusCode::BAD_REQUEST, no_store, Json(self)).into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "application/x-www-form-urlencoded";

    #[test]
    fn forms_are_read_as_the_rfc_says() {
        let check = |kind: &str, form: &str, expected: Result<&str, Refusal>| {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, kind.parse().unwrap())]);
            let name = proof(&headers, form.as_bytes()).map(|proof| match proof {
                Proof::Password { name, password } => format!("{name} {}", password.expose()),
            });
            assert_eq!(name.as_deref(), expected.as_ref().map(|it| *it), "{form}");
        };
        let good = "grant_type=password&username=ada&password=a+b%26c&scope=x";
        check(FORM, good, Ok("ada a b&c"));
        check("Application/X-WWW-Form-Urlencoded; charset=UTF-8", good, Ok("ada a b&c"));
        check("application/json", good, Err(Refusal::InvalidRequest));
        for (form, refusal) in [
            ("", Refusal::InvalidRequest),
            ("grant_type=password&username=ada", Refusal::InvalidRequest),
            ("grant_type=password&username=a&username=b&password=c", Refusal::InvalidRequest),
            ("grant_type=client_credentials", Refusal::UnsupportedGrantType),
            ("grant_type=password&username=No+One&password=c", Refusal::InvalidGrant),
        ] {
            check(FORM, form, Err(refusal));
        }
        let json = serde_json::to_string(&Refusal::UnsupportedGrantType).unwrap();
        assert_eq!(json, r#"{"error":"unsupported_grant_type"}"#);
    }
}
