//! A batcher of a few rules: it answers what is asked, as the real one would in plain cases.
//!
//! In front of each answer it puts a window that closed by itself, as the real one may.

mod files;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use infra::directory::{draft, said};
use infra::log::{Append, Draft, Find, Read, Record, SqliteLog};
use schemas::digest::Digest;
use schemas::event::{
    Backlog, BatchLeased, BatchReady, BatchRetried, ClaimRefusal, ClaimRefused, CloseReason,
    Derived, Directory, Event, ExpiryReason, JoinTokenIssued, LeaseExpired, MemberAdded,
    MemberRemoved, MemberRoleChanged, OfferRefusal, PolicyChangeRequested, PolicyChanged,
    RedeliveryBegun, Refusal, RequestRefused, ResultCorrected, ResultOffered, ResultPublished,
    ResultRefused, ResultWithdrawn, TokenUsed, example,
};
use schemas::file::FileRef;
use schemas::id::{AccountId, BatchId, ClaimId, EventId, PoolId, ResultId, TokenId, UploadId};
use schemas::name::PoolName;
use schemas::policy::Policy;
use schemas::role::{Role, RoleSet};
use schemas::time::{EffectiveAt, LogTime, Wall};
use schemas::topic::Topic;
use schemas::wire::{self, Attributes, Cause};

use super::copies::copies;

/// One pool.
#[derive(Debug, Default)]
struct Pool {
    id: Option<(PoolId, Box<Policy>)>,
    policy_version: u32,
    members: BTreeMap<AccountId, RoleSet>,
    tokens: HashMap<TokenId, (RoleSet, u32, Option<LogTime>)>,
    seen: HashMap<UploadId, Digest>,
    inspecting: HashMap<UploadId, Arc<FileRef>>,
    waiting: u32,
    closed: u128,
    claimable: VecDeque<BatchId>,
    leases: HashMap<BatchId, BatchLeased>,
    results: HashMap<BatchId, Digest>,
}

/// Folds every pool the directory tells of, until dropped. As long as it is `mute` it keeps to
/// itself what it has to say.
pub(super) async fn run(log: Arc<SqliteLog>, mute: Arc<AtomicBool>) {
    let mut tail = log.tail(1 << 20).await.unwrap();
    let directory = Topic::directory();
    tail.watch(&directory, Some(log.find(&directory, Find::Start).await.unwrap()));
    let mut pools: HashMap<Topic, (PoolName, Pool)> = HashMap::new();
    let mut unsaid = Vec::new();
    loop {
        let chunk = tail.next().await.unwrap();
        if chunk.topic == directory {
            for record in &chunk.records {
                if let Ok((Directory::PoolLocated(place), _)) = wire::decode(&record.value) {
                    let events = Topic::named(&place.events);
                    let start = log.find(&events, Find::Start).await.unwrap();
                    if let Entry::Vacant(new) = pools.entry(events) {
                        tail.watch(new.key(), Some(start));
                        new.insert((place.name, Pool::default()));
                    }
                }
            }
        } else if let Some((name, pool)) = pools.get_mut(&chunk.topic) {
            for record in &chunk.records {
                unsaid.extend(fold(name, pool, record));
            }
        }
        if !mute.load(Ordering::Relaxed) {
            for (topic, drafts) in unsaid.drain(..) {
                log.append(&topic, drafts).await.unwrap();
            }
        }
    }
}

/// What follows from a record.
fn fold(name: &PoolName, pool: &mut Pool, record: &Record) -> Vec<(Topic, Vec<Draft>)> {
    let (event, _) = wire::decode::<Event>(&record.value).unwrap();
    let mut derived = vec![Derived::from(ready(BatchId::from_bits(0), CloseReason::WindowEnd))];
    derived.extend(pool.answer(event, record.at));
    let last = derived.len() - 1;
    let cause = |index| Cause { offset: record.offset, index, last: index as usize == last };
    let drafts = (0..).zip(&derived).map(|(index, body)| {
        let attributes = Attributes {
            id: EventId::derived(PoolId::from_bits(1), record.offset, index),
            source: "/test".into(),
            time: record.at,
            subject: None,
            cause: Some(cause(index)),
        };
        Draft::new("", body, attributes)
    });
    let mut all = vec![(Topic::batches(name), drafts.collect())];
    for copy in derived.iter().flat_map(|body| copies(name, body, record.offset)) {
        let draft = draft(copy, said("/test", Wall::from_millis(record.at.millis())));
        all.push((Topic::directory(), vec![draft]));
    }
    all
}

pub(super) fn ready(batch: BatchId, reason: CloseReason) -> BatchReady {
    let ready = example::derived().into_iter().find_map(|body| match body {
        Derived::BatchReady(ready) => Some(ready),
        _ => None,
    });
    let mut ready = ready.unwrap();
    (ready.closed.batch, ready.closed.reason) = (batch, reason);
    ready
}

fn refused(reason: Refusal) -> Derived {
    RequestRefused { reason }.into()
}

fn unclaimed(reason: ClaimRefusal) -> Derived {
    ClaimRefused { reason }.into()
}

