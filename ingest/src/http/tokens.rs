//! Join tokens: issued, revoked, redeemed by whoever has an account.

use std::time::Duration;

use axum::extract;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http::header::LOCATION;
use infra::audit::trail;
use infra::directory::{Fold, Pool};
use infra::fresh;
use infra::http::{Json, Path, Refused};
use infra::identity::Caller;
use schemas::api::{IssueToken, IssuedToken, Join};
use schemas::digest::Digest;
use schemas::event::{JoinTokenIssueRequested, JoinTokenRevokeRequested, MemberJoinRequested};
use schemas::id::TokenId;
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::role::{Role, RoleSet};
use schemas::route;
use schemas::time::LogTime;

use super::members::belongs;
use super::reply::{invalid, position, told};
use crate::ask::{Asked, Topics};
use crate::state::State;

/// Roles that no token gives.
const NEVER_BY_TOKEN: RoleSet = RoleSet::of(&[Role::Owner, Role::Admin]);
/// Longest life of a token, in seconds: ten years.
const TOKEN_LIFE_S_MAX: u64 = 315_360_000;

pub(super) async fn issue(
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
    trail::about(token.uuid());
    let ask = JoinTokenIssueRequested { by: caller.account, token, roles, uses_max, expires_at };
    let issued = Json(IssuedToken { token: secret, id: token, roles, uses_max, expires_at });
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

pub(super) async fn revoke(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path((pool, token)): Path<(PoolName, TokenId)>,
) -> Result<Response, Refused> {
    let allowed = state.access.allow(&caller, &route::REVOKE_TOKEN, &pool).await?;
    let ask = JoinTokenRevokeRequested { by: caller.account, token };
    let asked = state.ask(&Topics::of(&allowed.pool)?, ask).await?;
    let revoked = |fold: &Fold, _| fold.token(&pool, token).is_some_and(|token| token.revoked);
    Ok(told(&state, &pool, asked, format!("/v1/pools/{pool}/join-tokens"), revoked).await)
}

/// What a token is called in the log: a digest, so that whoever reads the log cannot join.
pub(super) fn token_id(secret: &str) -> TokenId {
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
pub(super) async fn tokened(
    state: &State,
    pool: &PoolName,
    token: TokenId,
) -> Result<Pool, Refused> {
    tracing::Span::current().record("pool", tracing::field::display(pool));
    let look = || {
        state.directory().read(|fold| {
            let found = fold.pool(pool).filter(|found| found.policy.is_some())?;
            Some((found.clone(), fold.token(pool, token).is_some()))
        })
    };
    state.directory().refresh().await?;
    let mut found = look();
    if !matches!(found, Some((_, true))) {
        state.directory().catch_up().await?;
        found = look();
    }
    let (found, has_it) = found.ok_or(Code::NotFound)?;
    trail::within(pool);
    if has_it {
        trail::about(token.uuid());
        Ok(found)
    } else {
        trail::hidden();
        Err(Code::NotFound.into())
    }
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
