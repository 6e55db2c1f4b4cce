//! Parts of answers that several handlers give.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;
use infra::directory::Fold;
use infra::http::{PoolPosition, Refused};
use schemas::name::PoolName;
use schemas::problem::{Code, FieldError};
use schemas::topic::Offset;

use crate::ask::Asked;
use crate::state::State;

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

/// What was asked, told once it counts in this process: `204`; as far as it does not yet, `202`.
pub(super) async fn told(
    state: &State,
    pool: &PoolName,
    asked: Asked,
    place: String,
    counts: impl Fn(&Fold, Offset) -> bool,
) -> Response {
    let (Asked::Yes { offset, .. } | Asked::Pending { offset }) = asked;
    if state.shows(|fold| counts(fold, offset)).await {
        done(pool, offset)
    } else {
        pending(pool, offset, place)
    }
}

/// `204` if the fold has said yes, `202` if it has said nothing yet.
pub(super) fn decided(pool: &PoolName, asked: &Asked, place: String) -> Response {
    match *asked {
        Asked::Yes { offset, .. } => done(pool, offset),
        Asked::Pending { offset } => pending(pool, offset, place),
    }
}

/// A field with a value that cannot be.
pub(super) fn invalid(pointer: &str, detail: impl Into<String>) -> Refused {
    let (pointer, detail) = (pointer.to_owned(), detail.into());
    let fault = FieldError { pointer, detail, code: None };
    Refused::from(Code::InvalidField).errors(vec![fault])
}
