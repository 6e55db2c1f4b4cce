//! When a message that was not taken is tried again. Pure.
//!
//! Standard Webhooks' own schedule: after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h,
//! counted in the first of them, with a tenth more or less so that not all come back at once.

use std::time::Duration;

/// Waits, counted in the first one.
const WAITS: [u64; 9] = [1, 60, 360, 1_440, 3_600, 7_200, 10_080, 14_400, 17_280];
/// A target is left alone for no longer than this, whatever it asks.
const ASKED_MAX: Duration = Duration::from_hours(24);

/// The wait in milliseconds after so many failures in a row; `None` when it is given up. `dice` is
/// any number.
pub(super) fn wait(
    failures: u32,
    first_ms: u64,
    asked: Option<Duration>,
    dice: u32,
) -> Option<u64> {
    let at = usize::try_from(failures).ok()?.checked_sub(1)?;
    let wait = WAITS.get(at)?.saturating_mul(first_ms);
    // From nine tenths to eleven tenths.
    let part = wait / 5;
    let shaken = wait - wait / 10 + part.saturating_mul(u64::from(dice % 1_001)) / 1_000;
    let asked = asked.unwrap_or_default().min(ASKED_MAX);
    Some(shaken.max(u64::try_from(asked.as_millis()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_day_and_end_after_three() {
        let waits: Vec<_> = (1..=10).map(|failures| wait(failures, 5_000, None, 500)).collect();
        let minutes = |minutes: u64| Some(minutes * 60_000);
        let mut expected = vec![Some(5_000), minutes(5), minutes(30)];
        expected.extend([2, 5, 10, 14, 20, 24].map(|hours| minutes(hours * 60)));
        expected.push(None);
        assert_eq!(waits, expected);
        assert_eq!(wait(0, 5_000, None, 0), None);
    }

    #[test]
    fn waits_differ_by_a_tenth_at_most() {
        for dice in [0, 1, 999, 1_000, 1_001, u32::MAX] {
            let wait = wait(2, 5_000, None, dice).unwrap();
            assert!((270_000..=330_000).contains(&wait), "{dice}: {wait}");
        }
        assert_ne!(wait(2, 5_000, None, 0), wait(2, 5_000, None, 1_000));
    }

    #[test]
    fn a_target_may_ask_for_longer_but_not_for_ever() {
        let asked = |seconds| wait(1, 5_000, Some(Duration::from_secs(seconds)), 500);
        assert_eq!(asked(1), Some(5_000));
        assert_eq!(asked(60), Some(60_000));
        assert_eq!(asked(u64::MAX), Some(86_400_000));
    }
}
