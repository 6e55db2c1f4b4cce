//! Parts of answers that several handlers give.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;
use infra::http::{PoolPosition, Refused};
use schemas::name::PoolName;
use schemas::problem::{Code, FieldError};
use schemas::topic::Offset;

/// The place of an event of the pool, to be sent back with a read.
pub(super) fn position(pool: &PoolName, offset: Offset) -> PoolPosition {
    PoolPosition { pool: pool.clone(), offset }
}

/// `204`: it has happened, and there is nothing to tell of it.
pub(super) fn done(pool: &PoolName, offset: Offset) -> Response {
    (StatusCode::NO_CONTENT, position(pool, offset), ()).into_response()
}

/// `202`: it is in the log and has no answer yet. What came of it can be seen at `place`.
pub(super) fn pending(pool: &PoolName, offset: Offset, place: String) -> Response {
    (StatusCode::ACCEPTED, position(pool, offset), [(LOCATION, place)], ()).into_response()
}

/// A field with a value that cannot be.
pub(super) fn invalid(pointer: &str, detail: impl Into<String>) -> Refused {
    let (pointer, detail) = (pointer.to_owned(), detail.into());
    let fault = FieldError { pointer, detail, code: None };
    Refused::from(Code::InvalidField).errors(vec![fault])
}
