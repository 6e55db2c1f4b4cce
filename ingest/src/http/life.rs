//! The life of a pool: paused, resumed, archived.

use axum::extract;
use axum::response::Response;
use infra::directory::Fold;
use infra::http::{Json, Path, Refused};
use infra::identity::Caller;
use schemas::api::ArchivePool;
use schemas::event::{Event, PoolArchiveRequested, PoolPauseRequested, PoolResumeRequested};
use schemas::name::PoolName;
use schemas::route::{self, Route};

use super::reply::told;
use crate::ask::Topics;
use crate::state::State;

pub(super) async fn pause(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path(pool): Path<PoolName>,
) -> Result<Response, Refused> {
    let ask = PoolPauseRequested { by: caller.account };
    ask_for(&state, &caller, &route::PAUSE_POOL, &pool, ask.into()).await
}

pub(super) async fn resume(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path(pool): Path<PoolName>,
) -> Result<Response, Refused> {
    let ask = PoolResumeRequested { by: caller.account };
    ask_for(&state, &caller, &route::RESUME_POOL, &pool, ask.into()).await
}

pub(super) async fn archive(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path(pool): Path<PoolName>,
    Json(ArchivePool { open_windows }): Json<ArchivePool>,
) -> Result<Response, Refused> {
    let ask = PoolArchiveRequested { by: caller.account, open_windows };
    ask_for(&state, &caller, &route::ARCHIVE_POOL, &pool, ask.into()).await
}

async fn ask_for(
    state: &State,
    caller: &Caller,
    route: &Route,
    pool: &PoolName,
    ask: Event,
) -> Result<Response, Refused> {
    let allowed = state.access.allow(caller, route, pool).await?;
    let asked = state.ask(&Topics::of(&allowed.pool)?, ask).await?;
    let counts =
        |fold: &Fold, offset| fold.pool(pool).is_some_and(|pool| pool.state_as_of >= Some(offset));
    Ok(told(state, pool, asked, format!("/v1/pools/{pool}"), counts).await)
}
