//! What admins do about results: correct them, withdraw them, have them delivered once more.

use axum::body::Body;
use axum::extract;
use axum::response::Response;
use http::HeaderMap;
use infra::http::{Json, Path, Query, Refused};
use infra::identity::Caller;
use schemas::api::{CorrectQuery, Redeliver};
use schemas::event::{RedeliveryRequested, ResultWithdrawRequested};
use schemas::id::ResultId;
use schemas::name::PoolName;
use schemas::route::{self, Route};

use super::headers::declared;
use super::reply::{done, pending};
use super::work::offered;
use crate::ask::Asked;
use crate::error::Error;
use crate::state::State;
use crate::work::Worker;

/// An admin of a pool, who works on its results.
async fn admin(
    state: &State,
    caller: &Caller,
    route: &Route,
    pool: &PoolName,
) -> Result<Worker, Refused> {
    let allowed = state.access.allow(caller, route, pool).await?;
    Ok(Worker::new(&allowed, caller.account)?)
}

pub(super) async fn correct(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path((pool, result)): Path<(PoolName, ResultId)>,
    Query(CorrectQuery { name }): Query<CorrectQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let admin = admin(&state, &caller, &route::CORRECT_RESULT, &pool).await?;
    let declared = declared(&headers, &name)?;
    let known = state.known.published(&pool, result, 0).await.map_err(Error::Tables)?;
    let known = known.ok_or(Error::NotFound)?;
    let corrected = Box::pin(state.correct(&admin, (result, known), &declared, body)).await?;
    Ok(offered(&pool, corrected))
}

pub(super) async fn withdraw(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path((pool, result)): Path<(PoolName, ResultId)>,
) -> Result<Response, Refused> {
    let admin = admin(&state, &caller, &route::WITHDRAW_RESULT, &pool).await?;
    let known = state.known.published(&pool, result, 0).await.map_err(Error::Tables)?;
    let batch = known.ok_or(Error::NotFound)?.batch;
    let ask = ResultWithdrawRequested { result, batch, by: caller.account };
    Ok(match state.ask(&admin.topics, ask).await? {
        Asked::Yes { offset, .. } => done(&pool, offset),
        Asked::Pending { offset } => {
            pending(&pool, offset, format!("/v1/pools/{pool}/results/{result}"))
        }
    })
}

pub(super) async fn redeliver(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path(pool): Path<PoolName>,
    Json(Redeliver { member, from_seq }): Json<Redeliver>,
) -> Result<Response, Refused> {
    let admin = admin(&state, &caller, &route::REDELIVER, &pool).await?;
    let ask = RedeliveryRequested { by: caller.account, member, from_seq };
    Ok(match state.ask(&admin.topics, ask).await? {
        Asked::Yes { offset, .. } => done(&pool, offset),
        Asked::Pending { offset } => pending(&pool, offset, format!("/v1/pools/{pool}/results")),
    })
}
