//! Times: milliseconds since 1970 in UTC, one type per meaning, RFC 3339 in text.
//!
//! A client's clock, our clock and the log's clock are different types, so that grouping by the
//! wrong one does not compile.

use std::fmt;
use std::str::FromStr;

use chrono::DateTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::as_text;

/// The last moment that can be written: the end of the year 9999.
const MILLIS_MAX: i64 = 253_402_300_799_999;

/// The text was no time between 1970 and 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time between 1970 and 9999")]
pub struct NotATime;

macro_rules! times {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(i64);

        impl $name {
            /// The moment this many milliseconds after 1970, cut to 1970–9999.
            pub const fn from_millis(millis: i64) -> Self {
                Self(if millis < 0 {
                    0
                } else if millis > MILLIS_MAX {
                    MILLIS_MAX
                } else {
                    millis
                })
            }

            /// Milliseconds since 1970.
            pub const fn millis(self) -> i64 {
                self.0
            }

            /// This moment and `millis` more, cut to 1970–9999.
            pub const fn plus(self, millis: u64) -> Self {
                Self::from_millis(self.0.saturating_add_unsigned(millis))
            }

            /// This moment less `millis`, cut to 1970–9999.
            pub const fn minus(self, millis: u64) -> Self {
                Self::from_millis(self.0.saturating_sub_unsigned(millis))
            }

            /// Milliseconds from `earlier` to this; 0 when `earlier` is later.
            pub const fn since(self, earlier: Self) -> u64 {
                if self.0 > earlier.0 { self.0.abs_diff(earlier.0) } else { 0 }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_rfc3339(self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = NotATime;
            fn from_str(text: &str) -> Result<Self, NotATime> {
                parse_rfc3339(text).map(Self)
            }
        }

        as_text!($name, "date-time", "2026-11-21T10:30:00.000Z");
    )*};
}

times! {
    /// When the client made the file, by the client's clock.
    ObservedAt;
    /// When the client sent it, by the client's clock.
    SentAt;
    /// When we had it, by our clock.
    ReceivedAt;
    /// The time a file is grouped by: decided once, in ingest, and never again.
    EffectiveAt;
    /// When its bytes were durable, by our clock.
    StoredAt;
    /// The log's clock: append times, never running backwards within a topic.
    LogTime;
    /// A process's clock, for what is no decision: token lives, deadlines, ages of objects.
    Wall;
}

const DAY_MS: i64 = 86_400_000;

/// RFC 3339 in UTC with milliseconds, written without allocating: events carry several of these.
/// The civil date is found as in Howard Hinnant's `civil_from_days`.
fn write_rfc3339(millis: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (days, of_day) = (millis.div_euclid(DAY_MS), millis.rem_euclid(DAY_MS));
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut put = |last: usize, digits: usize, mut value: i64| {
        for at in (0..digits).map(|back| last - back) {
            if let (Some(place), Ok(digit)) = (text.get_mut(at), u8::try_from(value % 10)) {
                *place = b'0' + digit;
            }
            value /= 10;
        }
    };
    put(3, 4, year);
    put(6, 2, month);
    put(9, 2, day);
    put(12, 2, of_day / 3_600_000);
    put(15, 2, of_day / 60_000 % 60);
    put(18, 2, of_day / 1_000 % 60);
    put(22, 3, of_day % 1_000);
    f.pad(std::str::from_utf8(&text).unwrap_or_default())
}

fn parse_rfc3339(text: &str) -> Result<i64, NotATime> {
    if let Some(millis) = parse_own_form(text.as_bytes()) {
        return Ok(millis);
    }
    let millis = DateTime::parse_from_rfc3339(text).map_err(|_| NotATime)?.timestamp_millis();
    if (0..=MILLIS_MAX).contains(&millis) { Ok(millis) } else { Err(NotATime) }
}

