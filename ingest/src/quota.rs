//! Quotas: what is on its way is reserved before its first byte, so that many at once do not
//! together take more than there is.
//!
//! A reservation is kept where all instances see it, and counts until the tables count the file, or
//! its upload has failed. One whose process died counts until it expires. What was let in is never
//! refused later: it is the way in that is guarded, not the log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use infra::fresh;
use infra::http::body::Bounds;
use infra::kept::{Cells, Kept};
use infra::row;
use infra::table::{Field as _, Row as _, Scan};
use schemas::id::{AccountId, UploadId};
use schemas::name::PoolName;
use schemas::policy::Quota;
use schemas::problem::Code;
use schemas::time::Wall;
use schemas::topic::Offset;

use crate::error::Error;
use crate::state::State;
use crate::upload::Sender;

/// Reservations that are read in one go.
const PAGE_ROWS: usize = 1_000;

row! {
    /// Room in a quota, for something on its way.
    ReservationRow in "quota_reservation" (pool: PoolName; reservation: UploadId = Asc) {
        client: AccountId,
        files: u64,
        bytes: u64,
        expires_at: Wall,
    }
}

/// Files and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

impl Amount {
    fn plus(self, other: Self) -> Self {
        let files = self.files.saturating_add(other.files);
        Self { files, bytes: self.bytes.saturating_add(other.bytes) }
    }

    fn fits(self, files: Option<u64>, bytes: Option<u64>) -> bool {
        files.is_none_or(|most| self.files <= most) && bytes.is_none_or(|most| self.bytes <= most)
    }
}

/// What a pool and one of its members hold, or have on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Both {
    pool: Amount,
    member: Amount,
}

impl Both {
    fn plus(self, other: Self) -> Self {
        Self { pool: self.pool.plus(other.pool), member: self.member.plus(other.member) }
    }

    /// Which quota it is too much for.
    fn judge(self, quota: &Quota) -> Result<(), Exceeded> {
        if !self.pool.fits(quota.files, quota.bytes) {
            Err(Exceeded::Pool)
        } else if self.member.fits(quota.member_files, quota.member_bytes) {
            Ok(())
        } else {
            Err(Exceeded::Member)
        }
    }
}

/// Why there is no room in a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exceeded {
    /// The pool may not hold more.
    #[error("the pool's quota is used up")]
    Pool,
    /// The pool takes no more from the member.
    #[error("the member's quota is used up")]
    Member,
    /// What is on its way has the rest.
    #[error("the rest of the quota is reserved")]
    Reserved,
}

/// Reservations of this process whose uploads have ended, each with the event that has to be in the
/// tables first.
#[derive(Debug, Default)]
pub(crate) struct Reservations(Mutex<HashMap<PoolName, Vec<Ended>>>);

type Ended = (UploadId, Option<Offset>);

impl Reservations {
    fn ended(&self) -> MutexGuard<'_, HashMap<PoolName, Vec<Ended>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, pool: &PoolName, reservation: UploadId, landed: Option<Offset>) {
        self.ended().entry(pool.clone()).or_default().push((reservation, landed));
    }
}

/// Room in a quota. Dropped, it is given back: at once where the upload has landed nowhere, and
/// otherwise when the tables count it.
#[derive(Debug)]
pub(crate) struct Reserved {
    held: Option<(Arc<Reservations>, PoolName, UploadId)>,
    landed: Option<Offset>,
    bytes: u64,
}

impl Reserved {
    /// Nothing, where there is no quota.
    pub(crate) fn none() -> Self {
        Self { held: None, landed: None, bytes: u64::MAX }
    }

    /// The bytes it has room for.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What was reserved is in the log.
    pub(crate) fn landed(&mut self, offset: Option<Offset>) {
        self.landed = offset;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some((reservations, pool, reservation)) = self.held.take() {
            reservations.end(&pool, reservation, self.landed);
        }
    }
}

/// Ended reservations while they are given back. Dropped, whenever that is, those that are left
/// wait on.
struct Returning<'a> {
    reservations: &'a Reservations,
    pool: &'a PoolName,
    left: Vec<Ended>,
}

impl Drop for Returning<'_> {
    fn drop(&mut self) {
        if !self.left.is_empty() {
            self.reservations.ended().entry(self.pool.clone()).or_default().append(&mut self.left);
        }
    }
}

/// Holds a body to what there is room for.
pub(crate) fn narrow(bounds: &mut Bounds, left_bytes: u64) {
    if left_bytes < bounds.bytes_max {
        (bounds.bytes_max, bounds.over) = (left_bytes, Code::PoolQuotaExceeded);
    }
}

impl State {
    /// Reserves room for `wanted` of this sender, where its pool has a quota.
    pub(crate) async fn reserve(&self, sender: &Sender, wanted: Amount) -> Result<Reserved, Error> {
        let pool = &sender.pool.pool;
        let Some(quota) = sender.policy().quota else {
            return Ok(Reserved::none());
        };
        let wanted = Both { pool: wanted, member: wanted };
        self.give_back(pool).await?;
        // Known already that it cannot be: nothing is written.
        let used = self.used(sender).await?;
        used.plus(wanted).judge(&quota).map_err(Error::Quota)?;
        let now = self.clock.now();
        let reservation = UploadId::from_uuid(fresh::uuid(now));
        let row = ReservationRow {
            pool: pool.clone(),
            reservation,
            client: sender.client,
            files: wanted.pool.files,
            bytes: wanted.pool.bytes,
            expires_at: now.plus(self.limits.reservation_ms),
        };
        // Before it is kept: a request that ends meanwhile gives it back as well.
        let held = Some((Arc::clone(&self.reservations), pool.clone(), reservation));
        let reserved = Reserved { held, landed: None, bytes: wanted.pool.bytes };
        self.kept.put(Cells::of(row)).await.map_err(Error::Tables)?;
        // First what is on its way, then what has come: nothing is in neither.
        let reserved_now = self.reserved(sender, now).await?;
        let used = self.used(sender).await?;
        used.plus(wanted).judge(&quota).map_err(Error::Quota)?;
        let all = used.plus(reserved_now).judge(&quota);
        if all.is_err() {
            drop(reserved);
            self.give_back(pool).await?;
            return Err(Error::Quota(Exceeded::Reserved));
        }
        Ok(reserved)
    }

