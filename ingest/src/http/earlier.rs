//! Uploads under the names that clients of earlier systems know: one file, as the body or as the
//! part `file` of a form. Those systems had no pools: who contributes to one only need not name it.

use axum::body::Body;
use axum::extract;
use axum::response::Response;
use http::HeaderMap;
use infra::http::{Query, Refused};
use infra::identity::Caller;
use schemas::api::EarlierQuery;
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::role::Role;
use schemas::route;

use super::headers::{declared, form_type, idempotency_key};
use super::reply::invalid;
use super::uploads::received;
use crate::state::State;
use crate::upload::update::FormUpload;
use crate::upload::{Key, Sender, Upload};

pub(super) async fn upload(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Query(query): Query<EarlierQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let EarlierQuery { pool, name, observed_at, sent_at } = query;
    let pool = match pool {
        Some(pool) => pool,
        None => the_only_pool(&state, &caller).await?,
    };
    let allowed = state.access.allow(&caller, &route::UPLOAD, &pool).await?;
    let key = Key::given_or_made(idempotency_key(&headers)?, state.clock.now());
    let sender = Sender::new(&allowed, caller.account, key)?;
    let said = state.said(caller.account, observed_at, sent_at);
    let (ask, taken) = if let Some(content_type) = form_type(&headers) {
        let ask = FormUpload { sender, said, content_type, name };
        Box::pin(state.receive_form(ask, body)).await?
    } else {
        let declared = declared(&headers, &name.unwrap_or_default())?;
        let ask = Upload { sender, declared, said };
        let taken = Box::pin(state.receive(&ask, body)).await?;
        (ask, taken)
    };
    received(&state, &pool, &ask, &taken).await
}

/// The pool that the caller sends to, when there is no other.
async fn the_only_pool(state: &State, caller: &Caller) -> Result<PoolName, Refused> {
    let directory = state.directory();
    directory.catch_up().await?;
    let mut pools = directory.pools_of(caller.account);
    pools.retain(|pool| {
        let roles = directory.membership(pool, caller.account);
        roles.is_some_and(|roles| roles.has(Role::Contributor))
    });
    let first = pools.pop();
    if !pools.is_empty() {
        return Err(invalid("/pool", "you contribute to several: name one, as ?pool=NAME"));
    }
    let none = || Refused::from(Code::NotFound).detail("you contribute to no pool");
    first.ok_or_else(none)
}
