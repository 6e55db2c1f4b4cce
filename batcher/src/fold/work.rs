//! Work on batches: what can be claimed, who has it, what came of it.

use infra::faults::{Bug, planted};
use schemas::digest::Digest;
use schemas::event::{
    BatchAmended, BatchFailed, BatchLeased, BatchReady, BatchRetried, BatchRetryRequested,
    ClaimRefusal, ClaimRefused, ClaimRequested, CloseReason, Closed, ExpiryReason, LeaseExpired,
    LeaseRenewed, MISSING_NAMED_MAX, OfferRefusal, ProcessingFailed, Refusal, ResultOffered,
    ResultPublished, ResultRefused, Timer,
};
use schemas::id::{AccountId, BatchId, ClaimId, ResultId};
use schemas::policy::Policy;
use schemas::role::Role;
use schemas::time::{LogTime, Window, WindowKind};
use serde::{Deserialize, Serialize};

use super::emit::Emit;
use super::page::Manifest;
use super::{Latest, Pool, State};

/// A part that closed, through all its revisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Batch {
    pub(super) window: Window,
    pub(super) part: u32,
    pub(super) manifest: Manifest,
    /// The newest that is out; 0 while its first files are being gathered.
    pub(super) revision: u32,
    /// Whether late files are being gathered for the next.
    pub(super) gathering: bool,
    /// Clients with a file in it when it first closed.
    pub(super) reported: u32,
    missing_count: u32,
    /// Files of the newest revision.
    files_out: u32,
    /// Manifest digests of the revisions that may still get a result.
    revisions: Vec<(u32, Digest)>,
    /// Its turn to be claimed: given when a revision is out, kept when a lease ends.
    pub(super) turn: u64,
    /// The epoch of the last lease; they only grow.
    epoch: u64,
    pub(super) attempts: u32,
    lease: Option<Lease>,
    pub(super) failed: bool,
    /// The newest result: its revision and digest.
    result: Option<(u32, Digest)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Lease {
    claim: ClaimId,
    worker: AccountId,
    revision: u32,
    expires_at: LogTime,
    confirm_by: Option<LogTime>,
}

impl Batch {
    pub(super) fn new(window: Window, part: u32) -> Self {
        Self {
            window,
            part,
            manifest: Manifest::default(),
            revision: 0,
            gathering: false,
            reported: 0,
            missing_count: 0,
            files_out: 0,
            revisions: Vec::new(),
            turn: 0,
            epoch: 0,
            attempts: 0,
            lease: None,
            failed: false,
            result: None,
        }
    }

    /// Whether someone works on it, or files for it are being gathered.
    pub(super) fn is_busy(&self) -> bool {
        self.lease.is_some() || self.gathering
    }

    /// Whether its newest revision has no result.
    pub(super) fn lacks_result(&self) -> bool {
        self.result.is_none_or(|(revision, _)| revision < self.revision)
    }

    /// The first revision that has no result and can still get one, or that is still to come.
    pub(super) fn first_without_result(&self) -> u32 {
        self.result.map_or(0, |(revision, _)| revision) + 1
    }

    /// Nothing more comes of it: no revision can be claimed or get a result.
    pub(super) fn cancel(&mut self) {
        self.gathering = false;
        self.failed = true;
        self.revisions.clear();
    }

    /// Whether it was given up for want of attempts: one that was cancelled can get no result.
    fn is_given_up(&self) -> bool {
        self.failed && self.lacks_result() && !self.revisions.is_empty()
    }

    fn leased(&self, id: BatchId, lease: &Lease) -> BatchLeased {
        let of = |(revision, _): &&(u32, Digest)| *revision == lease.revision;
        let manifest = self.revisions.iter().find(of).map(|(_, digest)| *digest);
        BatchLeased {
            batch: id,
            revision: lease.revision,
            manifest_sha256: manifest.unwrap_or(Digest::from_bytes([0; 32])),
            worker: lease.worker,
            claim: lease.claim,
            epoch: self.epoch,
            attempt: self.attempts + 1,
            expires_at: lease.expires_at,
            confirm_by: lease.confirm_by,
        }
    }
}

impl State {
    /// Late files have been gathered for long enough: the next revision is out.
    pub(super) fn amend(&mut self, id: BatchId, emit: &mut Emit<'_>) {
        let Some(pool) = self.pool.take() else { return };
        if let Some(batch) = self.batches.get_mut(&id) {
            batch.gathering = false;
            self.make_ready(&pool, id, CloseReason::Late, Vec::new(), emit);
        }
        self.pool = Some(pool);
    }

