//! Answers from the tables: GET only.

mod archive;
mod audit;
mod batches;
mod clients;
mod content;
mod deliveries;
mod erased;
mod everyone;
mod inputs;
mod pools;
mod results;
mod sweep;
mod uploads;
mod walk;
mod windows;

pub(crate) use uploads::upload_of;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use infra::blobs::Blobs;
use infra::http::{Access, Allowed, AskedPosition, PoolPosition, Refused, Routes};
use infra::identity::Caller;
use infra::table::{Cell, Row};
use schemas::api::{Page, PageQuery};
use schemas::id::AccountId;
use schemas::limit::Limits;
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::role::{Role, RoleSet};
use schemas::route::{self, Route};
use schemas::topic::Offset;
use serde::Deserialize;

use crate::cursor::Cursor;
use crate::fetched::Fetched;
use crate::notices::{self, Hub};
use crate::progress::Progress;
use crate::project::MemberRow;
use crate::sweep::SweepDeps;
use crate::tables::Tables;

/// Rows in a page when the request names no number.
const PAGE_ROWS: usize = 100;

/// Roles that see all results of a pool, whenever they came; others get those since they came, and
/// their backlog.
pub(crate) const SEES_ALL: RoleSet =
    RoleSet::of(&[Role::Owner, Role::Admin, Role::Processor, Role::Analyst]);

/// What the handlers answer from.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Who may.
    pub access: Access,
    /// The tables.
    pub tables: Tables,
    /// How far they have got.
    pub progress: Arc<Progress>,
    /// The bytes.
    pub blobs: Arc<dyn Blobs>,
    /// Told which results were served whole.
    pub fetched: Fetched,
    /// Who listens.
    pub hub: Arc<Hub>,
    /// What sweeping works with.
    pub sweep: SweepDeps,
}

impl FromRef<Reading> for Access {
    fn from_ref(reading: &Reading) -> Self {
        reading.access.clone()
    }
}

/// The routes of the read side.
pub fn routes(reading: Reading) -> Routes {
    Routes::new()
        .mount(route::LIST_CLIENTS, clients::list)
        .mount(route::LIST_POOLS, pools::list)
        .mount(route::READ_POOL, pools::read)
        .mount(route::READ_POLICY, pools::policy)
        .mount(route::LIST_MEMBERS, pools::members)
        .mount(route::LIST_TOKENS, pools::tokens)
        .mount(route::READ_WINDOWS, windows::list)
        .mount(route::READ_UPLOAD, uploads::read)
        .mount(route::FETCH_UPLOAD, uploads::fetch)
        .mount(route::READ_HISTORY, uploads::history)
        .mount(route::CLIENT_HISTORY, uploads::client_history)
        .mount(route::LIST_BATCHES, batches::list)
        .mount(route::READ_BATCH, batches::read)
        .mount(route::READ_MANIFEST, batches::manifest)
        .mount(route::FETCH_BATCH, inputs::archive)
        .mount(route::FETCH_BATCH_FILE, inputs::fetch)
        .mount(route::LIST_RESULTS, results::list)
        .mount(route::LATEST_RESULT, results::latest)
        .mount(route::READ_RESULT, results::read)
        .mount(route::FETCH_RESULT, results::fetch)
        .mount(route::READ_DELIVERIES, deliveries::list)
        .mount(route::NOTICES, notices::stream)
        .mount(route::READ_AUDIT, audit::of_pool)
        .mount(route::AUDIT, audit::all)
        .mount(route::ALL_FILES, everyone::files)
        .mount(route::SWEEP, sweep::look)
        .with(reading)
}

/// Which part of a list is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "PageQuery")]
pub(crate) struct Paging {
    cursor: Option<String>,
    limit: Option<usize>,
}

impl From<PageQuery> for Paging {
    fn from(PageQuery { cursor, limit }: PageQuery) -> Self {
        Self { cursor, limit }
    }
}

