//! Who has a result, and who has not.

use std::collections::HashMap;

use axum::extract::State;
use infra::http::{AskedPosition, Here, Json, Link, Path, Query, Refused};
use infra::identity::Caller;
use infra::table::{Cell, Field as _};
use schemas::api::{DeliveriesQuery, DeliveriesView, DeliveryState, DeliveryView};
use schemas::id::{AccountId, ResultId};
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::route;

use super::{Paging, Reading};
use crate::again::Redeliveries;
use crate::project::{DELIVERY_SHARDS, DeliveryRow, Ended, MemberRow, state_of};

/// Members looked at in one go.
const LOOK_ROWS: usize = 1_000;

pub(super) async fn list(
    State(reading): State<Reading>,
    caller: Caller,
    asked: AskedPosition,
    Path((pool, result)): Path<(PoolName, ResultId)>,
    Query(query): Query<DeliveriesQuery>,
    here: Here,
) -> Result<(Option<Link>, Json<DeliveriesView>), Refused> {
    reading.allow(&caller, &route::READ_DELIVERIES, &pool, asked).await?;
    let seq = reading.result(&pool, result).await?.ok_or(Code::NotFound)?.seq;
    let limit = Paging { cursor: None, limit: query.limit }.limit(reading.limits());
    let missing = query.missing.unwrap_or(false);
    let mut view = DeliveriesView {
        result,
        entitled: 0,
        acknowledged: 0,
        items: Vec::new(),
        next_cursor: None,
    };
    let states = reading.states(result).await?;
    let ended = reading.ended(result).await?;
    let redeliveries = Redeliveries::of(&reading.tables, &pool).await?;
    let owed = ended == Ended::default();
    let mut after: Option<Vec<Cell>> = None;
    loop {
        let key = [pool.clone().cell()];
        let (rows, more) = reading.tables.some::<MemberRow>(key, after, LOOK_ROWS).await?;
        for row in rows.iter().filter(|row| row.is_entitled(result, seq)) {
            let mut delivery = reading.delivery(row.account, states.get(&row.account), ended);
            let has = delivery.state == DeliveryState::Acknowledged;
            let again = redeliveries.asks(&reading.tables, &pool, row.account, seq).await?;
            delivery.again = owed && again.is_some();
            view.entitled += 1;
            view.acknowledged += u64::from(has);
            let beyond = query.cursor.is_none_or(|cursor| row.account > cursor);
            let lacks = owed && (!has || delivery.again);
            if beyond && (lacks || !missing) {
                if view.items.len() < limit {
                    view.items.push(delivery);
                } else if view.next_cursor.is_none() {
                    view.next_cursor = view.items.last().map(|last| last.member.to_string());
                }
            }
        }
        after = rows.last().map(|row| vec![row.account.cell()]);
        if !more || after.is_none() {
            return Ok((here.next(view.next_cursor.as_deref()), Json(view)));
        }
    }
}

impl Reading {
    /// How far a result has come to each member that said or did something.
    async fn states(&self, result: ResultId) -> Result<HashMap<AccountId, DeliveryRow>, Refused> {
        let mut states = HashMap::new();
        for shard in 0..DELIVERY_SHARDS {
            let mut after = None;
            loop {
                let key = [result.cell(), shard.cell()];
                let (rows, more) = self.tables.some::<DeliveryRow>(key, after, LOOK_ROWS).await?;
                after = rows.last().map(|row| vec![row.member.cell(), row.state.cell()]);
                for row in rows {
                    // The furthest state of a member comes first.
                    states.entry(row.member).or_insert(row);
                }
                if !more || after.is_none() {
                    break;
                }
            }
        }
        Ok(states)
    }

    fn delivery(&self, member: AccountId, row: Option<&DeliveryRow>, ended: Ended) -> DeliveryView {
        use DeliveryState::{Failed, Pending, Superseded, Withdrawn};
        let state = match row.map_or(Pending, |row| state_of(row.state)) {
            Pending | Failed if ended.withdrawn_at.is_some() => Withdrawn,
            Pending | Failed if ended.corrected_by.is_some() => Superseded,
            state => state,
        };
        DeliveryView {
            member,
            user_name: self.access.directory().account(member).map(|account| account.name),
            state,
            at: row.map(|row| row.at),
            again: false,
        }
    }
}
