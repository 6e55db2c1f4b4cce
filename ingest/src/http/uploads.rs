//! Files sent one by one, and many at once.

use axum::body::Body;
use axum::extract;
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use infra::faults::crash_point;
use infra::http::{Json, Path, Query, Refused, digest};
use infra::identity::Caller;
use schemas::api::{UpdateQuery, UpdateReceipt, UploadQuery};
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::route;

use super::headers::{declared, form_type, idempotency_key};
use super::reply::position;
use crate::error::Error;
use crate::state::State;
use crate::upload::update::Update;
use crate::upload::{Key, Sender, Taken, Upload};

pub(super) async fn upload(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path(pool): Path<PoolName>,
    Query(query): Query<UploadQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let allowed = state.access.allow(&caller, &route::UPLOAD, &pool).await?;
    let key = Key::given_or_made(idempotency_key(&headers)?, state.clock.now());
    let ask = Upload {
        sender: Sender::new(&allowed, caller.account, key)?,
        declared: declared(&headers, &query.name)?,
        said: state.said(caller.account, query.observed_at, query.sent_at),
    };
    let taken = Box::pin(state.receive(&ask, body)).await?;
    received(&state, &pool, &ask, &taken).await
}

/// The answer to an upload.
pub(super) async fn received(
    state: &State,
    pool: &PoolName,
    ask: &Upload,
    taken: &Taken,
) -> Result<Response, Refused> {
    let Some(receipt) = state.receipts(&ask.sender, [taken]).await.pop() else {
        return Err(Error::Broken("one file has one receipt").into());
    };
    let headers = [
        (LOCATION, format!("/v1/pools/{pool}/uploads/{}", receipt.upload)),
        (digest::REPR_DIGEST, digest::value(&receipt.sha256)),
    ];
    let status = if taken.repeated { StatusCode::OK } else { StatusCode::CREATED };
    let position = taken.landed.offset.map(|offset| position(pool, offset));
    crash_point("ingest.before-answer");
    Ok((status, position, headers, Json(receipt)).into_response())
}

pub(super) async fn update(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path(pool): Path<PoolName>,
    Query(query): Query<UpdateQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let allowed = state.access.allow(&caller, &route::UPDATE, &pool).await?;
    let key = Key::given_or_made(idempotency_key(&headers)?, state.clock.now());
    let (content_type, size_bytes) = form_of_update(&state, &headers)?;
    let ask = Update {
        sender: Sender::new(&allowed, caller.account, key)?,
        on_invalid: query.on_invalid,
        content_type,
        size_bytes,
    };
    let taken = Box::pin(state.receive_update(&ask, body)).await?;
    let receipt = UpdateReceipt {
        update: taken.update,
        idempotency_key: ask.sender.key.text().clone(),
        items: state.receipts(&ask.sender, &taken.items).await,
        skipped: taken.skipped,
    };
    let place = format!("/v1/pools/{pool}/clients/{}/history", caller.account);
    let status = if taken.repeated { StatusCode::OK } else { StatusCode::CREATED };
    let position = taken.offset.map(|offset| position(&pool, offset));
    crash_point("ingest.before-answer");
    Ok((status, position, [(LOCATION, place)], Json(receipt)).into_response())
}

/// The Content-Type of a form, and its length, where it is declared: it is not too much then.
fn form_of_update(state: &State, headers: &HeaderMap) -> Result<(String, Option<u64>), Refused> {
    let Some(content_type) = form_type(headers) else {
        let refused = Refused::from(Code::UnsupportedMediaType);
        return Err(refused.detail("multipart/form-data is expected"));
    };
    let bytes_max = state.limits.update_bytes_max;
    let declared = infra::http::body::declared_bytes(headers)?;
    if declared.is_some_and(|declared| declared > bytes_max) {
        return Err(Error::UpdateTooLarge(format!("more than {bytes_max} bytes")).into());
    }
    Ok((content_type, declared))
}
