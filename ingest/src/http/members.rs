//! Who belongs to a pool.

use axum::extract;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use infra::directory::Fold;
use infra::http::{Allowed, Json, Path, Refused};
use infra::identity::Caller;
use schemas::api::{AddMember, GiveAway, MemberView};
use schemas::event::{
    Derived, Event, MemberAddRequested, MemberRemoveRequested, MemberResumeRequested,
    MemberSuspendRequested, OwnerTransferRequested,
};
use schemas::id::AccountId;
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::role::{Role, RoleSet};
use schemas::route::{self, Route};

use super::reply::{invalid, pending, position, told};
use crate::ask::{Asked, Topics};
use crate::error::Error;
use crate::state::State;

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
    may_touch(&state, (&caller, &allowed), (&pool, account), roles)?;
    if !exists(&state, account).await? {
        return Err(Code::NotFound.into());
    }
    let ask = MemberAddRequested { by: caller.account, account, roles };
    let asked = state.ask(&Topics::of(&allowed.pool)?, ask).await?;
    belongs(&state, &pool, account, asked).await
}

/// Only owners, and platform admins, make owners or do anything about them.
fn may_touch(
    state: &State,
    (caller, allowed): (&Caller, &Allowed),
    (pool, account): (&PoolName, AccountId),
    gets: RoleSet,
) -> Result<(), Refused> {
    let member = state.directory().read(|fold| fold.member_of(pool, account));
    let roles = member.map_or(gets, |member| member.roles.with(gets));
    if roles.has(Role::Owner) && !allowed.roles.has(Role::Owner) && !caller.platform_admin {
        return Err(Refused::from(Code::Forbidden).detail("only an owner may, of an owner"));
    }
    Ok(())
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
pub(super) async fn belongs(
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
    let (status, roles, suspended) = match &heard.body {
        Derived::MemberAdded(added) => (StatusCode::CREATED, added.roles, false),
        Derived::MemberRoleChanged(changed) => (StatusCode::OK, changed.roles, changed.suspended),
        _ => return Err(Error::Broken("a member was answered with something else").into()),
    };
    if !state.shows(|fold| fold.has_membership(pool, account, offset)).await {
        return Ok(pending(pool, offset, place));
    }
    let user_name = state.directory().account(account).map(|account| account.name);
    let view = Json(MemberView { account, user_name, roles, suspended });
    Ok((status, position(pool, offset), view).into_response())
}

pub(super) async fn remove(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path((pool, account)): Path<(PoolName, AccountId)>,
) -> Result<Response, Refused> {
    let ask = MemberRemoveRequested { by: caller.account, account };
    let target = (&pool, account);
    asked_of(&state, &caller, &route::REMOVE_MEMBER, target, ask.into()).await
}

pub(super) async fn suspend(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path((pool, account)): Path<(PoolName, AccountId)>,
) -> Result<Response, Refused> {
    let ask = MemberSuspendRequested { by: caller.account, account };
    let target = (&pool, account);
    asked_of(&state, &caller, &route::SUSPEND_MEMBER, target, ask.into()).await
}

pub(super) async fn resume(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path((pool, account)): Path<(PoolName, AccountId)>,
) -> Result<Response, Refused> {
    let ask = MemberResumeRequested { by: caller.account, account };
    let target = (&pool, account);
    asked_of(&state, &caller, &route::RESUME_MEMBER, target, ask.into()).await
}

pub(super) async fn give_away(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path(pool): Path<PoolName>,
    Json(GiveAway { account }): Json<GiveAway>,
) -> Result<Response, Refused> {
    let ask = OwnerTransferRequested { by: caller.account, to: account };
    let target = (&pool, account);
    asked_of(&state, &caller, &route::GIVE_AWAY, target, ask.into()).await
}

/// Asks something about a member, and answers once it counts here.
async fn asked_of(
    state: &State,
    caller: &Caller,
    route: &Route,
    (pool, account): (&PoolName, AccountId),
    ask: Event,
) -> Result<Response, Refused> {
    let allowed = state.access.allow(caller, route, pool).await?;
    may_touch(state, (caller, &allowed), (pool, account), RoleSet::default())?;
    let asked = state.ask(&Topics::of(&allowed.pool)?, ask).await?;
    let counts = |fold: &Fold, offset| fold.has_membership(pool, account, offset);
    Ok(told(state, pool, asked, format!("/v1/pools/{pool}/members"), counts).await)
}
