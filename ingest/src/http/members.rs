//! Who belongs to a pool: members, and the tokens by which others join.

use std::time::Duration;

use axum::extract;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http::header::LOCATION;
use infra::directory::Pool;
use infra::fresh;
use infra::http::{Json, Path, Refused};
use infra::identity::Caller;
use schemas::api::{AddMember, IssueToken, IssuedToken, Join, MemberView};
use schemas::digest::Digest;
use schemas::event::{
    Derived, JoinTokenIssueRequested, MemberAddRequested, MemberJoinRequested,
    MemberRemoveRequested,
};
use schemas::id::{AccountId, TokenId};
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::role::{Role, RoleSet};
use schemas::route;
use schemas::time::LogTime;
use schemas::topic::Offset;

use super::reply::{done, invalid, pending, position};
use crate::ask::{Asked, Topics};
use crate::error::Error;
use crate::state::State;

/// Roles that no token gives.
const NEVER_BY_TOKEN: RoleSet = RoleSet::of(&[Role::Owner, Role::Admin]);
/// Longest life of a token, in seconds: ten years.
const TOKEN_LIFE_S_MAX: u64 = 315_360_000;

pub(super) async fn add(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path((pool, account)): Path<(PoolName, AccountId)>,
    Json(AddMember { roles }): Json<AddMember>,
) -> Result<Response, Refused> {
    let allowed = state.access.allow(&caller, &route::ADD_MEMBER, &pool).await?;
    if roles.is_empty() {
        return Err(invalid("/roles", "at least one role"));
    }
    if !exists(&state, account).await? {
        return Err(Code::NotFound.into());
    }
    let ask = MemberAddRequested { by: caller.account, account, roles };
    let asked = state.ask(&Topics::of(&allowed.pool)?, ask).await?;
    belongs(&state, &pool, account, asked).await
}

/// Whether there is such an account; it may be so new that we have not heard of it.
async fn exists(state: &State, account: AccountId) -> Result<bool, Refused> {
    if state.directory().account(account).is_some() {
        return Ok(true);
    }
    state.directory().catch_up().await?;
    Ok(state.directory().account(account).is_some())
}

/// Answers with a member, once what it was given counts here.
async fn belongs(
    state: &State,
    pool: &PoolName,
    account: AccountId,
    asked: Asked,
) -> Result<Response, Refused> {
    let place = format!("/v1/pools/{pool}/members");
    let (offset, heard) = match asked {
        Asked::Yes { offset, heard } => (offset, heard),
        Asked::Pending { offset } => return Ok(pending(pool, offset, place)),
    };
    let (status, roles) = match &heard.body {
        Derived::MemberAdded(added) => (StatusCode::CREATED, added.roles),
        Derived::MemberRoleChanged(changed) => (StatusCode::OK, changed.roles),
        _ => return Err(Error::Broken("a member was answered with something else").into()),
    };
    if !shows_member(state, pool, account, offset).await {
        return Ok(pending(pool, offset, place));
    }
    let user_name = state.directory().account(account).map(|account| account.name);
    let view = Json(MemberView { account, user_name, roles });
    Ok((status, position(pool, offset), view).into_response())
}

async fn shows_member(state: &State, pool: &PoolName, account: AccountId, as_of: Offset) -> bool {
    state.shows(|fold| fold.has_membership(pool, account, as_of)).await
}

pub(super) async fn remove(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path((pool, account)): Path<(PoolName, AccountId)>,
) -> Result<Response, Refused> {
    let allowed = state.access.allow(&caller, &route::REMOVE_MEMBER, &pool).await?;
    let ask = MemberRemoveRequested { by: caller.account, account };
    let (Asked::Yes { offset, .. } | Asked::Pending { offset }) =
        state.ask(&Topics::of(&allowed.pool)?, ask).await?;
    if !shows_member(&state, &pool, account, offset).await {
        return Ok(pending(&pool, offset, format!("/v1/pools/{pool}/members")));
    }
    Ok(done(&pool, offset))
}

pub(super) async fn issue_token(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path(pool): Path<PoolName>,
    Json(ask): Json<IssueToken>,
) -> Result<Response, Refused> {
    let allowed = state.access.allow(&caller, &route::ISSUE_TOKEN, &pool).await?;
    let IssueToken { roles, uses_max, expires_in_s } = ask;
    if roles.is_empty() || roles.meets(NEVER_BY_TOKEN) {
        return Err(invalid("/roles", "at least one role, neither owner nor admin"));
    }
    if uses_max == 0 {
        return Err(invalid("/uses_max", "at least 1"));
    }
    if expires_in_s.is_some_and(|life_s| !(1..=TOKEN_LIFE_S_MAX).contains(&life_s)) {
        return Err(invalid("/expires_in_s", format!("from 1 to {TOKEN_LIFE_S_MAX}")));
    }
    let life = expires_in_s.map(Duration::from_secs);
    let now = LogTime::from_millis(state.clock.now().millis());
    let expires_at = life.map(|life| now.plus(u64::try_from(life.as_millis()).unwrap_or(u64::MAX)));
    let secret = URL_SAFE_NO_PAD.encode(fresh::bytes::<32>());
    let token = token_id(&secret);
    let ask = JoinTokenIssueRequested { by: caller.account, token, roles, uses_max, expires_at };
    let issued = Json(IssuedToken { token: secret, roles, uses_max, expires_at });
    let (status, offset) = match state.ask(&Topics::of(&allowed.pool)?, ask).await? {
        Asked::Yes { offset, .. } => {
            let shown = state.shows(|fold| fold.token(&pool, token).is_some()).await;
            (if shown { StatusCode::CREATED } else { StatusCode::ACCEPTED }, offset)
        }
        // The secret is shown this once: whether it is good yet, joining tells.
        Asked::Pending { offset } => (StatusCode::ACCEPTED, offset),
    };
    let place = [(LOCATION, format!("/v1/pools/{pool}/join"))];
    Ok((status, position(&pool, offset), place, issued).into_response())
}

/// What a token is called in the log: a digest, so that whoever reads the log cannot join.
fn token_id(secret: &str) -> TokenId {
    let digest = Digest::of(secret.as_bytes());
    let (first, _) = digest.bytes().split_at(16);
    TokenId::from_bits(first.iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte)))
}

pub(super) async fn join(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path(pool): Path<PoolName>,
    Json(Join { token }): Json<Join>,
) -> Result<Response, Refused> {
    let token = token_id(&token);
    let found = tokened(&state, &pool, token).await?;
    let ask = MemberJoinRequested { account: caller.account, token };
    let asked = state.ask(&Topics::of(&found)?, ask).await?;
    belongs(&state, &pool, caller.account, asked).await
}

/// The pool, if it has this token. An unknown one is told from an unknown pool in no way, and
/// nothing is appended for it.
async fn tokened(state: &State, pool: &PoolName, token: TokenId) -> Result<Pool, Refused> {
    tracing::Span::current().record("pool", tracing::field::display(pool));
    let look = || {
        state.directory().read(|fold| {
            fold.token(pool, token)?;
            fold.pool(pool).filter(|pool| pool.policy.is_some()).cloned()
        })
    };
    state.directory().refresh().await?;
    if let Some(found) = look() {
        return Ok(found);
    }
    state.directory().catch_up().await?;
    look().ok_or_else(|| Code::NotFound.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_called_by_half_a_digest_of_its_secret() {
        // The first half of the well-known digest of "hello".
        assert_eq!(token_id("hello").to_string(), "2cf24dba-5fb0-a30e-26e8-3b2ac5b9e29e");
    }
}