    /// The next revision of a batch is out, and can be claimed unless an older one is worked on.
    pub(super) fn make_ready(
        &mut self,
        pool: &Pool,
        id: BatchId,
        reason: CloseReason,
        mut missing: Vec<AccountId>,
        emit: &mut Emit<'_>,
    ) {
        let expected = self.contributors;
        let active = self.watermark.active();
        let Some(batch) = self.batches.get_mut(&id) else { return };
        let rules = pool.at(batch.window.start);
        let Policy { watermark, close, .. } = rules.policy;
        let watermark = self.watermark.by(self.clock, watermark, close);
        batch.manifest.flush(id, emit);
        let Some(manifest_sha256) = batch.manifest.digest else { return };
        let supersedes = batch.revision;
        let added = batch.manifest.files - batch.files_out;
        if supersedes == 0 {
            batch.missing_count = u32::try_from(missing.len()).unwrap_or(u32::MAX);
        }
        missing.truncate(MISSING_NAMED_MAX);
        batch.revision += 1;
        batch.files_out = batch.manifest.files;
        batch.revisions.push((batch.revision, manifest_sha256));
        batch.attempts = 0;
        batch.failed = false;
        let closed = Closed {
            batch: id,
            window: batch.window,
            part: batch.part,
            revision: batch.revision,
            reason,
            files: batch.manifest.files,
            bytes: batch.manifest.bytes,
            pages: batch.manifest.pages,
            manifest_sha256,
            watermark,
            log_clock: self.clock,
            policy_version: rules.version,
            expected,
            active,
            reported: batch.reported,
            missing,
            missing_count: batch.missing_count,
        };
        if supersedes == 0 {
            emit.say(BatchReady { closed });
        } else {
            emit.say(BatchAmended { closed, supersedes, added });
        }
        self.claimable.remove(&(batch.turn, id));
        self.turn += 1;
        batch.turn = self.turn;
        self.make_claimable(id);
    }

    /// Puts a batch where claims look, if there is something to do and nobody does it.
    fn make_claimable(&mut self, id: BatchId) {
        let Some(batch) = self.batches.get(&id) else { return };
        if batch.lease.is_none() && batch.lacks_result() && !batch.failed {
            self.claimable.insert((batch.turn, id));
        } else {
            self.claimable.remove(&(batch.turn, id));
        }
    }

    pub(super) fn claim(&mut self, ask: &ClaimRequested, emit: &mut Emit<'_>) {
        if !self.has_role(ask.worker, Role::Processor) {
            return emit.say(ClaimRefused { reason: ClaimRefusal::NotAProcessor });
        }
        if let Some((id, batch, lease)) = self.leased_by(ask.claim) {
            return emit.say(batch.leased(id, lease));
        }
        if self.clock > ask.deadline {
            return emit.say(ClaimRefused { reason: ClaimRefusal::DeadlinePassed });
        }
        let work = self.pool.as_ref().map(|pool| pool.policy.work.clone());
        let (Some((_, id)), Some(work)) = (self.claimable.pop_first(), work) else {
            return emit.say(ClaimRefused { reason: ClaimRefusal::NothingToClaim });
        };
        let Some(batch) = self.batches.get_mut(&id) else { return };
        let lease = Lease {
            claim: ask.claim,
            worker: ask.worker,
            revision: batch.revision,
            expires_at: self.clock.plus(work.lease_ms),
            confirm_by: Some(self.clock.plus(work.confirm_ms)),
        };
        batch.epoch += 1;
        batch.lease = Some(lease);
        self.leases.insert(ask.claim, id);
        self.timers.insert((lease.expires_at, Timer::Lease(id)));
        self.timers.extend(lease.confirm_by.map(|due| (due, Timer::Confirm(id))));
        emit.say(batch.leased(id, &lease));
    }

    fn leased_by(&self, claim: ClaimId) -> Option<(BatchId, &Batch, &Lease)> {
        let id = self.leases.get(&claim)?;
        let batch = self.batches.get(id)?;
        Some((*id, batch, batch.lease.as_ref()?))
    }

    /// The lease of this worker and epoch, if it is still held.
    fn held(&self, id: BatchId, epoch: u64, worker: AccountId) -> Result<Lease, ClaimRefusal> {
        let batch = self.batches.get(&id).ok_or(ClaimRefusal::NoBatch)?;
        let held = |lease: &Lease| batch.epoch == epoch && lease.worker == worker;
        batch.lease.filter(held).ok_or(ClaimRefusal::StaleEpoch)
    }

    pub(super) fn renew(&mut self, ask: &LeaseRenewed, emit: &mut Emit<'_>) {
        let lease = match self.held(ask.batch, ask.epoch, ask.worker) {
            Ok(lease) => lease,
            Err(reason) => return emit.say(ClaimRefused { reason }),
        };
        let lease_ms = self.pool.as_ref().map_or(0, |pool| pool.policy.work.lease_ms);
        self.disarm(ask.batch, &lease);
        let expires_at = self.clock.plus(lease_ms);
        let lease = Lease { expires_at, confirm_by: None, ..lease };
        self.timers.insert((expires_at, Timer::Lease(ask.batch)));
        if let Some(batch) = self.batches.get_mut(&ask.batch) {
            batch.lease = Some(lease);
            emit.say(batch.leased(ask.batch, &lease));
        }
    }

    pub(super) fn fail(&mut self, failure: ProcessingFailed, emit: &mut Emit<'_>) {
        let ProcessingFailed { batch, epoch, worker, retryable, reason } = failure;
        match self.held(batch, epoch, worker) {
            Ok(_) => self.give_back(batch, ExpiryReason::Failed, retryable, Some(reason), emit),
            Err(reason) => emit.say(ClaimRefused { reason }),
        }
    }

