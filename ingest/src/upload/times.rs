//! The time a file is grouped by: decided once, here, written into the event and never again.

use schemas::file::TimeSource;
use schemas::policy::{SkewMode, Times};
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

/// Decides. The client's clock counts, less what it is steadily ahead of ours if the pool asks for
/// that, and as long as the outcome is not ahead of ours; a file may be as old as it likes.
pub(crate) fn decide(
    observed_at: Option<ObservedAt>,
    skew_ms: Option<i64>,
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
    let skew_ms = skew_ms.filter(|_| times.skew == SkewMode::Correct);
    let source = if skew_ms.is_some() { TimeSource::Corrected } else { TimeSource::Client };
    let theirs = observed_at.millis().saturating_sub(skew_ms.unwrap_or(0));
    let theirs = EffectiveAt::from_millis(theirs);
    let ahead_ms = theirs.since(ours);
    if ahead_ms <= times.max_future_ms {
        decided(theirs, source)
    } else if ahead_ms <= times.max_future_ms.saturating_add(times.clamp_ms) {
        Decided { clamped: true, ..decided(ours, source) }
    } else {
        Decided { quarantined: true, ..decided(theirs, source) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_257_000_000;
    const TIMES: Times = Times { max_future_ms: 60_000, clamp_ms: 3_600_000, skew: SkewMode::Keep };

    #[test]
    fn a_time_ahead_of_ours_is_taken_cut_back_or_quarantined() {
        let check = |ahead: Option<i64>, effective: i64, word: &str| {
            let observed_at = ahead.map(|ahead| ObservedAt::from_millis(NOW + ahead));
            let decided =
                decide(observed_at, Some(3_600_000), ReceivedAt::from_millis(NOW), &TIMES);
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
        let (at, skew) = (ReceivedAt::from_millis(NOW), SkewMode::Keep);
        let none = Times { max_future_ms: 0, clamp_ms: 0, skew };
        assert!(decide(ahead, None, at, &none).quarantined);
        let clamp = Times { clamp_ms: u64::MAX, ..none };
        assert!(decide(ahead, None, at, &clamp).clamped);
        let any = Times { max_future_ms: u64::MAX, clamp_ms: u64::MAX, skew };
        assert_eq!(decide(ahead, None, at, &any).effective_at.millis(), NOW + 1);
    }

    #[test]
    fn a_steady_skew_is_taken_away_where_the_pool_asks() {
        let times = Times { skew: SkewMode::Correct, ..TIMES };
        let check = |observed: Option<i64>, skew_ms, expected: (i64, TimeSource, bool, bool)| {
            let observed_at = observed.map(|at| ObservedAt::from_millis(NOW + at));
            let decided = decide(observed_at, skew_ms, ReceivedAt::from_millis(NOW), &times);
            let Decided { effective_at, time_source, clamped, quarantined } = decided;
            let told = (effective_at.millis() - NOW, time_source, clamped, quarantined);
            assert_eq!(told, expected, "{observed:?} {skew_ms:?}");
        };
        let hour = 3_600_000;
        check(Some(hour), Some(hour), (0, TimeSource::Corrected, false, false));
        check(Some(-hour), Some(-hour), (0, TimeSource::Corrected, false, false));
        check(
            Some(3 * hour - 60_000),
            Some(hour),
            (2 * hour - 60_000, TimeSource::Corrected, false, true),
        );
        check(Some(hour + 70_000), Some(hour), (0, TimeSource::Corrected, true, false));
        check(Some(-hour), None, (-hour, TimeSource::Client, false, false));
        check(None, Some(hour), (0, TimeSource::Server, false, false));
    }
}