impl Paging {
    /// Where a list of these rows goes on.
    fn cursor<R: Row>(&self) -> Result<Option<Cursor>, Refused> {
        let cursor = self.cursor.as_deref().map(|text| Cursor::of(R::TABLE, text)).transpose();
        cursor
            .map_err(|wrong| Refused::from(Code::InvalidRequest).detail(format!("cursor: {wrong}")))
    }

    /// Where a list by id goes on: its cursor is the last id.
    fn after<Id: FromStr>(&self) -> Result<Option<Id>, Refused> {
        let after = self.cursor.as_deref().map(str::parse).transpose();
        after.map_err(|_| Refused::from(Code::InvalidRequest).detail("cursor"))
    }

    fn limit(&self, limits: &Limits) -> usize {
        let most = usize::try_from(limits.page_rows_max).unwrap_or(usize::MAX).max(1);
        self.limit.unwrap_or(PAGE_ROWS).clamp(1, most)
    }
}

/// The page of a list by id, from its rows and one more where there are more than fit.
fn page_by_id<T, Id: ToString, V>(
    limit: usize,
    mut rows: Vec<T>,
    id: impl Fn(&T) -> Id,
    view: impl Fn(T) -> V,
) -> Page<V> {
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| more).map(|row| id(row).to_string());
    Page { items: rows.into_iter().map(view).collect(), next_cursor }
}

impl Reading {
    fn limits(&self) -> &Limits {
        self.access.limits()
    }

    /// Whether the caller may, and the tables have what it wants to see.
    async fn allow(
        &self,
        caller: &Caller,
        route: &Route,
        pool: &PoolName,
        asked: AskedPosition,
    ) -> Result<Allowed, Refused> {
        let allowed = self.access.allow(caller, route, pool).await?;
        self.wait(caller, asked).await?;
        Ok(allowed)
    }

    /// Waits until the tables have the position that the request asks for, if the caller may know
    /// of its pool: how long it took would tell that the pool is there, and how much is in it.
    async fn wait(&self, caller: &Caller, asked: AskedPosition) -> Result<(), Refused> {
        let AskedPosition(Some(PoolPosition { pool, offset })) = asked else { return Ok(()) };
        self.access.allow(caller, &route::READ_POOL, &pool).await?;
        self.wait_for(&pool, offset).await
    }

    async fn wait_for(&self, pool: &PoolName, offset: Offset) -> Result<(), Refused> {
        let wait = Duration::from_millis(self.limits().position_wait_ms_max);
        if self.progress.wait_events(pool, offset, wait).await {
            Ok(())
        } else {
            Err(Code::PositionNotReached.into())
        }
    }

    /// What the caller gets of a pool's results.
    async fn entitlement(&self, allowed: &Allowed, who: Who<'_>) -> Result<Entitlement, Refused> {
        if allowed.roles.meets(SEES_ALL) || allowed.roles.is_empty() {
            return Ok(Entitlement::All);
        }
        let key = [Cell::Text(who.pool.as_str().into()), Cell::Id(who.account.uuid())];
        let row = self.tables.one::<MemberRow>(key).await?;
        Ok(row.map_or(Entitlement::None, Entitlement::Of))
    }
}

/// A member of a pool.
#[derive(Clone, Copy, Debug)]
struct Who<'a> {
    pool: &'a PoolName,
    account: AccountId,
}

/// Which results a caller gets.
#[derive(Clone, Debug)]
enum Entitlement {
    /// All of them.
    All,
    /// Those of a member since it came, and its backlog.
    Of(MemberRow),
    /// The tables do not know the member yet.
    None,
}

impl Entitlement {
    fn covers(&self, result: schemas::id::ResultId, seq: Offset) -> bool {
        match self {
            Self::All => true,
            Self::Of(row) => row.is_entitled(result, seq),
            Self::None => false,
        }
    }
}
