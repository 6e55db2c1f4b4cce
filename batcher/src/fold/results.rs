//! Results: the first offered for a revision, what an admin puts in its place, what is taken back.

use infra::faults::{Bug, planted};
use schemas::digest::Digest;
use schemas::event::{
    OfferRefusal, RedeliveryBegun, RedeliveryRequested, Refusal, ResultCorrected, ResultOffered,
    ResultPublished, ResultRefused, ResultWithdrawRequested, ResultWithdrawn,
};
use schemas::id::{BatchId, ResultId};
use schemas::role::Role;
use schemas::time::WindowKind;
use serde::{Deserialize, Serialize};

use super::emit::Emit;
use super::{Latest, State};

/// The newest result of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    pub(super) revision: u32,
    /// How often the revision's result was corrected.
    correction: u32,
    sha256: Digest,
    withdrawn: bool,
}

impl Standing {
    fn id(&self, batch: BatchId) -> ResultId {
        ResultId::corrected(batch, self.revision, self.correction)
    }

    /// Whether it is what came of correcting this one with these bytes.
    fn corrects(&self, batch: BatchId, of: ResultId, sha256: Digest) -> bool {
        let before = self.correction.checked_sub(1);
        let before = before.map(|before| ResultId::corrected(batch, self.revision, before));
        before == Some(of) && self.sha256 == sha256
    }
}

impl State {
    pub(super) fn offer(&mut self, offer: ResultOffered, emit: &mut Emit<'_>) {
        let (batch, revision) = (offer.batch, offer.revision);
        if let Err((reason, repeats)) = self.judge_offer(&offer) {
            return emit.say(ResultRefused { batch, revision, reason, repeats });
        }
        let Some(state) = self.batches.get_mut(&batch) else { return };
        state.revisions.retain(|(other, _)| *other > revision);
        state.attempts = 0;
        let ends = state.lease.is_some_and(|lease| lease.revision <= revision);
        let mut published = ResultPublished {
            result: ResultId::of(batch, revision),
            batch,
            window: state.window,
            part: state.part,
            revision,
            correction: 0,
            supersedes: None,
            worker: offer.worker,
            name: offer.name,
            media_type: offer.media_type,
            object: offer.object,
            sha256: offer.sha256,
            size_bytes: offer.size_bytes,
        };
        self.stand(&mut published);
        if ends {
            self.end_lease(batch);
        }
        self.make_claimable(batch);
        emit.say(published);
    }

    /// What an admin puts in place of the newest result. No other is corrected: what took its place
    /// would be put back behind it.
    pub(super) fn correct(&mut self, correction: ResultCorrected, emit: &mut Emit<'_>) {
        let ResultCorrected { of, batch: id, sha256, .. } = correction;
        let refused =
            |revision, reason, repeats| ResultRefused { batch: id, revision, reason, repeats };
        let known = self.batches.get(&id);
        let known = known.and_then(|batch| Some((batch.window, batch.part, batch.result?)));
        let Some((window, part, standing)) = known else {
            return emit.say(refused(0, OfferRefusal::Settled, None));
        };
        let (revision, newest) = (standing.revision, standing.id(id));
        let same = newest == of && standing.sha256 == sha256 && !standing.withdrawn;
        if same || standing.corrects(id, of, sha256) {
            return emit.say(refused(revision, OfferRefusal::HasResult, Some(newest)));
        }
        if newest != of {
            return emit.say(refused(revision, OfferRefusal::Superseded, None));
        }
        let mut published = ResultPublished {
            result: newest,
            batch: id,
            window,
            part,
            revision,
            correction: standing.correction + 1,
            supersedes: None,
            worker: correction.by,
            name: correction.name,
            media_type: correction.media_type,
            object: correction.object,
            sha256,
            size_bytes: correction.size_bytes,
        };
        self.stand(&mut published);
        emit.say(published);
    }

    /// A result is given out no more. It need not be the newest, nor its batch be remembered: what
    /// was asked is recorded, and a repeat says the same.
    pub(super) fn withdraw(&mut self, ask: &ResultWithdrawRequested, emit: &mut Emit<'_>) {
        let ResultWithdrawRequested { result, batch: id, by } = *ask;
        let newest = self.batches.get_mut(&id).and_then(|batch| batch.result.as_mut());
        if let Some(newest) = newest.filter(|newest| newest.id(id) == result) {
            newest.withdrawn = true;
        }
        if let Some(latest) = self.latest.as_mut().filter(|latest| latest.result == result) {
            latest.withdrawn = true;
        }
        emit.say(ResultWithdrawn { result, batch: id, by });
    }

    /// Who has what is not the fold's: it says from where on and up to where.
    pub(super) fn redeliver(&self, ask: &RedeliveryRequested, emit: &mut Emit<'_>) {
        let RedeliveryRequested { by, member, from_seq } = *ask;
        if member.is_some_and(|member| !self.members.contains_key(&member)) {
            return emit.refuse(Refusal::NoMember);
        }
        emit.say(RedeliveryBegun { by, member, from_seq });
    }

    /// It is the newest of its batch from now on, and the pool's latest unless there is a greater.
    fn stand(&mut self, published: &mut ResultPublished) {
        let (id, revision, correction) =
            (published.batch, published.revision, published.correction);
        let Some(batch) = self.batches.get_mut(&id) else { return };
        let standing =
            Standing { revision, correction, sha256: published.sha256, withdrawn: false };
        published.supersedes = batch.result.map(|before| before.id(id));
        published.result = standing.id(id);
        batch.result = Some(standing);
        // What was asked for is never the latest.
        if batch.window.kind != WindowKind::Range {
            let (window, part, result) = (batch.window, batch.part, published.result);
            let latest = Latest { window, part, revision, correction, result, withdrawn: false };
            self.latest = self.latest.max(Some(latest));
        }
    }

    fn judge_offer(&self, offer: &ResultOffered) -> Result<(), (OfferRefusal, Option<ResultId>)> {
        if !self.has_role(offer.worker, Role::Processor) {
            return Err((OfferRefusal::NotAProcessor, None));
        }
        let no_batch = (OfferRefusal::NoBatch, None);
        let batch = self.batches.get(&offer.batch).ok_or(no_batch)?;
        if let Some(standing) = batch.result
            && offer.revision <= standing.revision
        {
            let same = offer.revision == standing.revision && offer.sha256 == standing.sha256;
            let repeats = same.then(|| standing.id(offer.batch));
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
