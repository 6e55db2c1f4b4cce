//! Results: in the order they came, the latest, one, and its bytes.

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use infra::http::{Allowed, AskedPosition, Here, Json, Listed, Path, Query, Refused};
use infra::identity::Caller;
use infra::table::{Cell, Field as _};
use schemas::api::{DeliveryState, Page, ResultView, ResultsQuery};
use schemas::id::ResultId;
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::route;
use schemas::time::LogTime;
use schemas::topic::Offset;

use super::content::{self, Content};
use super::erased::content_of;
use super::{Entitlement, Paging, Reading, Who};
use crate::again::Redeliveries;
use crate::cursor::Cursor;
use crate::fetched::Served;
use crate::holding;
use crate::project::{
    Ended, MemberDeliveryRow, PoolResultRow, ResultBlockRow, ResultEndedRow, ResultOrderRow,
    ResultRow, ResultWeekRow, block_of, state_of,
};

/// Results looked at in one go.
const LOOK_ROWS: usize = 500;
/// Results looked at for one page at most: a member that acknowledged all of them gets an empty
/// page and a cursor.
const LOOKED_MAX: usize = 20_000;

pub(super) async fn list(
    State(reading): State<Reading>,
    caller: Caller,
    asked: AskedPosition,
    Path(pool): Path<PoolName>,
    Query(query): Query<ResultsQuery>,
    here: Here,
) -> Result<Listed<ResultView>, Refused> {
    let allowed = reading.allow(&caller, &route::LIST_RESULTS, &pool, asked).await?;
    let limit = Paging { cursor: None, limit: query.limit }.limit(reading.limits());
    let who = Who { pool: &pool, account: caller.account };
    let entitlement = reading.entitlement(&allowed, who).await?;
    let pending = query.pending.unwrap_or(false);
    let again = query.again.unwrap_or(false);
    let redeliveries = if pending || again {
        Redeliveries::of(&reading.tables, &pool).await?
    } else {
        Redeliveries::default()
    };
    let erased = holding::erased(&reading.tables, &pool).await?.results_before;
    let mut after = query.after.max(query.cursor);
    let (mut items, mut looked) = (Vec::new(), 0);
    let mut more = true;
    if again {
        match redeliveries.first_for(caller.account) {
            None => more = false,
            Some(first) => after = after.max(first.checked_sub(1)),
        }
    }
    while more && items.len() < limit && looked < LOOKED_MAX {
        let rows = reading.results_after(&pool, after, LOOK_ROWS).await?;
        more = rows.len() == LOOK_ROWS;
        for row in &rows {
            if items.len() == limit {
                more = true;
                break;
            }
            looked += 1;
            after = Some(row.seq);
            if !entitlement.covers(row.result, row.seq) {
                continue;
            }
            let asked =
                redeliveries.asks(&reading.tables, &pool, who.account, row.seq).await?.is_some();
            let waits = asked || (pending && !again && !reading.has(who, row.seq).await?);
            if (pending || again) && !waits {
                continue;
            }
            if let Some(result) = reading.result(&pool, row.result).await? {
                let view = reading.shown(result, erased).await?;
                // Nobody waits for what is not to be had any more.
                if !waits || view.is_owed() {
                    items.push(view);
                }
            }
        }
    }
    let next_cursor = after.filter(|_| more).map(|seq| seq.to_string());
    Ok(here.lists(Page { items, next_cursor }))
}

pub(super) async fn latest(
    State(reading): State<Reading>,
    caller: Caller,
    asked: AskedPosition,
    Path(pool): Path<PoolName>,
) -> Result<Json<ResultView>, Refused> {
    let allowed = reading.allow(&caller, &route::LATEST_RESULT, &pool, asked).await?;
    let who = Who { pool: &pool, account: caller.account };
    let entitlement = reading.entitlement(&allowed, who).await?;
    let key = [pool.clone().cell()];
    let (weeks, _) = reading.tables.some::<ResultWeekRow>(key, None, 10_000).await?;
    let weeks: Vec<i64> = weeks.into_iter().map(|row| row.week).collect();
    let key = |week: i64| vec![pool.clone().cell(), week.cell()];
    let mut cursor = None;
    loop {
        let listed = reading.tables.listed::<ResultOrderRow>(&weeks, key, cursor, 20).await?;
        for row in &listed.rows {
            if let Some(row) = reading.result(&pool, row.result).await?
                && entitlement.covers(row.result, row.seq)
            {
                let erased = holding::erased(&reading.tables, &pool).await?.results_before;
                let view = reading.shown(row, erased).await?;
                // Its place stays taken: what was before it is not the latest again.
                return match view.withdrawn_at {
                    None => Ok(Json(view)),
                    Some(_) => Err(Code::ResultWithdrawn.into()),
                };
            }
        }
        cursor = Some(listed.next.ok_or(Code::NotFound)?);
    }
}

