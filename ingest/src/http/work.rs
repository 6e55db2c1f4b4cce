//! What external servers ask: claims, renewals, failures, results.

use axum::body::Body;
use axum::extract;
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use infra::directory::Fold;
use infra::http::serve::Draining;
use infra::http::{Json, Path, Query, Refused, digest};
use infra::identity::Caller;
use schemas::api::{Claim, Fail, OfferQuery, Renew};
use schemas::event::{BatchRetryRequested, ProcessingFailed};
use schemas::id::BatchId;
use schemas::name::PoolName;
use schemas::route::{self, Route};

use super::headers::declared;
use super::reply::{decided, invalid, pending, position};
use crate::ask::Topics;
use crate::state::State;
use crate::work::{Offer, Offered, Waiting, Worker};

/// Longest reason for a failure.
const REASON_BYTES_MAX: usize = 500;

async fn worker(
    state: &State,
    caller: &Caller,
    route: &Route,
    pool: &PoolName,
) -> Result<Worker, Refused> {
    let allowed = state.access.allow(caller, route, pool).await?;
    Ok(Worker::new(&allowed, caller.account)?)
}

pub(super) async fn claim(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path(pool): Path<PoolName>,
    draining: Draining,
    Json(Claim { claim, wait_ms }): Json<Claim>,
) -> Result<Response, Refused> {
    let worker = worker(&state, &caller, &route::CLAIM, &pool).await?;
    let wait_ms_max = state.limits.claim_wait_ms_max;
    if wait_ms > wait_ms_max {
        return Err(invalid("/wait_ms", format!("at most {wait_ms_max}")));
    }
    let waiting = Waiting { claim, wait_ms };
    let ended = async {
        tokio::select! {
            () = draining.begun() => {}
            () = signed_out(&state, &caller) => {}
        }
    };
    Ok(match Box::pin(state.claim(&worker, waiting, ended)).await? {
        Some(lease) => {
            let place = format!("/v1/pools/{pool}/batches/{}", lease.batch);
            (StatusCode::CREATED, [(LOCATION, place)], Json(lease)).into_response()
        }
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Returns once the caller's token is good no longer: who waits on it has nothing to wait for.
async fn signed_out(state: &State, caller: &Caller) {
    let Caller { account, session, .. } = *caller;
    let dead = |fold: &Fold| fold.is_revoked(session) || fold.is_disabled(account);
    while state.directory().wait_for(dead, state.answer_max()).await.is_err() {}
}

pub(super) async fn renew(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path((pool, batch)): Path<(PoolName, BatchId)>,
    Json(Renew { epoch }): Json<Renew>,
) -> Result<Response, Refused> {
    let worker = worker(&state, &caller, &route::RENEW, &pool).await?;
    let (lease, offset) = state.renew(&worker, batch, epoch).await?;
    Ok((offset.map(|offset| position(&pool, offset)), Json(lease)).into_response())
}

pub(super) async fn fail(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path((pool, batch)): Path<(PoolName, BatchId)>,
    Json(Fail { epoch, reason, retryable }): Json<Fail>,
) -> Result<Response, Refused> {
    let worker = worker(&state, &caller, &route::FAIL, &pool).await?;
    if reason.len() > REASON_BYTES_MAX {
        return Err(invalid("/reason", format!("at most {REASON_BYTES_MAX} bytes")));
    }
    let account = caller.account;
    let reason = reason.into();
    let failure = ProcessingFailed { batch, epoch, worker: account, retryable, reason };
    let asked = state.fail(&worker, failure).await?;
    Ok(decided(&pool, &asked, format!("/v1/pools/{pool}/batches/{batch}")))
}

pub(super) async fn retry(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path((pool, batch)): Path<(PoolName, BatchId)>,
) -> Result<Response, Refused> {
    let allowed = state.access.allow(&caller, &route::RETRY_BATCH, &pool).await?;
    let ask = BatchRetryRequested { batch, by: caller.account };
    let asked = state.ask(&Topics::of(&allowed.pool)?, ask).await?;
    Ok(decided(&pool, &asked, format!("/v1/pools/{pool}/batches/{batch}")))
}

pub(super) async fn offer_result(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path((pool, batch)): Path<(PoolName, BatchId)>,
    Query(query): Query<OfferQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let worker = worker(&state, &caller, &route::OFFER_RESULT, &pool).await?;
    let OfferQuery { name, revision, epoch, manifest_sha256 } = query;
    let declared = declared(&headers, &name)?;
    let offer = Offer { batch, revision, epoch, manifest_sha256, declared };
    Ok(offered(&pool, Box::pin(state.offer(&worker, offer, body)).await?))
}

/// What is told of a result that was sent.
pub(super) fn offered(pool: &PoolName, offered: Offered) -> Response {
    match offered {
        Offered::Pending { offset, result } => {
            pending(pool, offset, format!("/v1/pools/{pool}/results/{result}"))
        }
        Offered::Stands { offset, receipt } => {
            let place = format!("/v1/pools/{pool}/results/{}", receipt.result);
            let headers =
                [(LOCATION, place), (digest::REPR_DIGEST, digest::value(&receipt.sha256))];
            let status = if receipt.repeated { StatusCode::OK } else { StatusCode::CREATED };
            (status, position(pool, offset), headers, Json(receipt)).into_response()
        }
    }
}