/// A time in the form that we write, which is what a log is full of. None: in another, or none.
fn parse_own_form(text: &[u8]) -> Option<i64> {
    let text: &[u8; 24] = text.try_into().ok()?;
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
    if marks.iter().any(|(at, mark)| text.get(*at) != Some(mark)) {
        return None;
    }
    let number = |at: std::ops::Range<usize>| {
        text.get(at)?.iter().try_fold(0_i64, |value, digit| {
            digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0'))
        })
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    // The 29th and later need a calendar, and a leap second its rules: they are not so many.
    let plain = year >= 1970 && (1..=12).contains(&month) && (1..=28).contains(&day);
    if !plain || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (march_year, march_month) =
        if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (march_year / 400, march_year % 400);
    let of_year = (153 * march_month + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    let days = era * 146_097 + of_era - 719_468;
    let of_day = hour * 3_600_000 + minute * 60_000 + second * 1_000 + number(20..23)?;
    Some(days * DAY_MS + of_day)
}

/// How the windows of a pool are cut.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum WindowKind {
    /// Around each beat: half a period before to half a period after.
    Grid,
    /// From each multiple of the period to the next.
    Tumbling,
    /// A calendar day.
    Days,
    /// A group of files near each other.
    Gap,
    /// As someone asked: takes nothing away from the other windows.
    Range,
}

impl fmt::Display for WindowKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grid => "grid",
            Self::Tumbling => "tumbling",
            Self::Days => "days",
            Self::Gap => "gap",
            Self::Range => "range",
        })
    }
}

/// A span of effective time that belongs together: from `start` up to, not including, `end`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Window {
    /// First moment in it.
    pub start: EffectiveAt,
    /// First moment after it.
    pub end: EffectiveAt,
    /// How it was cut.
    pub kind: WindowKind,
}

impl Window {
    /// Whether `at` lies in it.
    pub fn contains(&self, at: EffectiveAt) -> bool {
        (self.start..self.end).contains(&at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{Datelike as _, SecondsFormat, Utc};

    #[test]
    fn text_and_back() {
        let at = ObservedAt::from_millis(1_795_257_000_123);
        assert_eq!(at.to_string(), "2026-11-21T10:30:00.123Z");
        assert_eq!("2026-11-21T11:30:00.123+01:00".parse(), Ok(at));
        assert_eq!("2026-11-21T10:30:00.1239Z".parse(), Ok(at), "cut to milliseconds");
        for bad in ["", "now", "2026-11-21", "1969-12-31T23:59:59Z", "2026-13-01T00:00:00Z"] {
            assert_eq!(bad.parse::<ObservedAt>(), Err(NotATime), "{bad}");
        }
    }

    /// Every day until 2107 and some of the others, each at some moment, as chrono has it.
    #[test]
    fn text_is_as_chrono_has_it() {
        for day in (0..50_000).chain((50_000..=MILLIS_MAX / DAY_MS).step_by(101)) {
            let at = LogTime::from_millis(day * DAY_MS + day * 7_919 % DAY_MS);
            let chrono = DateTime::<Utc>::from_timestamp_millis(at.millis()).unwrap();
            let text = at.to_string();
            assert_eq!(text, chrono.to_rfc3339_opts(SecondsFormat::Millis, true));
            assert_eq!(text.parse(), Ok(at));
            let own = parse_own_form(text.as_bytes());
            assert_eq!(own.is_some(), chrono.day() <= 28, "{text}");
        }
        for odd in
            ["2026-11-21T24:00:00.000Z", "2026-02-30T00:00:00.000Z", "2026-11-21T10:30:0x.000Z"]
        {
            assert_eq!(odd.parse::<LogTime>(), Err(NotATime), "{odd}");
        }
    }

    #[test]
    fn arithmetic_stays_in_range() {
        let at = LogTime::from_millis(5);
        assert_eq!(at.minus(9), LogTime::from_millis(0));
        assert_eq!(at.plus(u64::MAX), LogTime::from_millis(MILLIS_MAX));
        assert_eq!((at.since(LogTime::from_millis(2)), LogTime::from_millis(2).since(at)), (3, 0));
    }
}