impl Pool {
    fn answer(&mut self, event: Event, at: LogTime) -> Vec<Derived> {
        match event {
            Event::PoolCreated(created) => {
                if self.id.is_some() {
                    return vec![refused(Refusal::PoolNameTaken)];
                }
                self.id = Some((created.pool, created.policy.clone()));
                self.policy_version = 1;
                let changed = PolicyChanged {
                    pool: created.pool,
                    name: created.name,
                    version: 1,
                    effective_from: EffectiveAt::default(),
                    policy: created.policy,
                    before: None,
                };
                let added = self.belong(created.owner, RoleSet::of(&[Role::Owner]), None);
                vec![changed.into(), added]
            }
            Event::PolicyChangeRequested(ask) => vec![self.change_policy(ask)],
            Event::MemberAddRequested(ask) => vec![self.belong(ask.account, ask.roles, None)],
            Event::MemberRemoveRequested(ask) => vec![self.leave(ask.account)],
            // The stories and the refusals ask the real one.
            Event::MemberSuspendRequested(_)
            | Event::MemberResumeRequested(_)
            | Event::OwnerTransferRequested(_)
            | Event::JoinTokenRevokeRequested(_)
            | Event::PoolPauseRequested(_)
            | Event::PoolResumeRequested(_)
            | Event::PoolArchiveRequested(_) => vec![refused(Refusal::NoPool)],
            Event::JoinTokenIssueRequested(ask) => {
                self.tokens.insert(ask.token, (ask.roles, ask.uses_max, ask.expires_at));
                let (token, roles, uses_max) = (ask.token, ask.roles, ask.uses_max);
                let expires_at = ask.expires_at;
                vec![JoinTokenIssued { token, roles, uses_max, expires_at }.into()]
            }
            Event::MemberJoinRequested(ask) => vec![self.join(ask.account, ask.token, at)],
            // What has a lease no more was given up here.
            Event::BatchRetryRequested(ask) => {
                let was = (1..=self.closed).contains(&ask.batch.bits());
                if !was || self.leases.contains_key(&ask.batch) {
                    return vec![refused(Refusal::NotFailed)];
                }
                self.claimable.push_back(ask.batch);
                vec![BatchRetried { batch: ask.batch, revision: 1, by: ask.by }.into()]
            }
            Event::WindowCloseAsked(_) => vec![self.close()],
            Event::BatchRequested(_) | Event::RangeListed(_) => {
                vec![refused(Refusal::RangesFull)]
            }
            Event::ClaimRequested(ask) => vec![self.claim(ask.claim, ask.worker, ask.deadline, at)],
            Event::LeaseRenewed(ask) => vec![match self.held(ask.batch, ask.epoch) {
                Some(leased) => {
                    leased.expires_at = at.plus(600_000);
                    leased.clone().into()
                }
                None => unclaimed(ClaimRefusal::StaleEpoch),
            }],
            Event::ProcessingFailed(failure) => {
                if self.held(failure.batch, failure.epoch).is_none() {
                    return vec![unclaimed(ClaimRefusal::StaleEpoch)];
                }
                self.leases.remove(&failure.batch);
                if failure.retryable {
                    self.claimable.push_back(failure.batch);
                }
                let (batch, epoch, reason) = (failure.batch, failure.epoch, ExpiryReason::Failed);
                vec![LeaseExpired { batch, revision: 1, epoch, reason, attempts: 1 }.into()]
            }
            other => self.answer_of_results(other),
        }
    }

    fn answer_of_results(&mut self, event: Event) -> Vec<Derived> {
        match event {
            Event::ResultOffered(offer) => vec![self.offer(offer)],
            Event::ResultCorrected(correction) => vec![self.correct(correction)],
            Event::ResultWithdrawRequested(ask) => {
                let (result, batch, by) = (ask.result, ask.batch, ask.by);
                vec![ResultWithdrawn { result, batch, by }.into()]
            }
            Event::RedeliveryRequested(ask) => vec![match ask.member {
                Some(member) if !self.members.contains_key(&member) => refused(Refusal::NoMember),
                member => RedeliveryBegun { by: ask.by, member, from_seq: ask.from_seq }.into(),
            }],
            other => self.answer_of_files(other),
        }
    }

    fn change_policy(&mut self, ask: PolicyChangeRequested) -> Derived {
        let Some((pool, policy)) = &mut self.id else { return refused(Refusal::NoPool) };
        if ask.if_version.is_some_and(|version| version != self.policy_version) {
            return refused(Refusal::PolicyStale);
        }
        self.policy_version += 1;
        policy.clone_from(&ask.policy);
        PolicyChanged {
            pool: *pool,
            name: "north-sea".parse().unwrap(),
            version: self.policy_version,
            effective_from: EffectiveAt::default(),
            policy: ask.policy,
            before: None,
        }
        .into()
    }

    fn belong(&mut self, account: AccountId, roles: RoleSet, token: Option<TokenUsed>) -> Derived {
        match self.members.insert(account, roles) {
            None => MemberAdded { account, roles, backlog: Backlog::None, token }.into(),
            Some(_) => MemberRoleChanged { account, roles, token, suspended: false }.into(),
        }
    }

