//! What receipts say of uploads, results and deliveries, and the deliveries of this process that
//! the tables may not know yet.

use std::sync::{Mutex, PoisonError};

use infra::known::KnownDelivery;
use infra::recent::Recent;
use schemas::api::{Stated, StatedOf};
use schemas::digest::Digest;
use schemas::event::PolicyCopied;
use schemas::id::{AccountId, ResultId};
use schemas::time::Wall;
use schemas::topic::{Offset, Topic};

use crate::state::State;

/// Deliveries remembered in each of two generations.
const REMEMBERED_MAX: usize = 8_192;

/// Something that is in the log, as a receipt tells of it.
#[derive(Clone, Debug)]
pub(crate) struct Fact<'a> {
    pub(crate) of: StatedOf,
    pub(crate) sha256: Digest,
    pub(crate) size_bytes: Option<u64>,
    pub(crate) topic: &'a Topic,
    pub(crate) offset: Offset,
    pub(crate) at: Wall,
}

impl State {
    /// The receipt for it. What is durable is acknowledged even if nobody could sign for it.
    pub(crate) fn attest(&self, pool: &PolicyCopied, fact: Fact<'_>) -> Option<Box<str>> {
        let stated = Stated {
            of: fact.of,
            pool: pool.pool.clone(),
            pool_id: pool.id,
            sha256: fact.sha256,
            size_bytes: fact.size_bytes,
            topic: fact.topic.name().into(),
            offset: fact.offset,
            at: fact.at,
        };
        let signed = self.notary.sign(&stated);
        signed.inspect_err(|error| tracing::error!(%error, "a receipt cannot be signed")).ok()
    }
}

/// Deliveries that were acknowledged here lately.
#[derive(Debug)]
pub(crate) struct Acknowledged(Mutex<Recent<(ResultId, AccountId), KnownDelivery>>);

impl Default for Acknowledged {
    fn default() -> Self {
        Self(Mutex::new(Recent::new(REMEMBERED_MAX)))
    }
}

impl Acknowledged {
    /// The delivery, if it was acknowledged here lately.
    pub(crate) fn get(&self, result: ResultId, member: AccountId) -> Option<KnownDelivery> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(result, member))
    }

    /// Remembers one; the first that was said of a delivery stays.
    pub(crate) fn put(&self, result: ResultId, member: AccountId, delivery: KnownDelivery) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.get(&(result, member)).is_none() {
            kept.put((result, member), delivery);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::time::LogTime;

    #[test]
    fn the_first_that_was_said_of_a_delivery_stays() {
        let (kept, member) = (Acknowledged::default(), AccountId::from_bits(1));
        let delivery = |offset| KnownDelivery { offset, at: LogTime::from_millis(5) };
        let result = ResultId::from_bits(3);
        assert_eq!(kept.get(result, member), None);
        kept.put(result, member, delivery(7));
        kept.put(result, member, delivery(8));
        assert_eq!(kept.get(result, member), Some(delivery(7)));
        assert_eq!(kept.get(result, AccountId::from_bits(2)), None);
    }
}
