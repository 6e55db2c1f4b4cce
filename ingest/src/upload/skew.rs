//! Clocks of clients: how far each is from ours, as the requests tell that say when they were sent.
//!
//! Heard by this process alone and forgotten with it: what follows from it is decided once, written
//! into the event, and never decided again.

use std::sync::{Mutex, PoisonError};

use infra::recent::Recent;
use schemas::id::AccountId;
use schemas::time::{SentAt, Wall};

/// How many requests in a row must agree.
const AGREEING: usize = 5;
/// By how much they may differ: requests travel for a while, and some wait to be sent again.
const STEADY_MS: u64 = 10_000;
/// Less than this is no skew but a slow line, or a clock that is good enough.
const SKEW_MS_MIN: u64 = 300_000;
/// Clients that are remembered at least; at most twice as many.
const CLIENTS_MAX: usize = 50_000;

/// The last requests of a client: how far ahead of ours its clock was at each.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    ahead_ms: [i64; AGREEING],
    count: usize,
}

impl Heard {
    fn note(&mut self, ahead_ms: i64) {
        let place = self.count % AGREEING;
        if let Some(slot) = self.ahead_ms.get_mut(place) {
            *slot = ahead_ms;
        }
        self.count += 1;
    }

    /// How far it is ahead, if the last requests agree and it is worth a correction. The one that
    /// travelled least tells it best: travelling makes a clock look slow.
    fn skew_ms(&self) -> Option<i64> {
        let most = self.ahead_ms.iter().copied().max()?;
        let least = self.ahead_ms.iter().copied().min()?;
        let steady = self.count >= AGREEING && most.abs_diff(least) <= STEADY_MS;
        (steady && most.unsigned_abs() >= SKEW_MS_MIN).then_some(most)
    }
}

/// The clocks of all clients that were heard of late.
#[derive(Debug)]
pub(crate) struct Clocks(Mutex<Recent<AccountId, Heard>>);

impl Default for Clocks {
    fn default() -> Self {
        Self(Mutex::new(Recent::new(CLIENTS_MAX)))
    }
}

impl Clocks {
    /// One more request of a client; how far its clock is ahead of ours, negative when behind. None
    /// when that is not known, not steady, or too little.
    pub(crate) fn heard(
        &self,
        client: AccountId,
        sent_at: Option<SentAt>,
        now: Wall,
    ) -> Option<i64> {
        let sent_at = sent_at?;
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut heard = clients.get(&client).unwrap_or_default();
        heard.note(sent_at.millis() - now.millis());
        clients.put(client, heard);
        heard.skew_ms()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_257_000_000;

    fn check(ahead_ms: &[i64], expected: Option<i64>) {
        let clocks = Clocks::default();
        let client = AccountId::from_bits(1);
        let mut told = None;
        for ahead in ahead_ms {
            let sent_at = Some(SentAt::from_millis(NOW + ahead));
            told = clocks.heard(client, sent_at, Wall::from_millis(NOW));
        }
        assert_eq!(told, expected, "{ahead_ms:?}");
    }

    #[test]
    fn a_skew_counts_once_five_requests_in_a_row_agree() {
        let hour = 3_600_000;
        check(&[hour; 4], None);
        check(&[hour; 5], Some(hour));
        check(&[-hour; 9], Some(-hour));
        check(&[hour - 9_000, hour, hour - 300, hour - 1, hour - 2_000], Some(hour));
        check(&[hour - 10_001, hour, hour, hour, hour], None);
        check(&[0, hour, hour, hour, hour, hour], Some(hour));
        check(&[hour, hour, hour, hour, hour, 0], None);
        check(&[299_999; 5], None);
        check(&[300_000; 5], Some(300_000));
        check(&[0; 5], None);
    }

    #[test]
    fn clients_are_told_apart_and_silence_tells_nothing() {
        let clocks = Clocks::default();
        let [a, b] = [1, 2].map(AccountId::from_bits);
        let (now, sent_at) = (Wall::from_millis(NOW), Some(SentAt::from_millis(NOW + 3_600_000)));
        for _ in 0..5 {
            assert_eq!(clocks.heard(b, Some(SentAt::from_millis(NOW)), now), None);
            clocks.heard(a, sent_at, now);
        }
        assert_eq!(clocks.heard(a, sent_at, now), Some(3_600_000));
        assert_eq!(clocks.heard(a, None, now), None);
    }
}
