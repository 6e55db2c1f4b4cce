//! How far event time has got, judged from the clients.
//!
//! `E(c)` is the newest effective time of contributor `c`; a contributor is active for a while
//! after its last file. `reached` is the latest time that a quantile of the active contributors had
//! reached at some event; it never goes back. The watermark is
//! `max(itself, min(clock, max(reached − disorder, clock − max_wait)))`: never ahead of the log's
//! clock, so a client with a fast clock closes nothing early; never more than `max_wait` behind it,
//! so a silent client stalls nothing.
//!
//! Only contributors beyond `reached` are kept in order, and there are always fewer of them than
//! the quantile asks for: one event costs a few steps in a set of that size.

use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasherDefault;

use schemas::id::AccountId;
use schemas::policy::{Close, Watermark as Rules};
use schemas::time::{EffectiveAt, LogTime};
use serde::{Deserialize, Serialize};

use super::seen::IdHasher;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    newest: EffectiveAt,
    seen: LogTime,
}

/// The watermark of one pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Watermark {
    at: EffectiveAt,
    reached: EffectiveAt,
    /// The active contributors.
    active: HashMap<AccountId, Progress, BuildHasherDefault<IdHasher>>,
    /// Those of them beyond `reached`.
    beyond: BTreeSet<(EffectiveAt, AccountId)>,
    /// When to look again for contributors that went silent.
    sweep_at: LogTime,
}

impl Watermark {
    /// Where it stands.
    pub(super) fn at(&self) -> EffectiveAt {
        self.at
    }

    /// Contributors active of late.
    pub(super) fn active(&self) -> u32 {
        u32::try_from(self.active.len()).unwrap_or(u32::MAX)
    }

    /// Whether this contributor was active of late.
    pub(super) fn is_active(&self, client: AccountId) -> bool {
        self.active.contains_key(&client)
    }

    /// Whether the clients themselves have reached `bound`, whatever the clock says.
    pub(super) fn clients_reached(&self, bound: EffectiveAt, rules: &Rules) -> bool {
        self.reached.minus(rules.disorder_ms) >= bound
    }

    /// Where it stands by other rules than those in force, for windows that have others. Neither
    /// the clock nor `reached` goes back, so neither does this.
    pub(super) fn by(&self, clock: LogTime, rules: &Rules, close: &Close) -> EffectiveAt {
        let clients = self.reached.minus(rules.disorder_ms).millis();
        let clock = clock.millis();
        let longest = clock.saturating_sub_unsigned(close.max_wait_ms);
        EffectiveAt::from_millis(clients.max(longest).min(clock))
    }

    /// A contributor's newest file of one event. What it means for the watermark is for
    /// [`Self::advance`].
    pub(super) fn report(&mut self, client: AccountId, newest: EffectiveAt, clock: LogTime) {
        let progress = self.active.entry(client).or_insert(Progress { newest, seen: clock });
        let before = progress.newest;
        progress.seen = clock;
        progress.newest = before.max(newest);
        let now = progress.newest;
        if now > self.reached {
            if before != now {
                self.beyond.remove(&(before, client));
            }
            self.beyond.insert((now, client));
        }
    }

    /// The contributor belongs no longer.
    pub(super) fn forget(&mut self, client: AccountId) {
        if let Some(progress) = self.active.remove(&client) {
            self.beyond.remove(&(progress.newest, client));
        }
    }

    /// Moves on to the log's clock.
    pub(super) fn advance(&mut self, clock: LogTime, rules: &Rules, close: &Close) {
        if clock >= self.sweep_at {
            self.drop_silent(clock, rules.activity_ms);
        }
        let active = self.active.len();
        let asked = (active * rules.quantile_permille as usize).div_ceil(1_000).max(1);
        // Beyond the last of those that leave here there are fewer than asked for; and those that
        // are no further than it is are not beyond it.
        while let Some((next, _)) = self.beyond.first()
            && (self.beyond.len() >= asked || *next == self.reached)
        {
            self.reached = *next;
            self.beyond.pop_first();
        }
        self.at = self.at.max(self.by(clock, rules, close));
    }

    /// Looks at each contributor once per sixteenth of the horizon: which event does so is
    /// decided by the log's clock alone.
    fn drop_silent(&mut self, clock: LogTime, activity_ms: u64) {
        let Self { active, beyond, .. } = self;
        active.retain(|client, progress| {
            let stays = clock.since(progress.seen) <= activity_ms;
            if !stays {
                beyond.remove(&(progress.newest, *client));
            }
            stays
        });
        self.sweep_at = clock.plus((activity_ms / 16).max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSE: Close = Close {
        grace_ms: 0,
        max_wait_ms: 10_000,
        count: None,
        bytes: None,
        quorum: None,
        schedule: None,
        minimum: None,
        part_files_max: 10,
    };

    fn rules(quantile_permille: u32) -> Rules {
        Rules { quantile_permille, disorder_ms: 100, activity_ms: 60_000 }
    }

    /// Feeds (client, time) at clock times and tells the watermark after each.
    fn check(quantile_permille: u32, events: &[(i64, u128, i64)], expected: &[i64]) {
        let rules = rules(quantile_permille);
        let mut mark = Watermark::default();
        let mut told = Vec::new();
        for (clock, client, time) in events {
            let clock = LogTime::from_millis(*clock);
            mark.advance(clock, &rules, &CLOSE);
            if *client > 0 {
                let client = AccountId::from_bits(*client);
                mark.report(client, EffectiveAt::from_millis(*time), clock);
            }
            mark.advance(clock, &rules, &CLOSE);
            told.push(mark.at().millis());
        }
        assert_eq!(told, expected);
    }

    #[test]
    fn one_client_carries_it_up_to_the_clock() {
        check(900, &[(50_000, 1, 45_000), (50_000, 1, 55_000)], &[44_900, 50_000]);
    }

    #[test]
    fn all_of_few_must_have_reached_it() {
        check(
            900,
            &[(50_000, 1, 45_000), (50_000, 2, 41_000), (50_000, 2, 49_000)],
            // The second client comes with an older time: the watermark stays where it was.
            &[44_900, 44_900, 44_900],
        );
        check(
            900,
            &[(50_000, 1, 41_000), (50_000, 2, 45_000), (50_000, 1, 44_000)],
            &[40_900, 40_900, 43_900],
        );
    }

    #[test]
    fn a_quantile_does_not_wait_for_the_slowest() {
        let mut events: Vec<_> = (1..=10).map(|client| (50_000, client, 41_000)).collect();
        events.extend((2..=10).map(|client| (50_000, client, 48_000)));
        let mut expected = vec![40_900; 18];
        expected.push(47_900);
        check(900, &events, &expected);
    }

    #[test]
    fn silence_stalls_nothing() {
        check(
            1_000,
            &[(50_000, 1, 49_000), (50_000, 2, 42_000), (56_000, 0, 0), (111_000, 2, 110_900)],
            // 56 s: at most 10 s behind the clock. 111 s: client 1 is active no longer.
            &[48_900, 48_900, 48_900, 110_800],
        );
    }
}
