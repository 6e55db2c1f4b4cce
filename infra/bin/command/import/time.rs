//! Times in names of files.

use std::str::FromStr;

use anyhow::{Context as _, bail};
use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use schemas::time::ObservedAt;

/// A pattern as of strftime, found anywhere in a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(String);

impl FromStr for Pattern {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let items: Vec<_> = StrftimeItems::new(text).collect();
        if items.iter().any(|item| matches!(item, Item::Error)) {
            bail!("it has a letter after % that is none of strftime's");
        }
        let is_field = |item: &Item<'_>| matches!(item, Item::Numeric(..) | Item::Fixed(_));
        if !items.iter().any(is_field) {
            bail!("there is no time in it: %Y%m%dT%H%M%S for one");
        }
        Ok(Self(text.to_owned()))
    }
}

impl Pattern {
    /// The first place in the name that the pattern fits.
    pub(super) fn find(&self, name: &str) -> anyhow::Result<ObservedAt> {
        let mut places = name.char_indices().filter_map(|(at, _)| name.get(at..));
        let millis = places.find_map(|rest| self.read(rest));
        let millis =
            millis.with_context(|| format!("there is no time as of {} in its name", self.0))?;
        if millis < 0 {
            bail!("the time in its name is before 1970");
        }
        Ok(ObservedAt::from_millis(millis))
    }

    fn read(&self, text: &str) -> Option<i64> {
        let Self(pattern) = self;
        if let Ok((time, _)) = DateTime::parse_and_remainder(text, pattern) {
            return Some(time.timestamp_millis());
        }
        if let Ok((time, _)) = NaiveDateTime::parse_and_remainder(text, pattern) {
            return Some(time.and_utc().timestamp_millis());
        }
        let (day, _) = NaiveDate::parse_and_remainder(text, pattern).ok()?;
        Some(day.and_time(NaiveTime::MIN).and_utc().timestamp_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_in_names() {
        let check = |pattern: &str, name: &str, expected: &str| {
            let found = pattern.parse::<Pattern>().unwrap().find(name);
            match expected {
                "" => assert!(found.is_err(), "{name}: {found:?}"),
                expected => assert_eq!(found.unwrap(), expected.parse().unwrap(), "{name}"),
            }
        };
        check("%Y%m%dT%H%M%S", "cam1_20261121T103000.jpg", "2026-11-21T10:30:00Z");
        check("%Y-%m-%d", "readings of 2026-11-21 (north).csv", "2026-11-21T00:00:00Z");
        check("%Y-%m-%dT%H%M%S%z", "2026-11-21T113000+0100.csv", "2026-11-21T10:30:00Z");
        check("%s", "1795257000.bin", "2026-11-21T10:30:00Z");
        check("%Y%m%dT%H%M%S", "cam1_20261321T103000.jpg", "");
        check("%Y%m%dT%H%M%S", "cam1.jpg", "");
        check("%Y-%m-%d", "1901-01-01.csv", "");
    }

    #[test]
    fn patterns_that_cannot_be_are_told() {
        for bad in ["", "plain", "%Y-%!"] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
    }
}
