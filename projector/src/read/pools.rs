//! Pools and their members: from the directory, which every instance has in memory.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use infra::directory::Member;
use infra::http::{AskedPosition, Here, Json, Listed, Path, Query, Refused};
use infra::identity::Caller;
use schemas::api::{Held, MemberView, Page, PolicyView, PoolView, TokenView};
use schemas::event::{Sent, TokenCopied};
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::role::RoleSet;
use schemas::route;

use super::{Paging, Reading, page_by_id};
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
        // Those it is suspended in it may know nothing of.
        let mut pools = directory.pools_of(caller.account);
        pools.retain(|pool| directory.membership(pool, caller.account).is_some());
        pools
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
        state: pool.state,
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

/// The newest policy. Its version is the tag: who has it is told nothing more.
pub(super) async fn policy(
    State(reading): State<Reading>,
    caller: Caller,
    asked: AskedPosition,
    headers: HeaderMap,
    Path(pool): Path<PoolName>,
) -> Result<Response, Refused> {
    reading.allow(&caller, &route::READ_POLICY, &pool, asked).await?;
    let known = reading.access.directory().pool(&pool).and_then(|pool| pool.policy);
    let policy = known.ok_or(Code::NotFound)?;
    let tag = format!("\"{}\"", policy.version);
    let has = headers.get_all(IF_NONE_MATCH).iter().any(|value| {
        let mut tags = value.to_str().unwrap_or_default().split(',').map(str::trim);
        tags.any(|known| known == "*" || known.trim_start_matches("W/") == tag)
    });
    let tag = [(ETAG, tag)];
    if has {
        return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
    }
    Ok((tag, Json(PolicyView::from(&*policy))).into_response())
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
    let after = paging.after()?;
    let limit = paging.limit(reading.limits());
    let directory = reading.access.directory();
    let rows = directory.members(&pool, after, limit + 1);
    let name = |account| directory.account(account).map(|known| known.name);
    let member = |Member { account, roles, suspended }| MemberView {
        account,
        user_name: name(account),
        roles,
        suspended,
    };
    Ok(here.lists(page_by_id(limit, rows, |row| row.account, member)))
}

pub(super) async fn tokens(
    State(reading): State<Reading>,
    caller: Caller,
    asked: AskedPosition,
    Path(pool): Path<PoolName>,
    Query(paging): Query<Paging>,
    here: Here,
) -> Result<Listed<TokenView>, Refused> {
    reading.allow(&caller, &route::LIST_TOKENS, &pool, asked).await?;
    let after = paging.after()?;
    let limit = paging.limit(reading.limits());
    let directory = reading.access.directory();
    directory.catch_up().await?;
    let rows = directory.tokens(&pool, after, limit + 1);
    let view = |row: Arc<TokenCopied>| TokenView {
        id: row.token,
        roles: row.roles,
        uses_left: row.uses_left,
        expires_at: row.expires_at,
        revoked: row.revoked,
    };
    Ok(here.lists(page_by_id(limit, rows, |row| row.token, view)))
}
