//! The work on batches, as the external servers ask for it: claims, renewals, failures, results.

mod claims;
mod leases;
mod results;

pub(crate) use claims::{Desks, Waiting};
pub(crate) use leases::Renewals;
pub(crate) use results::{Offer, Offered};

use std::sync::Arc;

use infra::http::Allowed;
use schemas::event::{BatchLeased, PolicyCopied};
use schemas::id::AccountId;

use crate::ask::Topics;
use crate::error::Error;

/// Who works, and in which pool.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) pool: Arc<PolicyCopied>,
    pub(crate) topics: Topics,
    pub(crate) account: AccountId,
}

impl Worker {
    /// A caller who may work.
    pub(crate) fn new(allowed: &Allowed, account: AccountId) -> Result<Self, Error> {
        let pool = allowed.pool.policy.clone();
        let pool = pool.ok_or(Error::Broken("a pool without a policy lets nobody in"))?;
        Ok(Self { pool, topics: Topics::of(&allowed.pool)?, account })
    }

    /// The lease, as the worker is told of it.
    fn lease(&self, leased: &BatchLeased) -> schemas::api::Lease {
        schemas::api::Lease {
            batch: leased.batch,
            revision: leased.revision,
            manifest_sha256: leased.manifest_sha256,
            epoch: leased.epoch,
            attempt: leased.attempt,
            expires_at: leased.expires_at,
            lease_ms: self.pool.policy.work.lease_ms,
        }
    }
}
