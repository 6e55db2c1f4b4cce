//! Deliveries: how far each result has come to each member that said or did something.
//!
//! A row per state, so that a fetch recorded after an acknowledgement takes nothing back.

use infra::row;
use infra::table::Row as _;
use infra::views::{View, Writes};
use schemas::api::DeliveryState;
use schemas::event::Delivery;
use schemas::id::{AccountId, ResultId};
use schemas::name::PoolName;
use schemas::time::LogTime;

use super::{Projection, Said, Seen, Source, block_of};

row! {
    /// A member and a result.
    DeliveryRow in "delivery" (result: ResultId, shard: i64; member: AccountId = Asc, state: i64 = Desc) {
        at: LogTime,
        offset: u64,
    }
}

row! {
    /// A result and a member.
    MemberDeliveryRow in "member_delivery"
        (pool: PoolName, member: AccountId, block: i64; seq: u64 = Asc, state: i64 = Desc) {
        result: ResultId,
        at: LogTime,
    }
}

row! {
    /// A result that a member acknowledged once more, and the redelivery it was for.
    AgainRow in "delivery_again" (pool: PoolName, member: AccountId, block: i64; seq: u64 = Asc) {
        redelivery: u64,
    }
}

/// Shards of a result's deliveries: a pool may have 100,000 members.
pub(crate) const SHARDS: i64 = 16;

/// The shard a member's deliveries lie in.
pub(crate) fn shard_of_member(member: AccountId) -> i64 {
    i64::from(member.bits().to_be_bytes().last().copied().unwrap_or(0)) % SHARDS
}

/// The projection.
pub(super) const PROJECTION: Projection = Projection {
    view: View { name: "deliveries", version: 3 },
    source: Source::Deliveries,
    tables: &[DeliveryRow::TABLE, MemberDeliveryRow::TABLE, AgainRow::TABLE],
    fold,
};

fn fold(seen: &Seen<'_>, writes: &mut Writes) {
    let Said::Delivery(said) = seen.said else { return };
    let (result, seq, member, state) = match said {
        Delivery::DeliveryFetched(d) => (d.result, d.seq, d.member, DeliveryState::Fetched),
        Delivery::DeliveryAcknowledged(d) => {
            (d.result, d.seq, d.member, DeliveryState::Acknowledged)
        }
        Delivery::DeliveryFailed(d) => (d.result, d.seq, d.member, DeliveryState::Failed),
    };
    let (at, state) = (seen.at, state_number(state));
    let shard = shard_of_member(member);
    writes.upsert(
        DeliveryRow { result, shard, member, state, at, offset: seen.offset },
        seen.stamp_us,
    );
    let (pool, block) = (seen.pool.clone(), block_of(seq));
    if let Delivery::DeliveryAcknowledged(d) = said
        && let Some(redelivery) = d.redelivery
    {
        let pool = pool.clone();
        writes.upsert(AgainRow { pool, member, block, seq, redelivery }, seen.stamp_us);
    }
    let row = MemberDeliveryRow { pool, member, block, seq, state, result, at };
    writes.upsert(row, seen.stamp_us);
}

pub(crate) fn state_number(state: DeliveryState) -> i64 {
    match state {
        DeliveryState::Pending | DeliveryState::Superseded | DeliveryState::Withdrawn => 0,
        DeliveryState::Failed => 1,
        DeliveryState::Fetched => 2,
        DeliveryState::Acknowledged => 3,
    }
}

/// The state a row's number stands for.
pub(crate) fn state_of(number: i64) -> DeliveryState {
    match number {
        1 => DeliveryState::Failed,
        2 => DeliveryState::Fetched,
        3 => DeliveryState::Acknowledged,
        _ => DeliveryState::Pending,
    }
}
