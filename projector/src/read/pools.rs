//! Pools and their members: from the directory, which every instance has in memory.

use axum::extract::State;
use infra::http::{AskedPosition, Here, Json, Listed, Path, Query, Refused};
use infra::identity::Caller;
use schemas::api::{Held, MemberView, Page, PoolView};
use schemas::event::Sent;
use schemas::id::AccountId;
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::role::RoleSet;
use schemas::route;

use super::{Paging, Reading};
use crate::holding;

pub(super) async fn list(
    State(reading): State<Reading>,
    caller: Caller,
    asked: AskedPosition,
) -> Result<Json<Page<PoolView>>, Refused> {
    reading.wait(&caller, asked).await?;
    let directory = reading.access.directory();
    directory.catch_up().await?;
    let names: Vec<PoolName> = if caller.platform_admin {
        directory.read(|fold| fold.pools().map(|(name, _)| name.clone()).collect())
    } else {
        directory.pools_of(caller.account)
    };
    let items = names.iter().filter_map(|name| view(&reading, &caller, name)).collect();
    Ok(Json(Page { items, next_cursor: None }))
}

fn view(reading: &Reading, caller: &Caller, name: &PoolName) -> Option<PoolView> {
    let directory = reading.access.directory();
    let roles = directory.membership(name, caller.account).unwrap_or_default();
    view_with(reading, name, roles)
}

fn view_with(reading: &Reading, name: &PoolName, roles: RoleSet) -> Option<PoolView> {
    let pool = reading.access.directory().pool(name)?;
    let policy = pool.policy?;
    Some(PoolView {
        id: policy.id,
        name: name.clone(),
        roles,
        policy_version: policy.version,
        policy: policy.policy.clone(),
        members: pool.members as u64,
        held: None,
    })
}

pub(super) async fn read(
    State(reading): State<Reading>,
    caller: Caller,
    asked: AskedPosition,
    Path(pool): Path<PoolName>,
) -> Result<Json<PoolView>, Refused> {
    let allowed = reading.allow(&caller, &route::READ_POOL, &pool, asked).await?;
    let mut view = view_with(&reading, &pool, allowed.roles).ok_or(Code::NotFound)?;
    if view.policy.quota.is_some() {
        let Sent { files, bytes, client_files, client_bytes } =
            holding::held(&reading.tables, &pool, caller.account).await?;
        let (own_files, own_bytes) = (client_files, client_bytes);
        view.held = Some(Held { files, bytes, own_files, own_bytes });
    }
    Ok(Json(view))
}

pub(super) async fn members(
    State(reading): State<Reading>,
    caller: Caller,
    asked: AskedPosition,
    Path(pool): Path<PoolName>,
    Query(paging): Query<Paging>,
    here: Here,
) -> Result<Listed<MemberView>, Refused> {
    reading.allow(&caller, &route::LIST_MEMBERS, &pool, asked).await?;
    let after = match paging.cursor.as_deref().map(str::parse::<AccountId>) {
        None => None,
        Some(Ok(after)) => Some(after),
        Some(Err(_)) => return Err(Refused::from(Code::InvalidRequest).detail("cursor")),
    };
    let limit = paging.limit(reading.limits());
    let directory = reading.access.directory();
    let mut rows = directory.members(&pool, after, limit + 1);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| more).map(|(account, _)| account.to_string());
    let name = |account| directory.account(account).map(|known| known.name);
    let member = |(account, roles)| MemberView { account, user_name: name(account), roles };
    Ok(here.lists(Page { items: rows.into_iter().map(member).collect(), next_cursor }))
}
