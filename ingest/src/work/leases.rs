//! Leases: renewing them and giving them back.
//!
//! The first renewal is asked, and those from a third of the lease on; a worker that renews more
//! often is told again what it was told last.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use schemas::api::Lease;
use schemas::event::{Derived, LeaseRenewed, ProcessingFailed};
use schemas::id::{AccountId, BatchId};
use schemas::time::Wall;
use schemas::topic::Offset;

use super::Worker;
use crate::ask::Asked;
use crate::error::Error;
use crate::state::State;

/// Renewals that are remembered; without one the fold is asked.
const KNOWN_MAX: usize = 10_000;

/// What workers were told last of their leases.
#[derive(Debug, Default)]
pub(crate) struct Renewals(Mutex<HashMap<BatchId, Renewal>>);

#[derive(Clone, Debug)]
struct Renewal {
    worker: AccountId,
    lease: Lease,
    at: Wall,
}

impl Renewals {
    /// What the worker was told less than a third of the lease ago.
    fn told(&self, batch: BatchId, epoch: u64, worker: AccountId, now: Wall) -> Option<Lease> {
        let known = self.known();
        let renewal = known.get(&batch)?;
        let lease = &renewal.lease;
        let same = renewal.worker == worker && lease.epoch == epoch;
        let fresh = now >= renewal.at && now.since(renewal.at) < lease.lease_ms / 3;
        (same && fresh).then(|| lease.clone())
    }

    fn tell(&self, worker: AccountId, lease: &Lease, now: Wall) {
        let mut known = self.known();
        if known.len() >= KNOWN_MAX {
            known.retain(|_, renewal| now.since(renewal.at) < renewal.lease.lease_ms / 3);
        }
        if known.len() < KNOWN_MAX {
            known.insert(lease.batch, Renewal { worker, lease: lease.clone(), at: now });
        }
    }

    /// Its lease may have ended.
    pub(super) fn forget(&self, batch: BatchId) {
        self.known().remove(&batch);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<BatchId, Renewal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Renews a lease.
    pub(crate) async fn renew(
        &self,
        worker: &Worker,
        batch: BatchId,
        epoch: u64,
    ) -> Result<(Lease, Option<Offset>), Error> {
        if let Some(lease) = self.renewals.told(batch, epoch, worker.account, self.clock.now()) {
            self.metrics.renewals_known.inc();
            return Ok((lease, None));
        }
        let renewal = LeaseRenewed { batch, epoch, worker: worker.account };
        let asked = self.ask(&worker.topics, renewal).await?;
        let Asked::Yes { offset, heard } = asked else { return Err(Error::Unanswered) };
        match &heard.body {
            Derived::BatchLeased(leased) => {
                let lease = worker.lease(leased);
                self.renewals.tell(worker.account, &lease, self.clock.now());
                Ok((lease, Some(offset)))
            }
            Derived::ClaimRefused(refused) => {
                self.renewals.forget(batch);
                Err(Error::Work(refused.reason))
            }
            _ => Err(Error::Broken("a renewal was answered with something else")),
        }
    }

    /// Gives a batch back.
    pub(crate) async fn fail(
        &self,
        worker: &Worker,
        failure: ProcessingFailed,
    ) -> Result<Asked, Error> {
        self.renewals.forget(failure.batch);
        let asked = self.ask(&worker.topics, failure).await?;
        if let Asked::Yes { heard, .. } = &asked {
            match &heard.body {
                Derived::LeaseExpired(_) => {}
                Derived::ClaimRefused(refused) => return Err(Error::Work(refused.reason)),
                _ => return Err(Error::Broken("a failure was answered with something else")),
            }
        }
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::digest::Digest;
    use schemas::time::LogTime;

    fn lease(batch: u128, epoch: u64) -> Lease {
        Lease {
            batch: BatchId::from_bits(batch),
            revision: 1,
            manifest_sha256: Digest::of(b""),
            epoch,
            attempt: 1,
            expires_at: LogTime::from_millis(0),
            lease_ms: 30_000,
        }
    }

    #[test]
    fn a_renewal_is_told_again_for_a_third_of_the_lease() {
        let renewals = Renewals::default();
        let [worker, other] = [1, 2].map(AccountId::from_bits);
        let batch = BatchId::from_bits(7);
        let at = Wall::from_millis(1_000_000);
        let told = |epoch, worker, now| renewals.told(batch, epoch, worker, now).is_some();
        assert!(!told(3, worker, at), "the first is asked");
        renewals.tell(worker, &lease(7, 3), at);
        assert!(told(3, worker, at) && told(3, worker, at.plus(9_999)));
        assert!(!told(3, worker, at.plus(10_000)), "a third has passed");
        assert!(!told(3, worker, at.minus(1)), "the clock was set back");
        assert!(!told(4, worker, at) && !told(3, other, at));
        renewals.forget(batch);
        assert!(!told(3, worker, at));
    }

    #[test]
    fn so_many_renewals_are_remembered() {
        let renewals = Renewals::default();
        let (worker, at) = (AccountId::from_bits(1), Wall::from_millis(1_000_000));
        for batch in 0..=KNOWN_MAX as u128 {
            renewals.tell(worker, &lease(batch, 1), at);
        }
        assert_eq!(renewals.known().len(), KNOWN_MAX);
        renewals.tell(worker, &lease(1, 1), at.plus(60_000));
        assert_eq!(renewals.known().len(), 1, "old ones make room");
    }
}
