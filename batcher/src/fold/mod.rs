//! The fold: from a pool's events to what follows from them. Pure, total, one order in, one out.
//!
//! No I/O, no clock, no randomness, no floats, no order of a hash map: folding the same events
//! again gives the same records byte for byte.

mod emit;
mod files;
mod gather;
mod groups;
mod held;
mod inspecting;
mod keeping;
mod life;
mod members;
mod minimum;
mod page;
mod place;
mod quorum;
mod range;
mod results;
mod seen;
mod settle;
mod versions;
mod watermark;
mod windows;
mod work;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use schemas::event::{Derived, Event, PoolState, Timer};
use schemas::id::{AccountId, BatchId, ClaimId, PoolId, ResultId, TokenId};
use schemas::name::PoolName;
use schemas::policy::Policy;
use schemas::time::{EffectiveAt, LogTime, Window};
use schemas::topic::Offset;
use schemas::wire::Cause;
use serde::{Deserialize, Serialize};

use emit::Emit;
use groups::Groups;
use held::Held;
use inspecting::Inspecting;
use keeping::Keeping;
use members::{Member, Token};
use range::Range;
use seen::Seen;
use versions::Version;
use watermark::Watermark;
use windows::{Part, Past};
use work::Batch;

/// The newest rules this program knows. A pool that was raised beyond them halts.
///
/// 1: the first. 2: the same, and policies may say what a program that knows only 1 would not
/// see; a log of 1 says none of it and folds as it did.
pub const SEMANTICS: u32 = 2;

/// One event, at its place in the pool's one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its offset.
    pub offset: Offset,
    /// When it was appended, by the log's clock.
    pub at: LogTime,
    /// What it says.
    pub event: Event,
}

/// One thing that follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// From which event, and its place among that event's outputs.
    pub cause: Cause,
    /// The log's clock at that event.
    pub time: LogTime,
    /// What it says.
    pub body: Derived,
}

/// All that is remembered of a pool's events. Bounded: no file bytes, no references of closed
/// windows, upload ids for a day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The rules from here on.
    semantics: u32,
    /// The pool, once it was made.
    pool: Option<Pool>,
    /// The log's clock: the greatest append time so far.
    clock: LogTime,
    /// The first event not folded.
    next: Offset,
    members: BTreeMap<AccountId, Member>,
    /// How many of them are contributors.
    contributors: u32,
    tokens: BTreeMap<TokenId, Token>,
    seen: Seen,
    /// Files held for an admin.
    held: Held,
    /// Files under inspection, and what failed.
    inspecting: Inspecting,
    /// What it holds, and what it has kept for long enough.
    keeping: Keeping,
    watermark: Watermark,
    /// The latest end of a window that was given a file.
    assigned_until: Option<EffectiveAt>,
    /// Windows that take files, each with its open part.
    open: BTreeMap<Window, Part>,
    /// Windows that had closed, until no late file may come.
    past: BTreeMap<Window, Past>,
    /// Files of pools that group by distance, until their group has a window.
    groups: Groups,
    /// When the passing of time next ends one.
    group_due: Option<LogTime>,
    /// No window of a group begins before: those that did are forgotten.
    forgotten_until: EffectiveAt,
    batches: BTreeMap<BatchId, Batch>,
    /// The result of the greatest (window, part, revision).
    latest: Option<Latest>,
    /// Ranges that were asked for, the oldest first.
    ranges: VecDeque<Range>,
    /// Batches that can be claimed, by their turn: the one that waits longest first.
    claimable: BTreeSet<(u64, BatchId)>,
    /// The last turn given out.
    turn: u64,
    /// Leases that are held, by their claim.
    leases: BTreeMap<ClaimId, BatchId>,
    timers: BTreeSet<(LogTime, Timer)>,
    /// The moment of the schedule that is waited for.
    schedule: Option<LogTime>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pool {
    id: PoolId,
    name: PoolName,
    /// The newest version.
    policy: Box<Policy>,
    policy_version: u32,
    /// Files of this time and later are grouped by that version.
    from: EffectiveAt,
    /// Versions before it whose windows may still take files, oldest first.
    older: Vec<Version>,
    life: PoolState,
}

/// Where a result stands among those of its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Latest {
    window: Window,
    part: u32,
    revision: u32,
    correction: u32,
    result: ResultId,
    /// Whether it is given out no more. Its place stays taken: the latest never goes backwards.
    withdrawn: bool,
}

