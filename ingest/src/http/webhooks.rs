//! Webhooks of a pool: made, renewed, enabled, disabled, removed. They are kept beside the log, not
//! in it: a secret has no place there, and nothing about a batch follows from them.

use axum::extract;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderName, LOCATION};
use infra::http::{Json, Path, Refused};
use infra::identity::Caller;
use infra::webhooks::{MakeError, Which};
use schemas::api::MakeWebhook;
use schemas::id::WebhookId;
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::route::{self, Route};

use super::reply::invalid;
use crate::state::State;

/// What is shown once stays nowhere.
const NO_STORE: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

pub(super) async fn make(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path(pool): Path<PoolName>,
    Json(ask): Json<MakeWebhook>,
) -> Result<Response, Refused> {
    state.access.allow(&caller, &route::MAKE_WEBHOOK, &pool).await?;
    if ask.notices.as_ref().is_some_and(Vec::is_empty) {
        return Err(invalid("/notices", "at least one kind, or leave it out"));
    }
    if let Err(forbidden) = state.poster.check(&ask.url).await {
        return Err(Refused::from(Code::ForbiddenTarget).detail(forbidden.to_string()));
    }
    let made = state.webhooks.make(pool.clone(), caller.account, ask).await;
    let made = made.map_err(|error| match error {
        MakeError::Full => Refused::from(Code::WebhooksFull),
        MakeError::Kept(error) => error.into(),
    })?;
    let place = [(LOCATION, format!("/v1/pools/{pool}/webhooks"))];
    Ok((StatusCode::CREATED, NO_STORE, place, Json(made)).into_response())
}

pub(super) async fn renew(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path(which): Path<(PoolName, WebhookId)>,
) -> Result<Response, Refused> {
    let which = allowed(&state, &caller, &route::RENEW_WEBHOOK, which).await?;
    let renewed = state.webhooks.renew(&which).await?.ok_or(Code::NotFound)?;
    Ok((NO_STORE, Json(renewed)).into_response())
}

pub(super) async fn enable(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path(which): Path<(PoolName, WebhookId)>,
) -> Result<StatusCode, Refused> {
    let which = allowed(&state, &caller, &route::ENABLE_WEBHOOK, which).await?;
    done(state.webhooks.enable(&which, true).await?)
}

pub(super) async fn disable(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path(which): Path<(PoolName, WebhookId)>,
) -> Result<StatusCode, Refused> {
    let which = allowed(&state, &caller, &route::DISABLE_WEBHOOK, which).await?;
    done(state.webhooks.enable(&which, false).await?)
}

pub(super) async fn remove(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path(which): Path<(PoolName, WebhookId)>,
) -> Result<StatusCode, Refused> {
    let which = allowed(&state, &caller, &route::REMOVE_WEBHOOK, which).await?;
    done(state.webhooks.remove(&which).await?)
}

/// The webhook, if the caller may change webhooks of its pool.
async fn allowed(
    state: &State,
    caller: &Caller,
    route: &Route,
    (pool, webhook): (PoolName, WebhookId),
) -> Result<Which, Refused> {
    state.access.allow(caller, route, &pool).await?;
    Ok(Which { pool, webhook })
}

fn done(there: bool) -> Result<StatusCode, Refused> {
    if there { Ok(StatusCode::NO_CONTENT) } else { Err(Code::NotFound.into()) }
}