pub(super) async fn read(
    State(reading): State<Reading>,
    caller: Caller,
    asked: AskedPosition,
    Path((pool, result)): Path<(PoolName, ResultId)>,
) -> Result<Json<ResultView>, Refused> {
    let allowed = reading.allow(&caller, &route::READ_RESULT, &pool, asked).await?;
    let who = Who { pool: &pool, account: caller.account };
    let row = reading.entitled(&allowed, who, result).await?;
    let erased = holding::erased(&reading.tables, &pool).await?.results_before;
    Ok(Json(reading.shown(row, erased).await?))
}

pub(super) async fn fetch(
    State(reading): State<Reading>,
    caller: Caller,
    asked: AskedPosition,
    Path((pool, result)): Path<(PoolName, ResultId)>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let allowed = reading.allow(&caller, &route::FETCH_RESULT, &pool, asked).await?;
    let who = Who { pool: &pool, account: caller.account };
    let row = reading.entitled(&allowed, who, result).await?;
    reading.is_kept_result(&row).await?;
    if reading.ended(result).await?.withdrawn_at.is_some() {
        return Err(Code::ResultWithdrawn.into());
    }
    let served = match &allowed.pool.located {
        // A platform admin who is no member is nobody the result is for.
        Some(located) if !allowed.roles.is_empty() => Some(Served {
            topic: schemas::topic::Topic::named(&located.deliveries),
            result,
            seq: row.seq,
            member: caller.account,
        }),
        _ => None,
    };
    let served = served.map(|served| (reading.fetched.clone(), served));
    content::serve(reading.blobs.as_ref(), &headers, Content::of_result(&row), served).await
}

impl Reading {
    /// A result, with what became of it and whether its bytes can still be had.
    async fn shown(
        &self,
        row: ResultRow,
        erased_before: Option<LogTime>,
    ) -> Result<ResultView, Refused> {
        let content = content_of(row.at, erased_before);
        let Ended { corrected_by, withdrawn_at } = self.ended(row.result).await?;
        Ok(ResultView { content, corrected_by, withdrawn_at, ..ResultView::from(row) })
    }

    /// What became of a result.
    pub(super) async fn ended(&self, result: ResultId) -> Result<Ended, Refused> {
        let (rows, _) = self.tables.some::<ResultEndedRow>([result.cell()], None, 2).await?;
        Ok(Ended::of(&rows))
    }

    /// A result of the pool.
    pub(super) async fn result(
        &self,
        pool: &PoolName,
        result: ResultId,
    ) -> Result<Option<ResultRow>, Refused> {
        let row = self.tables.one::<ResultRow>([result.cell()]).await?;
        Ok(row.filter(|row| row.pool == *pool))
    }

    async fn entitled(
        &self,
        allowed: &Allowed,
        who: Who<'_>,
        result: ResultId,
    ) -> Result<ResultRow, Refused> {
        let row = self.result(who.pool, result).await?.ok_or(Code::NotFound)?;
        let entitlement: Entitlement = self.entitlement(allowed, who).await?;
        if entitlement.covers(result, row.seq) { Ok(row) } else { Err(Code::NotFound.into()) }
    }

    async fn results_after(
        &self,
        pool: &PoolName,
        after: Option<Offset>,
        limit: usize,
    ) -> Result<Vec<PoolResultRow>, Refused> {
        let key = [pool.clone().cell()];
        let (blocks, _) = self.tables.some::<ResultBlockRow>(key, None, 100_000).await?;
        let mut blocks: Vec<i64> = blocks.into_iter().map(|row| row.block).collect();
        let mut cursor = None;
        if let Some(after) = after {
            let block = block_of(after);
            blocks.retain(|other| *other >= block);
            let there = blocks.first() == Some(&block);
            cursor = there.then(|| Cursor { bucket: block, after: vec![after.cell()] });
        }
        let key = |block: i64| vec![pool.clone().cell(), block.cell()];
        Ok(self.tables.listed::<PoolResultRow>(&blocks, key, cursor, limit).await?.rows)
    }

    /// Whether the member has acknowledged the result of this sequence number.
    async fn has(&self, who: Who<'_>, seq: Offset) -> Result<bool, Refused> {
        let Who { pool, account } = who;
        let key: [Cell; 4] =
            [pool.clone().cell(), account.cell(), block_of(seq).cell(), seq.cell()];
        let (rows, _) = self.tables.some::<MemberDeliveryRow>(key, None, 1).await?;
        Ok(rows.first().is_some_and(|row| state_of(row.state) == DeliveryState::Acknowledged))
    }
}
