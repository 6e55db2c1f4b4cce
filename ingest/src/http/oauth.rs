//! The token endpoint of OAuth 2.0 (RFC 6749): the grants `password` (section 4.3),
//! `client_credentials` (4.4) and `refresh_token` (6), and that of an external issuer's assertions
//! (RFC 7523).
//!
//! What the RFC has words for is refused in its words (section 5.2); the rest are problems like
//! everywhere. Users need no registered client: who authenticates as one uses its own grant.

use axum::body::Body;
use axum::extract;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use infra::audit::trail;
use infra::http::body::{Bounds, whole};
use infra::http::{Json, Refused};
use infra::identity::{self, Newcomers, Proof};
use schemas::api::{TokenAnswer, TokenForm};
use schemas::id::AccountId;
use schemas::name::UserName;
use schemas::problem::Code;
use serde::Serialize;

use crate::state::{SignUps, State};

/// Longest form.
const FORM_BYTES_MAX: u64 = 16_384;
/// The grant of RFC 7523, section 2.1.
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

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
    let bounds = Bounds::of_body(&headers, FORM_BYTES_MAX, &state.limits)?;
    let bytes = whole(body, bounds).await.map_err(|fault| Refused::from(&fault))?;
    let newcomers = match state.sign_ups {
        SignUps::Open => Newcomers::Enrolled,
        SignUps::Invite | SignUps::Closed => Newcomers::Refused,
    };
    let proof = match proof(&headers, &bytes, newcomers) {
        Ok(proof) => proof,
        Err(refusal) => return Ok(refusal.into_response()),
    };
    let wrong = match &proof {
        Proof::Client { .. } => Refusal::InvalidClient,
        Proof::Password { .. } | Proof::Refresh { .. } | Proof::Assertion { .. } => {
            Refusal::InvalidGrant
        }
    };
    let token = match state.access.identity().sign_in(proof).await {
        Ok(token) => token,
        Err(identity::Error::InvalidCredentials) => {
            trail::because(Code::InvalidCredentials.as_str());
            return Ok(wrong.into_response());
        }
        Err(identity::Error::NoIssuer) => return Ok(Refusal::UnsupportedGrantType.into_response()),
        Err(other) => return Err(other.into()),
    };
    let answer = TokenAnswer {
        access_token: token.access_token.expose().to_owned(),
        token_type: "Bearer".to_owned(),
        expires_in: token.expires_in_s,
        refresh_token: token.refresh_token.map(|token| token.expose().to_owned()),
    };
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

fn proof(headers: &HeaderMap, bytes: &[u8], newcomers: Newcomers) -> Result<Proof, Refusal> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Refusal::InvalidRequest);
    }
    // A parameter that comes twice is an error of the form.
    let form: TokenForm =
        serde_urlencoded::from_bytes(bytes).map_err(|_| Refusal::InvalidRequest)?;
    let basic = basic(headers)?;
    match form.grant_type.as_str() {
        "client_credentials" => by_secret(basic, form),
        // Only API clients authenticate as clients.
        _ if basic.is_some() || form.client_secret.is_some() => Err(Refusal::InvalidClient),
        "password" => by_password(form),
        "refresh_token" => {
            let token = form.refresh_token.ok_or(Refusal::InvalidRequest)?;
            Ok(Proof::Refresh { token: token.into() })
        }
        JWT_BEARER => {
            let assertion = form.assertion.ok_or(Refusal::InvalidRequest)?.into();
            Ok(Proof::Assertion { assertion, newcomers })
        }
        _ => Err(Refusal::UnsupportedGrantType),
    }
}

fn by_password(form: TokenForm) -> Result<Proof, Refusal> {
    let (Some(name), Some(password)) = (form.username, form.password) else {
        return Err(Refusal::InvalidRequest);
    };
    // A name that cannot be belongs to nobody.
    let name: UserName = name.parse().map_err(|_| Refusal::InvalidGrant)?;
    Ok(Proof::Password { name, password: password.into() })
}

/// The client authenticates by Basic or in the form, not both (section 2.3).
fn by_secret(basic: Option<(String, String)>, form: TokenForm) -> Result<Proof, Refusal> {
    let (client, secret) = match (basic, form.client_id, form.client_secret) {
        (Some(basic), None, None) => basic,
        (None, Some(client), Some(secret)) => (client, secret),
        (None, ..) => return Err(Refusal::InvalidClient),
        (Some(_), ..) => return Err(Refusal::InvalidRequest),
    };
    let client: AccountId = client.parse().map_err(|_| Refusal::InvalidClient)?;
    Ok(Proof::Client { client, secret: secret.into() })
}

/// The user and password of Basic authentication (RFC 7617), if the request has any.
fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    let (scheme, coded) =
        text.and_then(|text| text.split_once(' ')).ok_or(Refusal::InvalidClient)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Refusal::InvalidClient);
    }
    let bytes = STANDARD.decode(coded.trim()).map_err(|_| Refusal::InvalidClient)?;
    let pair = String::from_utf8(bytes).map_err(|_| Refusal::InvalidClient)?;
    let (user, password) = pair.split_once(':').ok_or(Refusal::InvalidClient)?;
    Ok(Some((user.to_owned(), password.to_owned())))
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
            let told = proof(&headers, form.as_bytes(), Newcomers::Refused);
            let name = told.map(|proof| match proof {
                Proof::Password { name, password } => format!("{name} {}", password.expose()),
                Proof::Refresh { token } => token.expose().to_owned(),
                Proof::Client { client, secret } => format!("{client} {}", secret.expose()),
                Proof::Assertion { assertion, .. } => assertion.expose().to_owned(),
            });
            assert_eq!(name.as_deref(), expected.as_ref().map(|it| *it), "{form}");
        };
        let good = "grant_type=password&username=ada&password=a+b%26c&scope=x";
        check(FORM, good, Ok("ada a b&c"));
        check("Application/X-WWW-Form-Urlencoded; charset=UTF-8", good, Ok("ada a b&c"));
        let service = "0199f3a2-5c1e-7d53-b0a4-000000000004";
        let secret = format!("grant_type=client_credentials&client_id={service}&client_secret=s");
        check(FORM, &secret, Ok(&format!("{service} s")));
        check(FORM, "grant_type=refresh_token&refresh_token=a.b.c", Ok("a.b.c"));
        let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
        check(FORM, &format!("{grant}&assertion=a.b.c"), Ok("a.b.c"));
        check(FORM, grant, Err(Refusal::InvalidRequest));
        check("application/json", good, Err(Refusal::InvalidRequest));
        for (form, refusal) in [
            ("", Refusal::InvalidRequest),
            ("grant_type=password&username=ada", Refusal::InvalidRequest),
            ("grant_type=password&username=a&username=b&password=c", Refusal::InvalidRequest),
            ("grant_type=implicit", Refusal::UnsupportedGrantType),
            ("grant_type=refresh_token", Refusal::InvalidRequest),
            ("grant_type=client_credentials", Refusal::InvalidClient),
            ("grant_type=client_credentials&client_id=x&client_secret=y", Refusal::InvalidClient),
            ("grant_type=password&client_secret=y", Refusal::InvalidClient),
            ("grant_type=password&username=No+One&password=c", Refusal::InvalidGrant),
        ] {
            check(FORM, form, Err(refusal));
        }
        let json = serde_json::to_string(&Refusal::UnsupportedGrantType).unwrap();
        assert_eq!(json, r#"{"error":"unsupported_grant_type"}"#);
    }
}