    /// A lease ran out.
    pub(super) fn expire(&mut self, id: BatchId, reason: ExpiryReason, emit: &mut Emit<'_>) {
        if self.batches.get(&id).is_some_and(|batch| batch.lease.is_some()) {
            self.give_back(id, reason, true, None, emit);
        }
    }

    pub(super) fn give_back(
        &mut self,
        id: BatchId,
        why: ExpiryReason,
        retryable: bool,
        reason: Option<Box<str>>,
        emit: &mut Emit<'_>,
    ) {
        self.end_lease(id);
        let attempts_max = self.pool.as_ref().map_or(1, |pool| pool.policy.work.attempts_max);
        let Some(batch) = self.batches.get_mut(&id) else { return };
        let uncounted = [ExpiryReason::Unconfirmed, ExpiryReason::Archived].contains(&why);
        batch.attempts += u32::from(!uncounted);
        let (epoch, revision, attempts) = (batch.epoch, batch.revision, batch.attempts);
        emit.say(LeaseExpired { batch: id, revision, epoch, reason: why, attempts });
        if attempts >= attempts_max || !retryable {
            batch.failed = true;
            emit.say(BatchFailed { batch: id, revision, attempts, reason });
        }
        self.make_claimable(id);
    }

    /// A batch that was given up can be claimed again. Its epochs go on where they were, so no
    /// lease from before it was given up counts.
    pub(super) fn retry(&mut self, ask: &BatchRetryRequested, emit: &mut Emit<'_>) {
        let BatchRetryRequested { batch: id, by } = *ask;
        let Some(batch) = self.batches.get_mut(&id).filter(|batch| batch.is_given_up()) else {
            return emit.refuse(Refusal::NotFailed);
        };
        (batch.failed, batch.attempts) = (false, 0);
        let revision = batch.revision;
        self.make_claimable(id);
        emit.say(BatchRetried { batch: id, revision, by });
    }

    fn disarm(&mut self, id: BatchId, lease: &Lease) {
        self.timers.remove(&(lease.expires_at, Timer::Lease(id)));
        if let Some(due) = lease.confirm_by {
            self.timers.remove(&(due, Timer::Confirm(id)));
        }
    }

    fn end_lease(&mut self, id: BatchId) {
        let lease = self.batches.get_mut(&id).and_then(|batch| batch.lease.take());
        if let Some(lease) = lease {
            self.leases.remove(&lease.claim);
            self.disarm(id, &lease);
        }
    }

    pub(super) fn offer(&mut self, offer: ResultOffered, emit: &mut Emit<'_>) {
        let (batch, revision) = (offer.batch, offer.revision);
        if let Err((reason, repeats)) = self.judge_offer(&offer) {
            return emit.say(ResultRefused { batch, revision, reason, repeats });
        }
        let Some(state) = self.batches.get_mut(&batch) else { return };
        let supersedes = state.result.map(|(older, _)| ResultId::of(batch, older));
        state.result = Some((revision, offer.sha256));
        state.revisions.retain(|(other, _)| *other > revision);
        state.attempts = 0;
        let (window, part) = (state.window, state.part);
        if state.lease.is_some_and(|lease| lease.revision <= revision) {
            self.end_lease(batch);
        }
        self.make_claimable(batch);
        let result = ResultId::of(batch, revision);
        if window.kind != WindowKind::Range {
            self.latest = self.latest.max(Some(Latest { window, part, revision, result }));
        }
        emit.say(ResultPublished {
            result,
            batch,
            window,
            part,
            revision,
            supersedes,
            worker: offer.worker,
            name: offer.name,
            media_type: offer.media_type,
            object: offer.object,
            sha256: offer.sha256,
            size_bytes: offer.size_bytes,
        });
    }

    fn judge_offer(&self, offer: &ResultOffered) -> Result<(), (OfferRefusal, Option<ResultId>)> {
        if !self.has_role(offer.worker, Role::Processor) {
            return Err((OfferRefusal::NotAProcessor, None));
        }
        let no_batch = (OfferRefusal::NoBatch, None);
        let batch = self.batches.get(&offer.batch).ok_or(no_batch)?;
        if let Some((standing, sha256)) = batch.result
            && offer.revision <= standing
        {
            let same = offer.revision == standing && offer.sha256 == sha256;
            let repeats = same.then(|| ResultId::of(offer.batch, standing));
            return Err((OfferRefusal::HasResult, repeats));
        }
        let of = |(revision, _): &&(u32, Digest)| *revision == offer.revision;
        let (_, manifest) = batch.revisions.iter().find(of).ok_or(no_batch)?;
        let stale = offer.epoch.is_some_and(|epoch| epoch != batch.epoch);
        if stale && !planted(Bug::EpochIgnored) {
            return Err((OfferRefusal::StaleEpoch, None));
        }
        if *manifest != offer.manifest_sha256 {
            return Err((OfferRefusal::OtherManifest, None));
        }
        Ok(())
    }
}
