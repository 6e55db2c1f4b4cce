//! The audit log: all of it for platform admins, a pool's own for its owners and admins.

use std::time::Duration;

use axum::extract::State;
use infra::http::{Here, Listed, Path, PlatformAdmin, Query, Refused};
use infra::identity::Caller;
use infra::log::Find;
use infra::table::Field as _;
use schemas::api::{AuditQuery, AuditView, Page};
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::route;
use schemas::topic::Topic;

use super::walk::{Walk, Walker};
use super::{Paging, Reading};
use crate::project::{AuditRow, PoolAuditRow, outcome_of};

pub(super) async fn all(
    State(reading): State<Reading>,
    _: PlatformAdmin,
    Query(query): Query<AuditQuery>,
    here: Here,
) -> Result<Listed<AuditView>, Refused> {
    reading.has_all_audited().await?;
    let page = match query.pool.clone() {
        Some(pool) => reading.audit_of(&pool, query).await?,
        None => reading.audit(query).await?,
    };
    Ok(here.lists(page))
}

pub(super) async fn of_pool(
    State(reading): State<Reading>,
    caller: Caller,
    Path(pool): Path<PoolName>,
    Query(query): Query<AuditQuery>,
    here: Here,
) -> Result<Listed<AuditView>, Refused> {
    reading.access.allow(&caller, &route::READ_AUDIT, &pool).await?;
    if query.pool.as_ref().is_some_and(|named| *named != pool) {
        return Err(Refused::from(Code::InvalidRequest).detail("pool: the path names another"));
    }
    reading.has_all_audited().await?;
    Ok(here.lists(reading.audit_of(&pool, query).await?))
}

/// Whether the query wants it.
fn wants(query: &AuditQuery, view: &AuditView) -> bool {
    query.actor.is_none_or(|actor| view.actor == Some(actor))
        && query.act.as_ref().is_none_or(|act| *view.act == **act)
        && query.object.is_none_or(|object| view.object == Some(object))
        && query.outcome.is_none_or(|outcome| view.outcome == outcome)
}

macro_rules! view {
    ($row:ident, $pool:expr) => {
        AuditView {
            id: $row.id,
            at: $row.at,
            actor: $row.actor,
            actor_name: None,
            act: $row.act,
            pool: $pool,
            object: $row.object,
            outcome: outcome_of(&$row.outcome),
            reason: $row.reason,
            platform_admin: $row.platform_admin,
            times: $row.times,
        }
    };
}

impl Reading {
    /// Waits until the tables have what the audit log has now: who looks sees what has happened.
    async fn has_all_audited(&self) -> Result<(), Refused> {
        let end = self.sweep.read.find(&Topic::audit(), Find::End).await?.next;
        let wait = Duration::from_millis(self.limits().position_wait_ms_max);
        let there = self.progress.wait_audit(end, wait).await;
        if there { Ok(()) } else { Err(Code::PositionNotReached.into()) }
    }

    async fn audit(&self, query: AuditQuery) -> Result<Page<AuditView>, Refused> {
        let paging = Paging { cursor: query.cursor.clone(), limit: query.limit };
        let walk = Walk {
            key: vec![0_i64.cell()],
            from: query.from,
            to: query.to,
            cursor: paging.cursor::<AuditRow>()?,
            limit: paging.limit(self.limits()),
        };
        let mut walker = Walker::<AuditRow, _>::new(&self.tables, self.limits(), walk).await?;
        while let Some(rows) = walker.look().await? {
            let view = |row: AuditRow| Some(view!(row, row.pool)).filter(|it| wants(&query, it));
            walker.take(rows.into_iter().map(view));
        }
        Ok(self.named(walker.end()))
    }

    async fn audit_of(
        &self,
        pool: &PoolName,
        query: AuditQuery,
    ) -> Result<Page<AuditView>, Refused> {
        let paging = Paging { cursor: query.cursor.clone(), limit: query.limit };
        let walk = Walk {
            key: vec![pool.clone().cell()],
            from: query.from,
            to: query.to,
            cursor: paging.cursor::<PoolAuditRow>()?,
            limit: paging.limit(self.limits()),
        };
        let mut walker = Walker::<PoolAuditRow, _>::new(&self.tables, self.limits(), walk).await?;
        while let Some(rows) = walker.look().await? {
            let view = |row: PoolAuditRow| {
                Some(view!(row, Some(row.pool))).filter(|view| wants(&query, view))
            };
            walker.take(rows.into_iter().map(view));
        }
        Ok(self.named(walker.end()))
    }

    /// With the names of those who did it, as the directory has them.
    fn named(&self, (mut items, next_cursor): (Vec<AuditView>, Option<String>)) -> Page<AuditView> {
        self.access.directory().read(|fold| {
            for item in &mut items {
                let account = item.actor.and_then(|actor| fold.account(actor));
                item.actor_name = account.map(|account| account.name.clone());
            }
        });
        Page { items, next_cursor }
    }
}
