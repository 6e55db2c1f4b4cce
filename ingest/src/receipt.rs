//! What receipts say of uploads, results and deliveries, and the deliveries of this process that
//! the tables may not know yet.

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, PoisonError};

use infra::known::KnownDelivery;
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

/// Deliveries that were acknowledged here lately: bounded, the oldest go first.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    new: HashMap<(ResultId, AccountId), KnownDelivery>,
    old: HashMap<(ResultId, AccountId), KnownDelivery>,
}

impl Acknowledged {
    /// The delivery, if it was acknowledged here lately.
    pub(crate) fn get(&self, result: ResultId, member: AccountId) -> Option<KnownDelivery> {
        let Generations { new, old } = &*self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (result, member);
        new.get(&key).or_else(|| old.get(&key)).copied()
    }

    /// Remembers one; the first that was said of a delivery stays.
    pub(crate) fn put(&self, result: ResultId, member: AccountId, delivery: KnownDelivery) {
        let delivery = self.get(result, member).unwrap_or(delivery);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.new.contains_key(&(result, member)) {
            return;
        }
        if kept.new.len() >= REMEMBERED_MAX {
            kept.old = mem::take(&mut kept.new);
        }
        kept.new.insert((result, member), delivery);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::time::LogTime;

    #[test]
    fn so_many_deliveries_are_remembered_and_the_oldest_are_forgotten() {
        let (kept, member) = (Acknowledged::default(), AccountId::from_bits(1));
        let delivery = |offset| KnownDelivery { offset, at: LogTime::from_millis(5) };
        let result = |bits: usize| ResultId::from_bits(bits as u128);
        for offset in 0..3 * REMEMBERED_MAX {
            kept.put(result(offset), member, delivery(offset as u64));
        }
        let newest = 3 * REMEMBERED_MAX - 1;
        assert_eq!(kept.get(result(newest), member), Some(delivery(newest as u64)));
        assert_eq!(kept.get(result(0), member), None);
        kept.put(result(newest), member, delivery(0));
        assert_eq!(kept.get(result(newest), member), Some(delivery(newest as u64)), "the first");
        assert_eq!(kept.get(result(newest), AccountId::from_bits(2)), None);
    }
}
