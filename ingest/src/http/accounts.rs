//! Accounts and sessions.

use axum::extract;
use axum::response::IntoResponse;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use infra::http::{Json, Path, Query, Refused};
use infra::identity::{Caller, Proof, Token};
use schemas::api::{Credentials, SignUp, SignedIn, ValidateQuery, Validated};
use schemas::name::UserName;
use schemas::problem::Code;

use crate::state::{SignUps, State};

/// How long others may keep the keys that tokens are signed with.
const KEYS_CACHED: &str = "public, max-age=300";

pub(super) async fn sign_up(
    extract::State(state): extract::State<State>,
    Json(ask): Json<SignUp>,
) -> Result<impl IntoResponse, Refused> {
    if state.sign_ups != SignUps::Open {
        return Err(Code::SignUpClosed.into());
    }
    let identity = state.access.identity();
    identity.enrol(ask.user_name.clone(), ask.password.clone().into()).await?;
    let proof = Proof::Password { name: ask.user_name.clone(), password: ask.password.into() };
    let token = identity.sign_in(proof).await?;
    Ok((StatusCode::CREATED, Json(signed_in(ask.user_name, &token))))
}

pub(super) async fn log_in(
    extract::State(state): extract::State<State>,
    Path(name): Path<UserName>,
    Json(ask): Json<Credentials>,
) -> Result<Json<SignedIn>, Refused> {
    let proof = Proof::Password { name: name.clone(), password: ask.password.into() };
    let token = state.access.identity().sign_in(proof).await?;
    Ok(Json(signed_in(name, &token)))
}

pub(super) async fn log_out(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path(name): Path<UserName>,
) -> Result<StatusCode, Refused> {
    if !is_named(&state, &caller, &name).await? {
        return Err(Code::WrongUser.into());
    }
    state.access.identity().sign_out(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the caller's account has this name; it may be so new that we have not heard of it.
async fn is_named(state: &State, caller: &Caller, name: &UserName) -> Result<bool, Refused> {
    if let Some(known) = &caller.name {
        return Ok(known == name);
    }
    state.directory().catch_up().await?;
    let account = state.directory().account(caller.account);
    Ok(account.is_some_and(|account| account.name == *name))
}

pub(super) async fn validate(
    caller: Caller,
    Query(asked): Query<ValidateQuery>,
) -> Result<Json<Validated>, Refused> {
    if asked.user_id != caller.account {
        return Err(Code::WrongUser.into());
    }
    Ok(Json(Validated { user_id: caller.account, role: role(&caller) }))
}

pub(super) async fn keys(extract::State(state): extract::State<State>) -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, "application/jwk-set+json"), (CACHE_CONTROL, KEYS_CACHED)];
    (headers, state.access.identity().keys())
}

fn signed_in(user_name: UserName, token: &Token) -> SignedIn {
    SignedIn {
        user_id: token.caller.account,
        user_name,
        role: role(&token.caller),
        access_token: token.access_token.expose().to_owned(),
        expires_in: token.expires_in_s,
        refresh_token: token.refresh_token.as_ref().map(|token| token.expose().to_owned()),
    }
}

fn role(caller: &Caller) -> String {
    if caller.platform_admin { "admin" } else { "user" }.to_owned()
}
