//! Times: milliseconds since 1970 in UTC, one type per meaning, RFC 3339 in text.
//!
//! A client's clock, our clock and the log's clock are different types, so that grouping by the
//! wrong one does not compile.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
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

/// RFC 3339 in UTC with milliseconds, written without allocating: events carry several of these.
fn write_rfc3339(millis: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match DateTime::<Utc>::from_timestamp_millis(millis) {
        Some(time) => f.pad(&time.to_rfc3339_opts(SecondsFormat::Millis, true)),
        None => Err(fmt::Error),
    }
}

fn parse_rfc3339(text: &str) -> Result<i64, NotATime> {
    let millis = DateTime::parse_from_rfc3339(text).map_err(|_| NotATime)?.timestamp_millis();
    if (0..=MILLIS_MAX).contains(&millis) { Ok(millis) } else { Err(NotATime) }
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
    /// As someone asked: takes nothing away from the other windows.
    Range,
}

impl fmt::Display for WindowKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grid => "grid",
            Self::Tumbling => "tumbling",
            Self::Days => "days",
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

    #[test]
    fn arithmetic_stays_in_range() {
        let at = LogTime::from_millis(5);
        assert_eq!(at.minus(9), LogTime::from_millis(0));
        assert_eq!(at.plus(u64::MAX), LogTime::from_millis(MILLIS_MAX));
        assert_eq!((at.since(LogTime::from_millis(2)), LogTime::from_millis(2).since(at)), (3, 0));
    }
}
