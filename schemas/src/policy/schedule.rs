//! Schedules: moments by the clock of a zone, said as five fields of cron and written out.

use chrono::{DateTime, Datelike as _, Timelike as _, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Zone;
use crate::time::LogTime;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
/// Longest way to the next moment: past two leap years around a year that is none.
const AHEAD_MS: i64 = 9 * 366 * 86_400_000;

/// Moments at which all that is open closes. The fields are written out as bits, so that how cron
/// is read can never change for a pool that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Schedule {
    /// As it was said: minute, hour, day of the month, month, day of the week.
    pub cron: Box<str>,
    /// By whose clocks. A time that they skip is skipped, one that they show twice comes twice.
    pub zone: Zone,
    /// Bit n: minute n.
    pub minutes: u64,
    /// Bit n: hour n.
    pub hours: u32,
    /// Bit n: the n-th of the month.
    pub days: u32,
    /// Bit n: the n-th month.
    pub months: u32,
    /// Bit n: the n-th day from Sunday on.
    pub weekdays: u32,
    /// Whether a day of the month or a day of the week is enough: both were said.
    pub either_day: bool,
}

impl Schedule {
    /// Reads five fields of numbers, `*`, `a-b`, `/n` and lists of them; what is wrong otherwise.
    pub fn parse(cron: &str, zone: Zone) -> Result<Self, String> {
        let fields: Vec<&str> = cron.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err("five fields: minute, hour, day of the month, month, weekday".into());
        };
        let narrow = |bits: u64| u32::try_from(bits).unwrap_or(u32::MAX);
        let weekdays = narrow(field(weekday, 0, 7)?);
        let schedule = Self {
            cron: fields.join(" ").into(),
            zone,
            minutes: field(minute, 0, 59)?,
            hours: narrow(field(hour, 0, 23)?),
            days: narrow(field(day, 1, 31)?),
            months: narrow(field(month, 1, 12)?),
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        // From 2026 on: only whether there is any matters.
        match schedule.next(LogTime::from_millis(1_767_225_600_000)) {
            Some(_) => Ok(schedule),
            None => Err("no day is such a day".into()),
        }
    }

    /// The first of its moments after this one; none within nine years.
    pub fn next(&self, after: LogTime) -> Option<LogTime> {
        let after = after.millis();
        let mut at = after - after.rem_euclid(MINUTE_MS) + MINUTE_MS;
        while at - after < AHEAD_MS {
            let local = DateTime::<Utc>::from_timestamp_millis(self.zone.local_ms(at))?;
            if !self.has_day(&local) {
                at = self.zone.day(at).1;
            } else if self.hours & (1 << local.hour()) == 0 {
                let hour = at + HOUR_MS - local.timestamp_millis().rem_euclid(HOUR_MS);
                at = hour.min(self.zone.next_change(at));
            } else if self.minutes & (1 << local.minute()) == 0 {
                at += MINUTE_MS;
            } else {
                return Some(LogTime::from_millis(at));
            }
        }
        None
    }

    fn has_day(&self, local: &DateTime<Utc>) -> bool {
        let day = self.days & (1 << local.day()) != 0;
        let weekday = self.weekdays & (1 << local.weekday().num_days_from_sunday()) != 0;
        let named = if self.either_day { day || weekday } else { day && weekday };
        named && self.months & (1 << local.month()) != 0
    }
}

/// The bits of one field.
fn field(text: &str, min: u32, max: u32) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not {min} to {max}");
    let mut bits = 0;
    for item in text.split(',') {
        let (range, step) = item.split_once('/').map_or((item, None), |(r, s)| (r, Some(s)));
        let step: u32 = step.map_or(Ok(1), str::parse).map_err(|_| wrong())?;
        let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (min, max),
            Some((from, to)) => (number(from)?, number(to)?),
            None if item.contains('/') => (number(range)?, max),
            None => (number(range)?, number(range)?),
        };
        if from < min || to > max || from > to || step == 0 {
            return Err(wrong());
        }
        for value in (from..=to).step_by(step as usize) {
            bits |= 1_u64 << value;
        }
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cron: &str, zone: &str, after: &str, expected: &[&str]) {
        let schedule = Schedule::parse(cron, Zone::named(zone).unwrap()).unwrap();
        let mut at: LogTime = after.parse().unwrap();
        for expected in expected {
            at = schedule.next(at).unwrap();
            assert_eq!(at, expected.parse().unwrap(), "{cron} in {zone}");
        }
    }

    #[test]
    fn moments_by_the_clock_of_a_zone() {
        check(
            "30 2 * * *",
            "UTC",
            "2026-11-21T02:30:00Z",
            &["2026-11-22T02:30:00Z", "2026-11-23T02:30:00Z"],
        );
        check(
            "*/20 9-10 * * 1-5",
            "Europe/Berlin",
            "2026-11-20T09:30:00Z",
            &["2026-11-20T09:40:00Z", "2026-11-23T08:00:00Z", "2026-11-23T08:20:00Z"],
        );
        check("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", &["2028-02-29T00:00:00Z"]);
        check(
            "0 12 1 * 0",
            "UTC",
            "2026-11-01T00:00:00Z",
            &["2026-11-01T12:00:00Z", "2026-11-08T12:00:00Z"],
        );
        check("0 12 * * 7", "UTC", "2026-11-21T00:00:00Z", &["2026-11-22T12:00:00Z"]);
    }

    #[test]
    fn skipped_times_are_skipped_and_doubled_ones_come_twice() {
        check("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", &["2026-03-30T00:30:00Z"]);
        check(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"],
        );
    }

    #[test]
    fn what_is_no_schedule_is_told() {
        let zone = || Zone::named("UTC").unwrap();
        for bad in [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "a * * * *",
            "*/0 * * * *",
            "5-1 * * * *",
            "0 0 31 2 *",
            "* * 0 * *",
            "* * * * 8",
        ] {
            assert!(Schedule::parse(bad, zone()).is_err(), "{bad}");
        }
    }
}
