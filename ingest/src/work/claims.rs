//! Claims: a worker waits here until there may be a batch, and only then asks the fold.
//!
//! However many wait in a pool, one of them asks at a time. What it learns serves them all: when
//! the fold had nothing to give, whatever made the others hope before that is stale. A worker whose
//! claim was asked before asks again at once: the fold gives the same lease to the same claim.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use infra::log::{Missed, Subscription};
use infra::{log, views};
use schemas::api::Lease;
use schemas::event::{ClaimRefusal, ClaimRequested, Derived};
use schemas::id::ClaimId;
use schemas::name::PoolName;
use schemas::time::LogTime;
use schemas::topic::Offset;

use super::Worker;
use crate::ask::Asked;
use crate::error::Error;
use crate::state::State;

/// Claims of a pool that are known to have been asked.
const ASKED_MAX: usize = 256;
/// A hope that nothing learnt so far disproves.
const ANYWAY: Offset = Offset::MAX;

/// A worker's claim and how long it waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) claim: ClaimId,
    pub(crate) wait_ms: u64,
}

/// Where workers wait, pool by pool. There are no more pools than a log may have.
#[derive(Debug, Default)]
pub(crate) struct Desks(Mutex<HashMap<PoolName, Arc<Desk>>>);

/// Where the workers of one pool wait. Whoever holds the lock asks.
type Desk = tokio::sync::Mutex<Learnt>;

/// What was learnt by asking.
#[derive(Debug, Default)]
struct Learnt {
    /// Nothing could be claimed as of this record of `.batches`.
    empty_at: Option<Offset>,
    asked: VecDeque<ClaimId>,
}

impl Desks {
    fn of(&self, pool: &PoolName) -> Arc<Desk> {
        let mut desks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(desks.entry(pool.clone()).or_default())
    }
}

impl Learnt {
    /// Whether a hope that stems from before `at` is stale.
    fn disproves(&self, at: Offset) -> bool {
        self.empty_at.is_some_and(|empty_at| empty_at > at)
    }

    fn note(&mut self, claim: ClaimId) {
        if !self.asked.contains(&claim) {
            self.asked.push_back(claim);
        }
        if self.asked.len() > ASKED_MAX {
            self.asked.pop_front();
        }
    }
}

impl State {
    /// Gives the worker a batch; `None` when none came while it waited, or until `ended`.
    pub(crate) async fn claim(
        &self,
        worker: &Worker,
        waiting: Waiting,
        ended: impl Future<Output = ()>,
    ) -> Result<Option<Lease>, Error> {
        let desk = self.desks.of(&worker.pool.pool);
        let until = self.clock.now().plus(waiting.wait_ms);
        let mut heard = self.answers.subscribe(&worker.topics.batches).await?;
        let mut hope = self.first_hope(worker, waiting.claim, &desk, heard.from()).await;
        let _parked = Parked::new(self);
        let mut ended = std::pin::pin!(ended);
        loop {
            if let Some(at) = hope
                && let Some(lease) = self.claim_now(worker, waiting.claim, &desk, at).await?
            {
                return Ok(Some(lease));
            }
            hope = tokio::select! {
                biased;
                () = self.clock.sleep_until(until) => return Ok(None),
                () = &mut ended => return Ok(None),
                hope = next_hope(&mut heard) => Some(hope?),
            };
        }
    }

    /// Why there may be a batch already: as of `from`, after which all is heard.
    async fn first_hope(
        &self,
        worker: &Worker,
        claim: ClaimId,
        desk: &Desk,
        from: Offset,
    ) -> Option<Offset> {
        if desk.lock().await.asked.contains(&claim) {
            return Some(ANYWAY);
        }
        let claimable = self.known.claimable(&worker.pool.pool, from).await;
        let claimable = claimable.unwrap_or_else(|error: views::Error| {
            tracing::debug!(%error, "a claim is asked without the tables");
            true
        });
        claimable.then_some(from)
    }

    /// Asks the fold, unless it is known by now to have nothing.
    async fn claim_now(
        &self,
        worker: &Worker,
        claim: ClaimId,
        desk: &Desk,
        hope: Offset,
    ) -> Result<Option<Lease>, Error> {
        let answer_ms = self.limits.answer_ms_max;
        let mut learnt = tokio::select! {
            biased;
            learnt = desk.lock() => learnt,
            () = self.clock.sleep_until(self.clock.now().plus(answer_ms)) => return Ok(None),
        };
        if learnt.disproves(hope) {
            return Ok(None);
        }
        learnt.note(claim);
        self.metrics.claims.inc();
        let deadline = LogTime::from_millis(self.clock.now().plus(answer_ms).millis());
        let request = ClaimRequested { claim, worker: worker.account, deadline };
        let heard = match self.ask(&worker.topics, request).await? {
            Asked::Yes { heard, .. } => heard,
            // Should it be leased yet, a repeat of the claim will hear of it.
            Asked::Pending { .. } => return Err(Error::Unanswered),
        };
        match &heard.body {
            Derived::BatchLeased(leased) if leased.worker == worker.account => {
                Ok(Some(worker.lease(leased)))
            }
            Derived::BatchLeased(_) => Err(Error::Work(ClaimRefusal::StaleEpoch)),
            Derived::ClaimRefused(refused) if refused.reason == ClaimRefusal::NothingToClaim => {
                learnt.empty_at = learnt.empty_at.max(Some(heard.offset));
                Ok(None)
            }
            Derived::ClaimRefused(refused) => Err(Error::Work(refused.reason)),
            _ => Err(Error::Broken("a claim was answered with something else")),
        }
    }
}

/// Waits until something makes a batch claimable: one is ready, or nobody works on it any more.
async fn next_hope(heard: &mut Subscription) -> Result<Offset, Error> {
    loop {
        match heard.next().await {
            Ok(heard) => match heard.body {
                Derived::BatchReady(_)
                | Derived::BatchAmended(_)
                | Derived::LeaseExpired(_)
                | Derived::BatchRetried(_)
                | Derived::ResultPublished(_) => return Ok(heard.offset),
                _ => {}
            },
            Err(Missed::Lagged(_)) => return Ok(ANYWAY),
            Err(Missed::Ended) => {
                return Err(Error::Log(log::Error::Refused {
                    reason: Missed::Ended.to_string(),
                    retry_after: std::time::Duration::from_secs(1),
                }));
            }
        }
    }
}

/// A claim that waits, counted.
struct Parked<'a>(&'a State);

impl<'a> Parked<'a> {
    fn new(state: &'a State) -> Self {
        state.metrics.parked.inc();
        Self(state)
    }
}

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        self.0.metrics.parked.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_disproves_what_was_hoped_before_it_and_nothing_later() {
        let mut learnt = Learnt::default();
        assert!(!learnt.disproves(0));
        learnt.empty_at = Some(10);
        assert!(learnt.disproves(9) && !learnt.disproves(10) && !learnt.disproves(ANYWAY));
    }

    #[test]
    fn so_many_claims_are_remembered() {
        let mut learnt = Learnt::default();
        for bits in (0..1_000).chain(990..1_000) {
            learnt.note(ClaimId::from_bits(bits));
        }
        assert_eq!(learnt.asked.len(), ASKED_MAX);
        assert!(learnt.asked.contains(&ClaimId::from_bits(999)));
    }
}
