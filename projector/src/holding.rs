//! What a pool holds, from the tables: what was sent and not erased since, and what is erased.

use infra::table::Field as _;
use infra::views::Result;
use schemas::event::Sent;
use schemas::id::AccountId;
use schemas::name::PoolName;
use schemas::time::LogTime;

use crate::project::{ErasedRow, SentRow, day_of, everybody};
use crate::tables::Tables;

/// What a pool, and one of its members, hold. What was erased is taken off by whole days: what
/// came on the day that is being erased still counts.
pub(crate) async fn held(tables: &Tables, pool: &PoolName, client: AccountId) -> Result<Sent> {
    let erased = erased(tables, pool).await?;
    let (files, bytes) = sent(tables, pool, everybody(), erased.inputs_before).await?;
    let (client_files, client_bytes) = sent(tables, pool, client, erased.inputs_before).await?;
    Ok(Sent { files, bytes, client_files, client_bytes })
}

/// From when on a pool's bytes are still kept.
pub(crate) async fn erased(tables: &Tables, pool: &PoolName) -> Result<ErasedRow> {
    let row = tables.one::<ErasedRow>([pool.clone().cell()]).await?;
    let none = || ErasedRow { pool: pool.clone(), inputs_before: None, results_before: None };
    Ok(row.unwrap_or_else(none))
}

async fn sent(
    tables: &Tables,
    pool: &PoolName,
    client: AccountId,
    erased_before: Option<LogTime>,
) -> Result<(u64, u64)> {
    let key = || [pool.clone().cell(), client.cell()];
    let amount = |row: SentRow| (row.files, row.bytes);
    let last = async |after| -> Result<(u64, u64)> {
        let (rows, _) = tables.some::<SentRow>(key(), after, 1).await?;
        Ok(rows.into_iter().next().map(amount).unwrap_or_default())
    };
    let (files, bytes) = last(None).await?;
    let Some(before) = erased_before else { return Ok((files, bytes)) };
    // Newest first: what follows that day are the days before it.
    let (gone_files, gone_bytes) = last(Some(vec![day_of(before).cell()])).await?;
    Ok((files.saturating_sub(gone_files), bytes.saturating_sub(gone_bytes)))
}
