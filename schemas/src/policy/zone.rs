//! Time zones, written out: a policy carries the offsets of its zone, so that the fold never asks a
//! table that changes with the program.

use chrono::{DateTime, Offset as _, TimeZone as _, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::EffectiveAt;

const DAY_MS: i64 = 86_400_000;
/// 2012-01-01 and 2050-01-01: changes between them are written out.
const FROM_MS: i64 = 1_325_376_000_000;
const TO_MS: i64 = 2_524_608_000_000;

/// A time zone with its offsets from 2012 to 2050; before and after, the first and the last hold.
/// A law that changes them later holds for a pool from its next policy on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Zone {
    /// Its name, such as `Europe/Berlin`.
    pub name: Box<str>,
    /// The release of the IANA tz database that the offsets are from.
    pub tzdb: Box<str>,
    /// Seconds east of UTC, each from a moment on; the first from 1970 on.
    pub offsets: Vec<(EffectiveAt, i32)>,
}

impl Zone {
    /// The zone of this name in the tz database this program was built with.
    pub fn named(name: &str) -> Option<Self> {
        let zone: chrono_tz::Tz = name.parse().ok()?;
        let seconds = |at: i64| {
            let at = DateTime::<Utc>::from_timestamp_millis(at).unwrap_or_default();
            zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()
        };
        let mut offsets = vec![(EffectiveAt::default(), seconds(FROM_MS))];
        let mut at = FROM_MS;
        while at < TO_MS {
            let (mut before, mut after) = (at, at + DAY_MS);
            let old = seconds(before);
            if seconds(after) == old {
                at = after;
            } else {
                while after - before > 1_000 {
                    let middle = before.midpoint(after);
                    if seconds(middle) == old { before = middle } else { after = middle }
                }
                let change = after - after % 1_000;
                offsets.push((EffectiveAt::from_millis(change), seconds(change)));
                at = change;
            }
        }
        Some(Self { name: name.into(), tzdb: chrono_tz::IANA_TZDB_VERSION.into(), offsets })
    }

    /// The index of the offset that holds at a moment.
    fn index(&self, at: i64) -> usize {
        self.offsets.partition_point(|(from, _)| from.millis() <= at).saturating_sub(1)
    }

    fn offset_ms(&self, index: usize) -> i64 {
        self.offsets.get(index).map_or(0, |(_, seconds)| i64::from(*seconds) * 1_000)
    }

    /// Where an offset begins to hold; the end of time for one there is none of.
    fn from(&self, index: usize) -> i64 {
        self.offsets.get(index).map_or(i64::MAX, |(from, _)| from.millis())
    }

    /// What clocks there show, in milliseconds as if it were UTC.
    pub fn local_ms(&self, at: i64) -> i64 {
        at + self.offset_ms(self.index(at))
    }

    /// The next moment at which its clocks are changed.
    pub fn next_change(&self, at: i64) -> i64 {
        self.from(self.index(at) + 1)
    }

    /// The calendar day that a moment is in: its first moment and the first moment after it. Where
    /// midnight is skipped, a day begins when the clocks are changed; where it comes twice, with
    /// the first.
    pub fn day(&self, at: i64) -> (i64, i64) {
        let date = self.local_ms(at).div_euclid(DAY_MS);
        let mut index = self.index(at);
        let start = loop {
            let midnight = date * DAY_MS - self.offset_ms(index);
            let from = self.from(index);
            if index == 0 || midnight > from {
                break midnight;
            }
            let date_before = (from - 1 + self.offset_ms(index - 1)).div_euclid(DAY_MS);
            if date_before < date {
                break from;
            }
            index -= 1;
        };
        let mut index = self.index(at);
        let end = loop {
            let midnight = (date + 1) * DAY_MS - self.offset_ms(index);
            let until = self.from(index + 1);
            if midnight < until {
                break midnight;
            }
            if (until + self.offset_ms(index + 1)).div_euclid(DAY_MS) > date {
                break until;
            }
            index += 1;
        };
        (start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(text: &str) -> i64 {
        text.parse::<EffectiveAt>().unwrap().millis()
    }

    fn check(zone: &str, at: &str, start: &str, end: &str) {
        let zone = Zone::named(zone).unwrap();
        assert_eq!(zone.day(millis(at)), (millis(start), millis(end)), "{at} in {}", zone.name);
    }

    #[test]
    fn days_begin_at_midnight_there() {
        check("UTC", "2026-11-21T10:30:00Z", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z");
        check(
            "Asia/Kolkata",
            "2026-11-21T18:30:00Z",
            "2026-11-21T18:30:00Z",
            "2026-11-22T18:30:00Z",
        );
    }

    #[test]
    fn a_day_has_23_or_25_hours_where_clocks_are_changed() {
        check(
            "Europe/Berlin",
            "2026-03-29T12:00:00Z",
            "2026-03-28T23:00:00Z",
            "2026-03-29T22:00:00Z",
        );
        check(
            "Europe/Berlin",
            "2026-10-25T12:00:00Z",
            "2026-10-24T22:00:00Z",
            "2026-10-25T23:00:00Z",
        );
    }

    #[test]
    fn a_day_whose_midnight_is_skipped_begins_when_the_clocks_are_changed() {
        check(
            "Africa/Cairo",
            "2026-04-24T12:00:00Z",
            "2026-04-23T22:00:00Z",
            "2026-04-24T21:00:00Z",
        );
    }

    #[test]
    fn days_of_every_zone_follow_each_other_without_a_gap() {
        for zone in chrono_tz::TZ_VARIANTS {
            let zone = Zone::named(zone.name()).unwrap();
            for (change, _) in zone.offsets.iter().skip(1) {
                let mut at = change.millis() - 2 * DAY_MS;
                while at < change.millis() + 2 * DAY_MS {
                    let (start, next) = zone.day(at);
                    assert!(start <= at && at < next, "{} {at}", zone.name);
                    assert_eq!(zone.day(next - 1), (start, next), "{} {at}", zone.name);
                    assert_eq!(zone.day(next).0, next, "{} {at}", zone.name);
                    at = next;
                }
            }
        }
    }

    #[test]
    fn what_is_written_says_the_same_and_unknown_zones_are_none() {
        let zone = Zone::named("Europe/Berlin").unwrap();
        let text = serde_json::to_string(&zone).unwrap();
        assert!(
            text.len() < 5_000 && text.contains(r#"["2026-03-29T01:00:00.000Z",7200]"#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Zone>(&text).unwrap(), zone);
        assert_eq!(Zone::named("Europe/Atlantis"), None);
    }
}
