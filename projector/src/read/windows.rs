//! A pool's windows: what is in each, when it closes and why, and who is missing.

use std::collections::BTreeSet;

use axum::extract::State;
use infra::directory::Member;
use infra::http::{AskedPosition, Here, Listed, Path, Query, Refused};
use infra::identity::Caller;
use infra::table::{Cell, Field as _};
use schemas::api::{Page, WindowState, WindowView};
use schemas::event::{MISSING_NAMED_MAX, PolicyCopied, PoolState};
use schemas::id::{AccountId, BatchId};
use schemas::name::PoolName;
use schemas::role::Role;
use schemas::route;
use schemas::time::LogTime;

use super::{Paging, Reading, closing, gathering};
use crate::project::{
    BatchCancelledRow, PartClientRow, PartClosedRow, PartEndedRow, PartFilesRow, PartRow,
    PartWeekRow, accounts, close_reason, window,
};

/// Rows of who has reported that are read in one go.
const CLIENTS_PAGE: usize = 5_000;

pub(super) async fn list(
    State(reading): State<Reading>,
    caller: Caller,
    asked: AskedPosition,
    Path(pool): Path<PoolName>,
    Query(paging): Query<Paging>,
    here: Here,
) -> Result<Listed<WindowView>, Refused> {
    let allowed = reading.allow(&caller, &route::READ_WINDOWS, &pool, asked).await?;
    let policy = allowed.pool.policy;
    let limit = paging.limit(reading.limits());
    let (weeks, _) =
        reading.tables.some::<PartWeekRow>([pool.clone().cell()], None, 10_000).await?;
    let weeks: Vec<i64> = weeks.into_iter().map(|row| row.week).collect();
    let key = |week: i64| vec![pool.clone().cell(), week.cell()];
    let cursor = paging.cursor::<PartRow>()?;
    let is_first = cursor.is_none();
    let listed = reading.tables.listed::<PartRow>(&weeks, key, cursor, limit).await?;
    let contributors = Contributors::of(&reading, &pool);
    let mut items = Vec::with_capacity(listed.rows.len());
    if let Some(policy) = policy.as_deref().filter(|_| is_first) {
        items.extend(gathering::groups(&reading, &pool, policy, &contributors).await?);
    }
    for row in listed.rows {
        items.push(view(&reading, policy.as_deref(), &contributors, row).await?);
    }
    if allowed.pool.state == PoolState::Paused {
        items.iter_mut().for_each(closing::waits_for_resumption);
    }
    let next_cursor = listed.next.map(|cursor| cursor.to_string());
    Ok(here.lists(Page { items, next_cursor }))
}

async fn view(
    reading: &Reading,
    policy: Option<&PolicyCopied>,
    contributors: &Contributors,
    row: PartRow,
) -> Result<WindowView, Refused> {
    let batch = row.batch;
    let files = reading.tables.one::<PartFilesRow>([batch.cell()]).await?;
    let closed = reading.tables.one::<PartClosedRow>([batch.cell()]).await?;
    let files = files.unwrap_or(PartFilesRow { batch, files: 0, bytes: 0, reported: 0 });
    let mut view = WindowView {
        window: window(row.window_start, row.window_end, &row.window_kind),
        part: row.number,
        batch: Some(batch),
        policy_version: row.policy_version,
        state: WindowState::Open,
        files: files.files,
        bytes: files.bytes,
        reported: files.reported,
        missing: Vec::new(),
        missing_count: 0,
        closes_at: row.closes_at,
        closes_at_latest: row.closes_at_latest,
        closed_because: None,
        closes_when: None,
        closes_next: None,
    };
    if let Some(closed) = closed {
        view.state = WindowState::Closed;
        view.missing = accounts(&closed.missing);
        view.missing_count = closed.missing_count;
        view.closed_because = close_reason(&closed.reason);
        view.closes_at = None;
        view.closes_at_latest = None;
    } else if reading.tables.one::<BatchCancelledRow>([batch.cell()]).await?.is_some() {
        view.state = WindowState::Cancelled;
        (view.closes_at, view.closes_at_latest) = (None, None);
    } else if let Some(ended) = reading.tables.one::<PartEndedRow>([batch.cell()]).await? {
        view.state = if ended.carried { WindowState::Carried } else { WindowState::Skipped };
        (view.closes_at, view.closes_at_latest) = (None, None);
    } else {
        let clients = clients(reading, batch).await?;
        (view.missing, view.missing_count) = contributors.without(&clients);
        if let Some(policy) = policy {
            explain(&mut view, policy, contributors, reading.now());
        }
    }
    Ok(view)
}

/// Says what closes a part that is open, and what comes next.
pub(super) fn explain(
    view: &mut WindowView,
    policy: &PolicyCopied,
    contributors: &Contributors,
    now: LogTime,
) {
    let rules = policy.grouping(view.window.start).0;
    view.closes_when = Some(closing::closes_when(rules, view, contributors.0.len(), now));
    view.closes_next = closing::closes_next(rules, view, now);
}

/// The contributors of a pool that are waited for.
pub(super) struct Contributors(BTreeSet<AccountId>);

impl Contributors {
    fn of(reading: &Reading, pool: &PoolName) -> Self {
        let all = reading.access.directory().members(pool, None, usize::MAX);
        let contributes = |member: &Member| {
            let waited_for = member.roles.has(Role::Contributor) && !member.suspended;
            waited_for.then_some(member.account)
        };
        Self(all.iter().filter_map(contributes).collect())
    }

    /// Those that are none of these: the first by id, and how many there are.
    pub(super) fn without(&self, clients: &BTreeSet<AccountId>) -> (Vec<AccountId>, u32) {
        let missing = || self.0.difference(clients);
        let count = u32::try_from(missing().count()).unwrap_or(u32::MAX);
        (missing().take(MISSING_NAMED_MAX).copied().collect(), count)
    }
}

/// The clients with a file in a part.
async fn clients(reading: &Reading, batch: BatchId) -> Result<BTreeSet<AccountId>, Refused> {
    let mut clients = BTreeSet::new();
    let mut after: Option<Vec<Cell>> = None;
    loop {
        let key = [batch.cell()];
        let (rows, more) = reading.tables.some::<PartClientRow>(key, after, CLIENTS_PAGE).await?;
        clients.extend(rows.iter().map(|row| row.client));
        after = rows.last().map(|row| vec![row.client.cell()]);
        if !more || after.is_none() {
            return Ok(clients);
        }
    }
}
