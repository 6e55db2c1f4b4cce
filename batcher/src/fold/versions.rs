//! Versions of the policy: whose rules a window has, and from when the next version holds.
//!
//! A file is grouped by the version of its effective time. A new version begins where the last
//! window ends that has begun or has been given a file: no window is cut anew, and older windows go
//! on under their own rules. What is no rule of grouping (work, what a new member gets) the newest
//! version says at once.

use schemas::event::{PolicyBefore, PolicyChangeRequested, PolicyChanged, PoolState, Refusal};
use schemas::policy::{Policy, Schedule};
use schemas::time::{EffectiveAt, LogTime, Window};
use serde::{Deserialize, Serialize};

use super::emit::Emit;
use super::{Pool, State};

/// Most versions that are remembered beside the newest, for windows that may still take files.
const OLDER_MAX: usize = 50;

/// A version that another has followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Version {
    number: u32,
    from: EffectiveAt,
    policy: Box<Policy>,
}

/// A version while it is asked: what it says, and for which files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) version: u32,
    pub(super) policy: &'a Policy,
    from: EffectiveAt,
    until: Option<EffectiveAt>,
}

impl Rules<'_> {
    /// From when on it holds, and up to when.
    pub(super) fn span(&self) -> (EffectiveAt, Option<EffectiveAt>) {
        (self.from, self.until)
    }
}

impl Pool {
    /// The rules of files of this moment. Of files before all that is remembered: the oldest.
    pub(super) fn at(&self, at: EffectiveAt) -> Rules<'_> {
        if self.older.is_empty() || at >= self.from {
            let (version, policy, from) = (self.policy_version, &*self.policy, self.from);
            return Rules { version, policy, from, until: None };
        }
        let next = self.older.partition_point(|version| version.from <= at).max(1);
        let until = self.older.get(next).map_or(self.from, |version| version.from);
        let Some(Version { number, from, policy }) = self.older.get(next - 1) else {
            unreachable!("there are older versions, and one of them comes before the next")
        };
        Rules { version: *number, policy, from: *from, until: Some(until) }
    }

    /// The rules of a window.
    pub(super) fn rules(&self, window: &Window) -> &Policy {
        self.at(window.start).policy
    }

    /// The window that files of this moment fall into.
    pub(super) fn window_of(&self, at: EffectiveAt) -> Window {
        let Rules { policy, from, until, .. } = self.at(at);
        policy.windows.of_within(at, (from, until))
    }

    /// Whether the rules that this window had are remembered no longer.
    pub(super) fn is_before_rules(&self, window: &Window) -> bool {
        window.start < self.older.first().map_or(self.from, |oldest| oldest.from)
    }

    /// The versions that have a schedule, oldest first.
    pub(super) fn schedules(&self) -> impl Iterator<Item = (u32, &Schedule)> {
        let older = self.older.iter().map(|version| (version.number, &*version.policy));
        let all = older.chain([(self.policy_version, &*self.policy)]);
        all.filter_map(|(number, policy)| Some((number, policy.close.schedule.as_ref()?)))
    }

    /// From when on each version holds, oldest first.
    pub(super) fn begins(&self) -> impl Iterator<Item = EffectiveAt> {
        self.older.iter().map(|version| version.from).chain([self.from])
    }

    /// Whether windows of several versions may be open.
    pub(super) fn has_older(&self) -> bool {
        !self.older.is_empty()
    }

    /// The newest version, as it is told.
    fn told(&self) -> PolicyChanged {
        let before = self.older.last().map(|version| PolicyBefore {
            version: version.number,
            effective_from: version.from,
            policy: version.policy.clone(),
        });
        PolicyChanged {
            pool: self.id,
            name: self.name.clone(),
            version: self.policy_version,
            effective_from: self.from,
            policy: self.policy.clone(),
            before,
        }
    }

    /// Where the window ends that this moment lies in; a group that has begun by then, at the most.
    fn begun_until(&self, now: EffectiveAt) -> EffectiveAt {
        let Rules { policy, until, .. } = self.at(now);
        let Some(gap) = policy.windows.gap() else { return self.window_of(now).end };
        let longest = now.plus(gap.max_span_ms).plus(1);
        until.map_or(longest, |until| longest.min(until))
    }

    /// Makes this the newest version, for files from `from` on. One that never had a window of its
    /// own is forgotten at once.
    fn follow(&mut self, from: EffectiveAt, policy: Box<Policy>) {
        let policy = std::mem::replace(&mut self.policy, policy);
        let before = std::mem::replace(&mut self.from, from);
        if before < from {
            self.older.push(Version { number: self.policy_version, from: before, policy });
        }
        self.policy_version += 1;
    }
}

impl State {
    pub(super) fn change_policy(&mut self, ask: PolicyChangeRequested, emit: &mut Emit<'_>) {
        let Some(mut pool) = self.pool.take() else { return emit.refuse(Refusal::NoPool) };
        let from = self.next_boundary(&pool);
        let stale = ask.if_version.is_some_and(|version| version != pool.policy_version);
        if pool.policy == ask.policy {
            // A repeat, or nothing new: the version that stands is the answer.
            emit.say(pool.told());
        } else if pool.life == PoolState::Archived {
            emit.refuse(Refusal::PoolArchived);
        } else if stale {
            emit.refuse(Refusal::PolicyStale);
        } else if pool.older.len() >= OLDER_MAX && pool.from < from {
            emit.refuse(Refusal::PoliciesFull);
        } else {
            pool.follow(from, ask.policy);
            emit.say(pool.told());
        }
        self.pool = Some(pool);
    }

    /// The end of the last window that has begun or been given a file. As long as there was no
    /// file, none has begun.
    fn next_boundary(&self, pool: &Pool) -> EffectiveAt {
        let Some(assigned) = self.assigned_until else { return pool.from };
        let now = EffectiveAt::from_millis(self.clock.millis());
        assigned.max(pool.begun_until(now)).max(pool.from)
    }

    /// Forgets the versions whose windows have all closed and are too old for late files.
    pub(super) fn forget_versions(&self, pool: &mut Pool) {
        while let Some(Version { policy, .. }) = pool.older.first() {
            let end = pool.older.get(1).map_or(pool.from, |next| next.from);
            let close = &policy.close;
            let held_back_ms = close.minimum.map_or(0, |minimum| minimum.wait_ms);
            let wait_ms = close.grace_ms + close.max_wait_ms + held_back_ms;
            let age_ms = self.clock.since(LogTime::from_millis(end.millis()));
            let has = |window: Option<&Window>| window.is_some_and(|window| window.start < end);
            let gathers = self.groups.from(EffectiveAt::default());
            if age_ms <= policy.late.allowed_ms.max(wait_ms)
                || has(self.open.keys().next())
                || has(self.past.keys().next())
                || gathers.is_some_and(|(first, _)| first < end)
            {
                return;
            }
            pool.older.remove(0);
        }
    }
}