impl State {
    /// The first event not folded.
    pub fn next(&self) -> Offset {
        self.next
    }

    /// The log's clock.
    pub fn clock(&self) -> LogTime {
        self.clock
    }

    /// The rules from here on.
    pub fn semantics(&self) -> u32 {
        self.semantics
    }

    /// The pool's id, once it was made.
    pub fn pool_id(&self) -> Option<PoolId> {
        self.pool.as_ref().map(|pool| pool.id)
    }

    /// The timer that is due next, and when.
    pub fn due(&self) -> Option<(LogTime, Timer)> {
        self.timers.first().copied()
    }
}

/// Folds one event. Total: whatever stands in the log has some outcome.
pub fn step(state: &mut State, input: Input, out: &mut Vec<Output>) {
    debug_assert!(input.offset >= state.next, "events come in order");
    let first = out.len();
    state.clock = state.clock.max(input.at);
    state.next = input.offset + 1;
    let mut emit = Emit::new(out, input.offset, state.clock);
    // What the passing of time alone has decided, before this event counts.
    state.settle(&mut emit);
    state.handle(input.offset, input.event, &mut emit);
    state.settle(&mut emit);
    if let Some(last) = out.get_mut(first..).and_then(<[Output]>::last_mut) {
        last.cause.last = true;
    }
}

impl State {
    fn handle(&mut self, offset: Offset, event: Event, emit: &mut Emit<'_>) {
        match event {
            Event::PoolCreated(created) => self.create(created, emit),
            Event::PolicyChangeRequested(ask) => self.change_policy(ask, emit),
            Event::MemberAddRequested(ask) => self.add_member(&ask, emit),
            Event::MemberJoinRequested(ask) => self.join(&ask, emit),
            Event::MemberRemoveRequested(ask) => self.remove_member(&ask, emit),
            Event::MemberSuspendRequested(ask) => self.suspend_member(ask.account, emit),
            Event::MemberResumeRequested(ask) => self.resume_member(ask.account, emit),
            Event::OwnerTransferRequested(ask) => self.transfer(&ask, emit),
            Event::JoinTokenIssueRequested(ask) => self.issue_token(&ask, emit),
            Event::JoinTokenRevokeRequested(ask) => self.revoke_token(ask.token, emit),
            Event::PoolPauseRequested(ask) => self.pause(ask.by, emit),
            Event::PoolResumeRequested(ask) => self.resume(ask.by, emit),
            Event::PoolArchiveRequested(ask) => self.archive(&ask, emit),
            Event::UploadReceived(received) => self.receive(received, emit),
            Event::UpdateReceived(update) => self.receive_update(update, emit),
            Event::UploadInspectionStarted(start) => self.start_inspection(&start, emit),
            Event::UploadAccepted(verdict) => self.accept(&verdict, emit),
            Event::UploadRejected(verdict) => self.reject(verdict, emit),
            Event::UploadAttemptFailed(failure) => self.fail_attempt(failure, emit),
            Event::UploadRetryRequested(ask) => self.retry_upload(&ask, emit),
            Event::UploadReleaseRequested(ask) => self.release(ask, emit),
            Event::UploadDiscardRequested(ask) => self.discard(&ask, emit),
            Event::WindowCloseAsked(ask) => self.close_asked(&ask, emit),
            Event::BatchRequested(ask) => self.request_batch(&ask, offset, emit),
            Event::RangeListed(list) => self.list_range(list, emit),
            Event::ClaimRequested(claim) => self.claim(&claim, emit),
            Event::LeaseRenewed(renewal) => self.renew(&renewal, emit),
            Event::ProcessingFailed(failure) => self.fail(failure, emit),
            Event::ResultOffered(offer) => self.offer(offer, emit),
            Event::ResultCorrected(correction) => self.correct(correction, emit),
            Event::ResultWithdrawRequested(ask) => self.withdraw(&ask, emit),
            Event::RedeliveryRequested(ask) => self.redeliver(&ask, emit),
            Event::BatchRetryRequested(ask) => self.retry(&ask, emit),
            Event::TimerDue(due) => self.fire(&due, emit),
            Event::SemanticsRaised(raised) => {
                self.semantics = self.semantics.max(raised.semantics);
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
