//! API clients of the caller, and the standing of accounts.

use axum::extract;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderName};
use infra::audit::trail;
use infra::http::{Json, Path, PlatformAdmin, Refused};
use infra::identity::{Caller, Secret, Standing};
use schemas::api::{ClientSecret, MakeClient};
use schemas::id::AccountId;
use schemas::problem::Code;

use crate::state::State;

/// What is shown once stays nowhere.
const NO_STORE: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

pub(super) async fn make(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Json(MakeClient { name }): Json<MakeClient>,
) -> Result<Response, Refused> {
    // A service makes no services: revoking it would leave them.
    if owner_of(&state, caller.account).is_some() {
        return Err(Refused::from(Code::Forbidden).detail("an API client can make no other"));
    }
    let (client, secret) = state.access.identity().make_client(caller.account, name).await?;
    trail::about(client.uuid());
    Ok((StatusCode::CREATED, NO_STORE, Json(shown(client, &secret))).into_response())
}

pub(super) async fn renew(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path(client): Path<AccountId>,
) -> Result<Response, Refused> {
    own(&state, &caller, client).await?;
    if state.directory().is_disabled(client) {
        return Err(Code::AccountDisabled.into());
    }
    let secret = state.access.identity().renew_client(client).await?;
    Ok((NO_STORE, Json(shown(client, &secret))).into_response())
}

pub(super) async fn revoke(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path(client): Path<AccountId>,
) -> Result<StatusCode, Refused> {
    own(&state, &caller, client).await?;
    let identity = state.access.identity();
    identity.set_standing(client, Standing::Disabled, caller.account).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn disable(
    extract::State(state): extract::State<State>,
    PlatformAdmin(caller): PlatformAdmin,
    Path(account): Path<AccountId>,
) -> Result<StatusCode, Refused> {
    set_standing(&state, &caller, account, Standing::Disabled).await
}

pub(super) async fn enable(
    extract::State(state): extract::State<State>,
    PlatformAdmin(caller): PlatformAdmin,
    Path(account): Path<AccountId>,
) -> Result<StatusCode, Refused> {
    set_standing(&state, &caller, account, Standing::Enabled).await
}

async fn set_standing(
    state: &State,
    caller: &Caller,
    account: AccountId,
    to: Standing,
) -> Result<StatusCode, Refused> {
    state.directory().catch_up().await?;
    let known = state.directory().account(account).ok_or(Code::NotFound)?;
    if known.platform_admin {
        return Err(Refused::from(Code::Forbidden).detail("a platform admin stays one"));
    }
    state.access.identity().set_standing(account, to, caller.account).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn owner_of(state: &State, account: AccountId) -> Option<AccountId> {
    state.directory().account(account)?.owner
}

/// Whether the client is the caller's; it may be so new that we have not heard of it.
async fn own(state: &State, caller: &Caller, client: AccountId) -> Result<(), Refused> {
    if owner_of(state, client).is_none() {
        state.directory().catch_up().await?;
    }
    match owner_of(state, client) {
        Some(owner) if owner == caller.account => Ok(()),
        Some(_) => {
            trail::hidden();
            Err(Code::NotFound.into())
        }
        None => Err(Code::NotFound.into()),
    }
}

fn shown(client_id: AccountId, secret: &Secret) -> ClientSecret {
    ClientSecret { client_id, client_secret: secret.expose().to_owned() }
}
