//! A pool's windows: what is in each, when it closes and why, and who is missing.

use std::collections::BTreeSet;

use axum::extract::State;
use infra::directory::Member;
use infra::http::{AskedPosition, Here, Listed, Path, Query, Refused};
use infra::identity::Caller;
use infra::table::{Cell, Field as _};
use schemas::api::{Page, WindowState, WindowView};
use schemas::event::{MISSING_NAMED_MAX, PolicyCopied};
use schemas::id::{AccountId, BatchId};
use schemas::name::PoolName;
use schemas::policy::{Minimum, Policy, Quorum, QuorumOf};
use schemas::role::Role;
use schemas::route;

use super::{Paging, Reading};
use crate::project::{
    BatchCancelledRow, PartClientRow, PartClosedRow, PartFilesRow, PartRow, PartWeekRow, accounts,
    close_reason, window,
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
    let listed =
        reading.tables.listed::<PartRow>(&weeks, key, paging.cursor::<PartRow>()?, limit).await?;
    let mut items = Vec::with_capacity(listed.rows.len());
    for row in listed.rows {
        items.push(view(&reading, &pool, policy.as_deref(), row).await?);
    }
    let next_cursor = listed.next.map(|cursor| cursor.to_string());
    Ok(here.lists(Page { items, next_cursor }))
}

async fn view(
    reading: &Reading,
    pool: &PoolName,
    policy: Option<&PolicyCopied>,
    row: PartRow,
) -> Result<WindowView, Refused> {
    let batch = row.batch;
    let files = reading.tables.one::<PartFilesRow>([batch.cell()]).await?;
    let closed = reading.tables.one::<PartClosedRow>([batch.cell()]).await?;
    let files = files.unwrap_or(PartFilesRow { batch, files: 0, bytes: 0, reported: 0 });
    let mut view = WindowView {
        window: window(row.window_start, row.window_end, &row.window_kind),
        part: row.number,
        batch,
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
    } else {
        let missing = missing(reading, pool, batch).await?;
        view.missing_count = u32::try_from(missing.len()).unwrap_or(u32::MAX);
        view.missing = missing.into_iter().take(MISSING_NAMED_MAX).collect();
        view.closes_when =
            policy.map(|policy| closes_when(policy.grouping(view.window.start).0, &view));
    }
    Ok(view)
}

/// The contributors without a file in a part.
async fn missing(
    reading: &Reading,
    pool: &PoolName,
    batch: BatchId,
) -> Result<BTreeSet<AccountId>, Refused> {
    let all = reading.access.directory().members(pool, None, usize::MAX);
    let contributes = |member: &Member| {
        let waited_for = member.roles.has(Role::Contributor) && !member.suspended;
        waited_for.then_some(member.account)
    };
    let mut missing: BTreeSet<AccountId> = all.iter().filter_map(contributes).collect();
    let mut after: Option<Vec<Cell>> = None;
    loop {
        let key = [batch.cell()];
        let (rows, more) = reading.tables.some::<PartClientRow>(key, after, CLIENTS_PAGE).await?;
        for row in &rows {
            missing.remove(&row.client);
        }
        after = rows.last().map(|row| vec![row.client.cell()]);
        if !more || after.is_none() {
            return Ok(missing);
        }
    }
}

/// What closes an open window, in a sentence.
fn closes_when(policy: &Policy, view: &WindowView) -> String {
    let mut whens = Vec::new();
    if let Some(at) = view.closes_at {
        let share = f64::from(policy.watermark.quantile_permille) / 10.0;
        whens.push(format!("{share} % of the active contributors have passed {at}"));
    }
    if let Some(count) = policy.close.count {
        whens.push(format!("it has {count} files ({} now)", view.files));
    }
    if let Some(bytes) = policy.close.bytes {
        whens.push(format!("it has {bytes} bytes ({} now)", view.bytes));
    }
    if let Some(Quorum { permille, of }) = policy.close.quorum {
        let share = f64::from(permille) / 10.0;
        let whom = match of {
            QuorumOf::Active => "active contributors",
            QuorumOf::Expected => "contributors",
        };
        whens.push(format!("{share} % of the {whom} have a file in it ({} now)", view.reported));
    }
    if let Some(schedule) = &policy.close.schedule {
        whens.push(format!("the schedule {} says so ({})", schedule.cron, schedule.zone.name));
    }
    if let Some(latest) = view.closes_at_latest {
        whens.push(format!("it is {latest}, whoever is missing"));
    }
    whens.push("an admin or the external server asks".to_owned());
    let when = format!("when {}", whens.join(", or "));
    match policy.close.minimum {
        Some(Minimum { files, clients, .. }) => {
            format!("{when}; with fewer than {files} files or {clients} clients it is held back")
        }
        None => when,
    }
}
