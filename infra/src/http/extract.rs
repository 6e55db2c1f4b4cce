//! Path, query and JSON body of a request, each refused with a problem when it cannot be read.

use axum::extract::{FromRef, FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use schemas::problem::Code;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::body::{Bounds, whole};
use super::{Access, Refused};

/// A JSON body, in or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<T>(pub T);

/// The parameters in the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path<T>(pub T);

/// The parameters in the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<T>(pub T);

impl<S, T> FromRequest<S> for Json<T>
where
    Access: FromRef<S>,
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let access = Access::from_ref(state);
        let limits = access.limits();
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            let refused = Refused::from(Code::UnsupportedMediaType);
            return Err(refused.detail("application/json is expected"));
        }
        let bounds = Bounds::of_body(&parts.headers, limits.json_bytes_max, limits)?;
        let bytes = whole(body, bounds).await.map_err(|fault| Refused::from(&fault))?;
        let value = serde_json::from_slice(&bytes);
        value.map(Self).map_err(|error| Refused::from(Code::InvalidJson).detail(error.to_string()))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => {
                let json = HeaderValue::from_static("application/json");
                ([(CONTENT_TYPE, json)], bytes).into_response()
            }
            Err(error) => Refused::internal(&error).into_response(),
        }
    }
}

impl<S, T> FromRequestParts<S> for Path<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        let path = path.map_err(|wrong| {
            if wrong.status().is_server_error() {
                Refused::internal(&wrong)
            } else {
                Refused::from(Code::InvalidRequest).detail(format!("path: {}", wrong.body_text()))
            }
        })?;
        Ok(Self(path.0))
    }
}

impl<S, T> FromRequestParts<S> for Query<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let query = axum::extract::Query::from_request_parts(parts, state).await;
        let wrong = |wrong: axum::extract::rejection::QueryRejection| {
            Refused::from(Code::InvalidRequest).detail(format!("query: {}", wrong.body_text()))
        };
        query.map(|query| Self(query.0)).map_err(wrong)
    }
}
