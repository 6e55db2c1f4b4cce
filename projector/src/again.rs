//! Results that an admin asked to be delivered once more: which, to whom, and who has them since.

use infra::table::Field as _;
use infra::views::Result;
use schemas::id::AccountId;
use schemas::name::PoolName;
use schemas::topic::Offset;

use crate::project::{AgainRow, RedeliveryRow, block_of};
use crate::tables::Tables;

/// Redeliveries of a pool that are looked at: the newest.
const LOOKED_MAX: usize = 1_000;

/// The redeliveries of a pool, the newest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Redeliveries(Vec<RedeliveryRow>);

impl Redeliveries {
    pub(crate) async fn of(tables: &Tables, pool: &PoolName) -> Result<Self> {
        let (rows, _) =
            tables.some::<RedeliveryRow>([pool.clone().cell()], None, LOOKED_MAX).await?;
        Ok(Self(rows))
    }

    /// The first result that a member was to get once more.
    pub(crate) fn first_for(&self, member: AccountId) -> Option<Offset> {
        let all = self.0.iter().filter(|row| row.is_for(member));
        all.map(|row| row.from_seq).min()
    }

    /// The newest that asked for a result to be delivered to a member.
    fn newest(&self, member: AccountId, seq: Offset) -> Option<Offset> {
        let asks = |row: &&RedeliveryRow| {
            row.is_for(member) && (row.from_seq..row.redelivery).contains(&seq)
        };
        self.0.iter().find(asks).map(|row| row.redelivery)
    }

    /// The one that asked for it and that the member has not acknowledged it for since.
    pub(crate) async fn asks(
        &self,
        tables: &Tables,
        pool: &PoolName,
        member: AccountId,
        seq: Offset,
    ) -> Result<Option<Offset>> {
        let Some(redelivery) = self.newest(member, seq) else { return Ok(None) };
        let key = [pool.clone().cell(), member.cell(), block_of(seq).cell(), seq.cell()];
        let row = tables.one::<AgainRow>(key).await?;
        Ok(Some(redelivery).filter(|redelivery| row.is_none_or(|row| row.redelivery < *redelivery)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_redelivery_of_a_result_counts_and_none_of_what_came_after_it() {
        let [one, other] = [1, 2].map(AccountId::from_bits);
        let row = |redelivery, member, from_seq| RedeliveryRow {
            pool: "tests".parse().unwrap(),
            redelivery,
            member,
            from_seq,
        };
        let all = Redeliveries(vec![row(30, Some(one), 20), row(15, None, 5)]);
        let asked = |member, seq| all.newest(member, seq);
        assert_eq!([4, 5, 14, 15].map(|seq| asked(one, seq)), [None, Some(15), Some(15), None]);
        assert_eq!([20, 29, 30].map(|seq| asked(one, seq)), [Some(30), Some(30), None]);
        assert_eq!(asked(other, 20), None);
        assert_eq!((all.first_for(one), all.first_for(other)), (Some(5), Some(5)));
        let both = Redeliveries(vec![row(30, None, 0), row(15, None, 5)]);
        assert_eq!(both.newest(one, 7), Some(30));
    }
}
