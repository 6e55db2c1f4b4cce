//! A device without an account joins by a token: account, session and membership in one call.

use axum::extract;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use infra::fresh;
use infra::http::{Json, Path, Refused};
use infra::identity::{Error, Proof, Secret, Token};
use schemas::api::{JoinDevice, JoinedDevice};
use schemas::event::{Derived, MemberJoinRequested};
use schemas::name::{PoolName, UserName};
use schemas::problem::Code;
use schemas::time::LogTime;
use schemas::topic::Offset;

use super::reply::position;
use super::tokens::{token_id, tokened};
use crate::ask::{Asked, Topics};
use crate::error;
use crate::state::{SignUps, State};

pub(super) async fn join(
    extract::State(state): extract::State<State>,
    Path(pool): Path<PoolName>,
    Json(JoinDevice { token, user_name, password }): Json<JoinDevice>,
) -> Result<Response, Refused> {
    if state.sign_ups == SignUps::Closed {
        return Err(Code::SignUpClosed.into());
    }
    let token = token_id(&token);
    let found = tokened(&state, &pool, token).await?;
    let left = good(&state, &pool, token)?;
    let chosen = password.is_some();
    let secret = password.unwrap_or_else(|| URL_SAFE_NO_PAD.encode(fresh::bytes::<32>()));
    let name = match user_name {
        Some(name) => name,
        None => random_name()?,
    };
    let signed_in = account(&state, &name, secret.clone().into(), left).await?;
    let account = signed_in.caller.account;
    let (offset, roles) = match state
        .ask(&Topics::of(&found)?, MemberJoinRequested { account, token })
        .await?
    {
        // A repeat with the same name and password finds what was begun.
        Asked::Pending { .. } => return Err(error::Error::Unanswered.into()),
        Asked::Yes { offset, heard } => match &heard.body {
            Derived::MemberAdded(added) => (offset, added.roles),
            Derived::MemberRoleChanged(changed) => (offset, changed.roles),
            _ => return Err(error::Error::Broken("a join was answered with something else").into()),
        },
    };
    shown(&state, &pool, &signed_in, offset).await?;
    let joined = JoinedDevice {
        user_id: account,
        user_name: name,
        password: (!chosen).then_some(secret),
        access_token: signed_in.access_token.expose().to_owned(),
        expires_in: signed_in.expires_in_s,
        refresh_token: signed_in.refresh_token.as_ref().map(|token| token.expose().to_owned()),
        roles,
    };
    Ok((StatusCode::CREATED, position(&pool, offset), Json(joined)).into_response())
}

/// How often the token can be redeemed, as far as is known here: no account is made for one that is
/// good for nothing. The fold decides.
fn good(state: &State, pool: &PoolName, token: schemas::id::TokenId) -> Result<u32, Refused> {
    let Some(token) = state.directory().token(pool, token) else {
        return Err(Code::NotFound.into());
    };
    let now = LogTime::from_millis(state.clock.now().millis());
    if token.revoked {
        Err(Code::TokenRevoked.into())
    } else if token.expires_at.is_some_and(|end| now >= end) {
        Err(Code::TokenExpired.into())
    } else {
        Ok(token.uses_left)
    }
}

/// A new account, or the one that an earlier try made: that may have used the token up.
async fn account(
    state: &State,
    name: &UserName,
    secret: Secret,
    left: u32,
) -> Result<Token, Refused> {
    let identity = state.access.identity();
    if left > 0 {
        let made = identity.enrol(name.clone(), secret.clone()).await;
        if !matches!(made, Ok(_) | Err(Error::NameTaken)) {
            made?;
        }
    }
    let proof = Proof::Password { name: name.clone(), password: secret };
    match identity.sign_in(proof).await {
        Err(Error::InvalidCredentials) if left == 0 => Err(Code::TokenUsedUp.into()),
        Err(Error::InvalidCredentials) => Err(Code::NameTaken.into()),
        other => Ok(other?),
    }
}

async fn shown(
    state: &State,
    pool: &PoolName,
    signed_in: &Token,
    offset: Offset,
) -> Result<(), Refused> {
    let account = signed_in.caller.account;
    if state.shows(|fold| fold.has_membership(pool, account, offset)).await {
        Ok(())
    } else {
        Err(error::Error::Unanswered.into())
    }
}

/// A name that nobody has.
fn random_name() -> Result<UserName, Refused> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let letter = |byte: u8| LETTERS.get(usize::from(byte % 32)).copied().map_or('x', char::from);
    let random: String = fresh::bytes::<20>().map(letter).iter().collect();
    format!("device-{random}").parse().map_err(|error| Refused::internal(&error))
}
