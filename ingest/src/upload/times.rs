//! The time a file is grouped by: decided once, here, written into the event and never again.

use schemas::file::TimeSource;
use schemas::policy::Times;
use schemas::time::{EffectiveAt, ObservedAt, ReceivedAt};

/// What was decided about a file's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decided {
    /// The time it is grouped by.
    pub(crate) effective_at: EffectiveAt,
    /// Where that comes from.
    pub(crate) time_source: TimeSource,
    /// Whether it was cut back to our clock.
    pub(crate) clamped: bool,
    /// Whether it is so far ahead of ours that an admin must decide.
    pub(crate) quarantined: bool,
}

/// Decides. The client's clock counts as long as it is not ahead of ours; a file may be as old as
/// it likes. `sent_at` is kept beside it and decides nothing: no policy asks for a skew to be
/// corrected yet.
pub(crate) fn decide(
    observed_at: Option<ObservedAt>,
    received_at: ReceivedAt,
    times: &Times,
) -> Decided {
    let ours = EffectiveAt::from_millis(received_at.millis());
    let decided = |effective_at, time_source| Decided {
        effective_at,
        time_source,
        clamped: false,
        quarantined: false,
    };
    let Some(observed_at) = observed_at else { return decided(ours, TimeSource::Server) };
    let theirs = EffectiveAt::from_millis(observed_at.millis());
    let ahead_ms = theirs.since(ours);
    if ahead_ms <= times.max_future_ms {
        decided(theirs, TimeSource::Client)
    } else if ahead_ms <= times.max_future_ms.saturating_add(times.clamp_ms) {
        Decided { clamped: true, ..decided(ours, TimeSource::Client) }
    } else {
        Decided { quarantined: true, ..decided(theirs, TimeSource::Client) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_257_000_000;
    const TIMES: Times = Times { max_future_ms: 60_000, clamp_ms: 3_600_000 };

    #[test]
    fn a_time_ahead_of_ours_is_taken_cut_back_or_quarantined() {
        let check = |ahead: Option<i64>, effective: i64, word: &str| {
            let observed_at = ahead.map(|ahead| ObservedAt::from_millis(NOW + ahead));
            let decided = decide(observed_at, ReceivedAt::from_millis(NOW), &TIMES);
            assert_eq!(decided.effective_at.millis() - NOW, effective, "{ahead:?}");
            let told = match (decided.time_source, decided.clamped, decided.quarantined) {
                (TimeSource::Server, false, false) => "server",
                (TimeSource::Client, false, false) => "client",
                (TimeSource::Client, true, false) => "clamped",
                (TimeSource::Client, false, true) => "quarantined",
                _ => "nonsense",
            };
            assert_eq!(told, word, "{ahead:?}");
        };
        check(None, 0, "server");
        check(Some(0), 0, "client");
        check(Some(-40 * 86_400_000), -40 * 86_400_000, "client");
        check(Some(1), 1, "client");
        check(Some(60_000), 60_000, "client");
        check(Some(60_001), 0, "clamped");
        check(Some(3_660_000), 0, "clamped");
        check(Some(3_660_001), 3_660_001, "quarantined");
        check(Some(10 * 365 * 86_400_000), 10 * 365 * 86_400_000, "quarantined");
    }

    #[test]
    fn a_pool_may_take_no_time_ahead_at_all_or_any() {
        let ahead = Some(ObservedAt::from_millis(NOW + 1));
        let at = ReceivedAt::from_millis(NOW);
        assert!(decide(ahead, at, &Times { max_future_ms: 0, clamp_ms: 0 }).quarantined);
        assert!(decide(ahead, at, &Times { max_future_ms: 0, clamp_ms: u64::MAX }).clamped);
        let any = Times { max_future_ms: u64::MAX, clamp_ms: u64::MAX };
        assert_eq!(decide(ahead, at, &any).effective_at.millis(), NOW + 1);
    }
}