    /// Reserves room for one file. Of one whose length is not declared no more is read than fits.
    pub(crate) async fn reserve_one(
        &self,
        sender: &Sender,
        size_bytes: Option<u64>,
        bounds: &mut Bounds,
    ) -> Result<Reserved, Error> {
        let bytes = if let Some(bytes) = size_bytes {
            bytes
        } else {
            let left_bytes = self.left_bytes(sender, bounds.bytes_max).await?;
            narrow(bounds, left_bytes);
            left_bytes
        };
        self.reserve(sender, Amount { files: 1, bytes }).await
    }

    /// What is left for something of unknown length, and at least a byte: where there is nothing
    /// left, that is what it is refused for.
    pub(crate) async fn left_bytes(&self, sender: &Sender, bytes_max: u64) -> Result<u64, Error> {
        let Some(quota) = sender.policy().quota else { return Ok(bytes_max) };
        self.give_back(&sender.pool.pool).await?;
        let on_its_way = self.reserved(sender, self.clock.now()).await?;
        let all = self.used(sender).await?.plus(on_its_way);
        let left =
            |most: Option<u64>, held: u64| most.map_or(bytes_max, |m| m.saturating_sub(held));
        let pool = left(quota.bytes, all.pool.bytes);
        let left = pool.min(left(quota.member_bytes, all.member.bytes)).min(bytes_max);
        Ok(left.max(1))
    }

    /// What the tables count.
    async fn used(&self, sender: &Sender) -> Result<Both, Error> {
        let used = self.known.held(&sender.pool.pool, sender.client);
        let used = used.await.map_err(Error::Tables)?;
        Ok(Both {
            pool: Amount { files: used.files, bytes: used.bytes },
            member: Amount { files: used.client_files, bytes: used.client_bytes },
        })
    }

    /// What is on its way; what has expired is not.
    async fn reserved(&self, sender: &Sender, now: Wall) -> Result<Both, Error> {
        let pool = &sender.pool.pool;
        let mut sum = Both::default();
        let mut after = None;
        loop {
            let scan = Scan::of::<ReservationRow>([pool.clone().cell()]);
            let page = self.kept.page(scan.after(after).limit(PAGE_ROWS)).await;
            let page = page.map_err(Error::Tables)?;
            let more = page.more;
            let rows = page.rows::<ReservationRow>();
            let rows = rows.map_err(|bad| Error::Tables(bad.into()))?;
            after = rows.last().filter(|_| more).map(|row| vec![row.reservation.cell()]);
            for row in rows {
                if row.expires_at <= now {
                    self.forget(pool, row.reservation).await?;
                    continue;
                }
                let amount = Amount { files: row.files, bytes: row.bytes };
                let own = if row.client == sender.client { amount } else { Amount::default() };
                sum = sum.plus(Both { pool: amount, member: own });
            }
            if after.is_none() {
                return Ok(sum);
            }
        }
    }

    /// Ends reservations of uploads that have failed, or that the tables count by now.
    pub(crate) async fn give_back(&self, pool: &PoolName) -> Result<(), Error> {
        let left = self.reservations.ended().remove(pool).unwrap_or_default();
        let mut returning = Returning { reservations: &self.reservations, pool, left };
        let (mut at, mut outcome) = (0, Ok(()));
        while let Some((reservation, landed)) = returning.left.get(at).copied() {
            let counts = match landed {
                Some(offset) => self.known.has(pool, offset).await,
                None => true,
            };
            if !counts {
                at += 1;
            } else if let Err(error) = self.forget(pool, reservation).await {
                (at, outcome) = (at + 1, Err(error));
            } else {
                returning.left.swap_remove(at);
            }
        }
        outcome
    }

    async fn forget(&self, pool: &PoolName, reservation: UploadId) -> Result<(), Error> {
        let key = vec![pool.clone().cell(), reservation.cell()];
        self.kept.delete(ReservationRow::TABLE, key).await.map_err(Error::Tables)
    }
}

/// Makes the table of reservations: before anything is let in.
pub async fn prepare(kept: &dyn Kept) -> Result<(), infra::kept::Error> {
    kept.create(&[ReservationRow::TABLE]).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_judged_by_its_narrowest_part() {
        let amount = |files, bytes| Amount { files, bytes };
        let check = |quota: &Quota, pool, member, expected| {
            assert_eq!(Both { pool, member }.judge(quota), expected, "{quota:?}");
        };
        let any = Quota::default();
        check(&any, amount(u64::MAX, u64::MAX), amount(5, 5), Ok(()));
        let quota = Quota { files: Some(10), member_bytes: Some(5), ..any };
        check(&quota, amount(10, 100), amount(9, 5), Ok(()));
        check(&quota, amount(11, 100), amount(9, 6), Err(Exceeded::Pool));
        check(&quota, amount(10, 100), amount(1, 6), Err(Exceeded::Member));
        let huge = Amount { files: u64::MAX, bytes: 1 }.plus(amount(1, 1));
        check(&quota, huge, amount(0, 0), Err(Exceeded::Pool));
    }
}
