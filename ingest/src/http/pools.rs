//! Pools and their windows.

use axum::extract;
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use infra::audit::trail;
use infra::http::{Json, Path, Refused};
use infra::identity::Caller;
use schemas::api::{CloseWindow, CreatePool};
use schemas::event::WindowCloseAsked;
use schemas::name::PoolName;
use schemas::route;

use super::headers::idempotency_key;
use super::policy::invalid_policy;
use super::reply::{decided, pending, position};
use crate::ask::Topics;
use crate::pool::{Made, NewPool};
use crate::state::State;

pub(super) async fn create(
    extract::State(state): extract::State<State>,
    caller: Caller,
    headers: HeaderMap,
    Json(CreatePool { name, policy }): Json<CreatePool>,
) -> Result<Response, Refused> {
    let key = idempotency_key(&headers)?;
    let policy =
        policy.resolve(&state.limits).map_err(|faults| invalid_policy("/policy", &faults))?;
    let ask = NewPool { name: name.clone(), owner: caller.account, policy: Box::new(policy), key };
    trail::within(&name);
    let place = format!("/v1/pools/{name}");
    Ok(match state.create_pool(ask).await? {
        Made::New { offset, view } => {
            let position = position(&name, offset);
            (StatusCode::CREATED, position, [(LOCATION, place)], Json(view)).into_response()
        }
        Made::Repeated(view) => ([(LOCATION, place)], Json(view)).into_response(),
        Made::Pending { offset } => pending(&name, offset, place),
    })
}

pub(super) async fn close_window(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path(pool): Path<PoolName>,
    Json(CloseWindow { at }): Json<CloseWindow>,
) -> Result<Response, Refused> {
    let allowed = state.access.allow(&caller, &route::CLOSE_WINDOW, &pool).await?;
    let topics = Topics::of(&allowed.pool)?;
    let ask = WindowCloseAsked { by: caller.account, at };
    let asked = state.ask(&topics, ask).await?;
    Ok(decided(&pool, &asked, format!("/v1/pools/{pool}/windows")))
}