    fn leave(&mut self, account: AccountId) -> Derived {
        match self.members.get(&account) {
            None => refused(Refusal::NoMember),
            Some(roles) if roles.has(Role::Owner) => refused(Refusal::LastOwner),
            Some(_) => {
                self.members.remove(&account);
                MemberRemoved { account }.into()
            }
        }
    }

    fn join(&mut self, account: AccountId, token: TokenId, at: LogTime) -> Derived {
        let Some((gives, uses_left, expires_at)) = self.tokens.get_mut(&token) else {
            return refused(Refusal::NoToken);
        };
        let had = self.members.get(&account).copied();
        let roles = had.unwrap_or_default().with(*gives);
        if had == Some(roles) {
            return MemberRoleChanged { account, roles, token: None, suspended: false }.into();
        }
        if *uses_left == 0 {
            return refused(Refusal::TokenUsedUp);
        }
        if expires_at.is_some_and(|end| at >= end) {
            return refused(Refusal::TokenExpired);
        }
        *uses_left -= 1;
        let used =
            TokenUsed { token, roles: *gives, uses_left: *uses_left, expires_at: *expires_at };
        self.belong(account, roles, Some(used))
    }

    fn close(&mut self) -> Derived {
        if self.waiting == 0 {
            return refused(Refusal::NoOpenWindow);
        }
        self.waiting = 0;
        self.closed += 1;
        let batch = BatchId::from_bits(self.closed);
        self.claimable.push_back(batch);
        ready(batch, CloseReason::Asked).into()
    }

    fn claim(
        &mut self,
        claim: ClaimId,
        worker: AccountId,
        deadline: LogTime,
        at: LogTime,
    ) -> Derived {
        if !self.members.get(&worker).is_some_and(|roles| roles.has(Role::Processor)) {
            return unclaimed(ClaimRefusal::NotAProcessor);
        }
        if let Some(leased) = self.leases.values().find(|leased| leased.claim == claim) {
            return leased.clone().into();
        }
        if at > deadline {
            return unclaimed(ClaimRefusal::DeadlinePassed);
        }
        let Some(batch) = self.claimable.pop_front() else {
            return unclaimed(ClaimRefusal::NothingToClaim);
        };
        let leased = BatchLeased {
            batch,
            revision: 1,
            manifest_sha256: ready(batch, CloseReason::Asked).closed.manifest_sha256,
            worker,
            claim,
            epoch: 1,
            attempt: 1,
            expires_at: at.plus(600_000),
            confirm_by: None,
        };
        self.leases.insert(batch, leased.clone());
        leased.into()
    }

    fn held(&mut self, batch: BatchId, epoch: u64) -> Option<&mut BatchLeased> {
        self.leases.get_mut(&batch).filter(|leased| leased.epoch == epoch)
    }

    fn offer(&mut self, offer: ResultOffered) -> Derived {
        let ResultOffered { batch, revision, .. } = offer;
        let result = ResultId::of(batch, revision);
        let refuse = |reason, repeats| ResultRefused { batch, revision, reason, repeats }.into();
        if let Some(sha256) = self.results.get(&batch) {
            let repeats = (*sha256 == offer.sha256).then_some(result);
            return refuse(OfferRefusal::HasResult, repeats);
        }
        let Some(leased) = self.leases.get(&batch) else {
            return refuse(OfferRefusal::NoBatch, None);
        };
        if offer.epoch.is_some_and(|epoch| epoch != leased.epoch) {
            return refuse(OfferRefusal::StaleEpoch, None);
        }
        if offer.manifest_sha256 != leased.manifest_sha256 {
            return refuse(OfferRefusal::OtherManifest, None);
        }
        self.results.insert(batch, offer.sha256);
        let (sha256, size_bytes) = (offer.sha256, offer.size_bytes);
        ResultPublished { result, batch, revision, sha256, size_bytes, ..published() }.into()
    }

    /// The first correction of a batch's result is taken, and a repeat of it known.
    fn correct(&mut self, correction: ResultCorrected) -> Derived {
        let ResultCorrected { of, batch, sha256, size_bytes, .. } = correction;
        let result = ResultId::corrected(batch, 1, 1);
        let refuse = |reason, repeats| ResultRefused { batch, revision: 1, reason, repeats }.into();
        match self.results.get(&batch) {
            None => return refuse(OfferRefusal::Settled, None),
            Some(had) if *had == sha256 => return refuse(OfferRefusal::HasResult, Some(result)),
            Some(_) if of != ResultId::of(batch, 1) => {
                return refuse(OfferRefusal::Superseded, None);
            }
            Some(_) => self.results.insert(batch, sha256),
        };
        let (supersedes, correction) = (Some(of), 1);
        let published = published();
        ResultPublished { result, batch, correction, supersedes, sha256, size_bytes, ..published }
            .into()
    }
}

/// Some result.
fn published() -> ResultPublished {
    let published = example::derived().into_iter().find_map(|body| match body {
        Derived::ResultPublished(published) => Some(published),
        _ => None,
    });
    published.unwrap()
}
