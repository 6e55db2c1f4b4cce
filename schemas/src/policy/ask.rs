//! What people ask for, and what becomes of it: every default written out, or all that is wrong.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    BelowMinimum, Close, Files, Gap, InspectionAsk, Late, LateMode, Minimum, OnJoin, Policy,
    Quorum, QuorumOf, Schedule, SkewMode, Times, Watermark, Windows, Work, Zone,
};
use crate::limit::Limits;
use crate::name::MediaType;
use crate::time::EffectiveAt;

/// What people send: every field may be left out, or the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyAsk {
    /// How windows are cut. Default: a grid with the period of `update_every_ms`.
    pub windows: Option<WindowsAsk>,
    /// Default 300,000 (five minutes).
    pub update_every_ms: Option<u64>,
    /// 1–1000. Default 900.
    pub quantile_permille: Option<u32>,
    /// Default: a tenth of the period, at most two minutes.
    pub disorder_ms: Option<u64>,
    /// Default: three periods.
    pub activity_ms: Option<u64>,
    /// Default: a fifth of the period, at most ten minutes.
    pub grace_ms: Option<u64>,
    /// Default: the period and the grace.
    pub max_wait_ms: Option<u64>,
    /// Default: none.
    pub count: Option<u32>,
    /// Default: none.
    pub bytes: Option<u64>,
    /// 1–1000. Default: none, or 1000 where `quorum_of` is given.
    pub quorum_permille: Option<u32>,
    /// Default `expected`.
    pub quorum_of: Option<QuorumOf>,
    /// Default: none.
    pub min_files: Option<u32>,
    /// Default: none.
    pub min_clients: Option<u32>,
    /// At most half of `late_allowed_ms`. Default: a period.
    pub min_wait_ms: Option<u64>,
    /// Default `partial`.
    pub min_then: Option<BelowMinimum>,
    /// Five fields of cron. Default: none.
    pub schedule: Option<Box<str>>,
    /// A name of the IANA tz database. Default: UTC.
    pub schedule_zone: Option<Box<str>>,
    /// 1–10,000. Default 10,000.
    pub part_files_max: Option<u32>,
    /// Default `amend`.
    pub late: Option<LateMode>,
    /// At most and by default 31 days.
    pub late_allowed_ms: Option<u64>,
    /// Default 30,000.
    pub late_debounce_ms: Option<u64>,
    /// Default 60,000.
    pub max_future_ms: Option<u64>,
    /// Default 3,600,000 (one hour).
    pub clamp_ms: Option<u64>,
    /// Default `keep`.
    pub skew: Option<SkewMode>,
    /// Default and bound: the installation's `file_bytes_max`.
    pub file_bytes_max: Option<u64>,
    /// Default: all that are not forbidden everywhere.
    pub media_types: Option<Vec<MediaType>>,
    /// 1,000–86,400,000. Default 600,000 (ten minutes).
    pub lease_ms: Option<u64>,
    /// Default 15,000, at most the lease.
    pub lease_confirm_ms: Option<u64>,
    /// 1–100. Default 3.
    pub attempts_max: Option<u32>,
    /// Default `latest`.
    pub on_join: Option<OnJoin>,
    /// Default: any number.
    pub quota_bytes: Option<u64>,
    /// Default: any number.
    pub quota_files: Option<u64>,
    /// Of one member. Default: any number.
    pub member_quota_bytes: Option<u64>,
    /// Of one member. Default: any number.
    pub member_quota_files: Option<u64>,
    /// Default: for ever.
    pub keep_inputs_ms: Option<u64>,
    /// Default: for ever.
    pub keep_results_ms: Option<u64>,
    /// Default: none.
    pub inspections: Option<Vec<InspectionAsk>>,
}

/// How windows shall be cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum WindowsAsk {
    /// Around each multiple of the period.
    Grid {
        /// Default: `update_every_ms`.
        period_ms: Option<u64>,
    },
    /// From each multiple of the period to the next.
    Tumbling {
        /// Default: `update_every_ms`.
        period_ms: Option<u64>,
        /// Default: 1970-01-01T00:00:00Z.
        origin: Option<EffectiveAt>,
    },
    /// Calendar days.
    Days {
        /// A name of the IANA tz database, such as `Europe/Berlin`. Default: UTC.
        zone: Option<Box<str>>,
    },
    /// By distance.
    Gap {
        /// Most time from one file of a group to the next, at most `max_span_ms`. Must be given.
        gap_ms: Option<u64>,
        /// Most time from the first file of a group to its last. Must be given.
        max_span_ms: Option<u64>,
    },
}

/// One field that cannot be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, as a JSON Pointer (RFC 6901).
    pub pointer: &'static str,
    /// What is allowed.
    pub detail: String,
}

const DAY_MS: u64 = 86_400_000;
const LATE_ALLOWED_MS_MAX: u64 = 31 * DAY_MS;
const PART_FILES_MAX: u32 = 10_000;
const PART_BYTES_MAX: u64 = 1_000_000_000_000_000;

/// Gathers all faults of one ask, so that they are told at once.
pub(super) struct Checks(Vec<Fault>);

impl Checks {
    pub(super) fn fault(&mut self, pointer: &'static str, detail: String) {
        self.0.push(Fault { pointer, detail });
    }

    pub(super) fn within<T: PartialOrd + std::fmt::Display>(
        &mut self,
        pointer: &'static str,
        value: T,
        min: T,
        max: T,
    ) -> T {
        if value < min || value > max {
            self.0.push(Fault { pointer, detail: format!("from {min} to {max}, not {value}") });
        }
        value
    }
}

impl PolicyAsk {
    /// Every default written out, or all that is wrong.
    pub fn resolve(self, limits: &Limits) -> Result<Policy, Vec<Fault>> {
        let mut checks = Checks(Vec::new());
        let update_every_ms = self.update_every_ms.unwrap_or(300_000);
        let windows = checks.windows(self.windows.as_ref(), update_every_ms);
        let (shortest, longest) = (limits.period_ms_min, limits.period_ms_max);
        checks.within("/update_every_ms", update_every_ms, shortest, longest);
        let period = match windows {
            Windows::Gap(gap) => checks.gap(gap, (shortest, longest)),
            _ => checks.within("/windows/period_ms", windows.period_ms(), shortest, longest),
        };
        let lease_ms = checks.within("/lease_ms", self.lease_ms.unwrap_or(600_000), 1_000, DAY_MS);
        let (quota, keep) = checks.keeping(&self, limits);
        let inspections = checks.inspections(&self);
        let policy = Policy {
            windows,
            update_every_ms,
            watermark: Watermark {
                quantile_permille: checks.within(
                    "/quantile_permille",
                    self.quantile_permille.unwrap_or(900),
                    1,
                    1_000,
                ),
                disorder_ms: self.disorder_ms.unwrap_or((period / 10).min(120_000)),
                activity_ms: self.activity_ms.unwrap_or(period.saturating_mul(3)),
            },
            close: checks.close(&self, period),
            late: Late {
                mode: self.late.unwrap_or(LateMode::Amend),
                allowed_ms: self.late_allowed_ms.unwrap_or(LATE_ALLOWED_MS_MAX),
                debounce_ms: self.late_debounce_ms.unwrap_or(30_000),
            },
            times: Times {
                max_future_ms: self.max_future_ms.unwrap_or(60_000),
                clamp_ms: self.clamp_ms.unwrap_or(3_600_000),
                skew: self.skew.unwrap_or_default(),
            },
            files: Files {
                size_bytes_max: checks.within(
                    "/file_bytes_max",
                    self.file_bytes_max.unwrap_or(limits.file_bytes_max),
                    1,
                    limits.file_bytes_max,
                ),
                media_types: self.media_types.unwrap_or_default(),
            },
            work: Work {
                lease_ms,
                confirm_ms: self.lease_confirm_ms.unwrap_or(15_000).min(lease_ms),
                attempts_max: checks.within(
                    "/attempts_max",
                    self.attempts_max.unwrap_or(3),
                    1,
                    100,
                ),
            },
            on_join: self.on_join.unwrap_or(OnJoin::Latest),
            quota,
            keep,
            inspections,
        };
        checks.durations(&policy, longest);
        if checks.0.is_empty() { Ok(policy) } else { Err(checks.0) }
    }
}

impl Checks {
    fn windows(&mut self, ask: Option<&WindowsAsk>, update_every_ms: u64) -> Windows {
        match ask {
            None => Windows::Grid { period_ms: update_every_ms },
            Some(WindowsAsk::Grid { period_ms }) => {
                Windows::Grid { period_ms: period_ms.unwrap_or(update_every_ms) }
            }
            Some(WindowsAsk::Tumbling { period_ms, origin }) => Windows::Tumbling {
                period_ms: period_ms.unwrap_or(update_every_ms),
                origin: origin.unwrap_or_default(),
            },
            Some(WindowsAsk::Days { zone }) => {
                Windows::Days { zone: self.zone("/windows/zone", zone.as_deref()) }
            }
            Some(WindowsAsk::Gap { gap_ms, max_span_ms }) => Windows::Gap(Gap {
                gap_ms: self.given("/windows/gap_ms", *gap_ms),
                max_span_ms: self.given("/windows/max_span_ms", *max_span_ms),
            }),
        }
    }

    /// What has no default. What is left out is no further fault.
    fn given(&mut self, pointer: &'static str, value: Option<u64>) -> u64 {
        value.unwrap_or_else(|| {
            self.0.push(Fault { pointer, detail: "must be given where the kind is gap".into() });
            0
        })
    }

    /// Checks what was given; gives the longest span, or the nearest that may be.
    fn gap(&mut self, gap: Gap, (shortest, longest): (u64, u64)) -> u64 {
        let told = |checks: &Self, pointer| checks.0.iter().any(|fault| fault.pointer == pointer);
        if !told(self, "/windows/max_span_ms") {
            self.within("/windows/max_span_ms", gap.max_span_ms, shortest, longest);
            if !told(self, "/windows/gap_ms") {
                self.within("/windows/gap_ms", gap.gap_ms, 1, gap.max_span_ms);
            }
        }
        gap.max_span_ms.clamp(shortest, longest)
    }

    fn close(&mut self, ask: &PolicyAsk, period: u64) -> Close {
        let grace_ms = ask.grace_ms.unwrap_or((period / 5).min(600_000));
        let part_files_max = ask.part_files_max.unwrap_or(PART_FILES_MAX);
        let min_wait_ms = ask.min_wait_ms.unwrap_or(period.min(LATE_ALLOWED_MS_MAX / 2));
        let minimum = self.minimum(ask.min_files, ask.min_clients);
        Close {
            grace_ms,
            max_wait_ms: ask.max_wait_ms.unwrap_or(period.saturating_add(grace_ms)),
            count: ask.count.map(|n| self.within("/count", n, 1, PART_FILES_MAX)),
            bytes: ask.bytes.map(|n| self.within("/bytes", n, 1, PART_BYTES_MAX)),
            quorum: self.quorum(ask.quorum_permille, ask.quorum_of),
            minimum: minimum.map(|(files, clients)| Minimum {
                files,
                clients,
                wait_ms: min_wait_ms,
                then: ask.min_then.unwrap_or_default(),
            }),
            schedule: self.schedule(ask.schedule.as_deref(), ask.schedule_zone.as_deref()),
            part_files_max: self.within("/part_files_max", part_files_max, 1, PART_FILES_MAX),
        }
    }

    fn zone(&mut self, pointer: &'static str, name: Option<&str>) -> Zone {
        let name = name.unwrap_or("UTC");
        Zone::named(name).unwrap_or_else(|| {
            self.0.push(Fault { pointer, detail: format!("no time zone is called {name:?}") });
            Zone { name: name.into(), tzdb: "".into(), offsets: Vec::new() }
        })
    }

    fn schedule(&mut self, cron: Option<&str>, zone: Option<&str>) -> Option<Schedule> {
        let cron = cron?;
        let zone = self.zone("/schedule_zone", zone);
        let wrong = |detail| self.0.push(Fault { pointer: "/schedule", detail });
        Schedule::parse(cron, zone).map_err(wrong).ok()
    }

    /// Nothing where neither is asked for.
    fn minimum(&mut self, files: Option<u32>, clients: Option<u32>) -> Option<(u32, u32)> {
        let asked = files.is_some() || clients.is_some();
        let files = self.within("/min_files", files.unwrap_or(1), 1, PART_FILES_MAX);
        let clients = self.within("/min_clients", clients.unwrap_or(1), 1, PART_FILES_MAX);
        asked.then_some((files, clients))
    }

    fn quorum(&mut self, permille: Option<u32>, of: Option<QuorumOf>) -> Option<Quorum> {
        let asked = permille.is_some() || of.is_some();
        let permille = self.within("/quorum_permille", permille.unwrap_or(1_000), 1, 1_000);
        asked.then_some(Quorum { permille, of: of.unwrap_or(QuorumOf::Expected) })
    }

    fn durations(&mut self, policy: &Policy, longest: u64) {
        self.within("/disorder_ms", policy.watermark.disorder_ms, 0, longest);
        self.within("/activity_ms", policy.watermark.activity_ms, 1, longest.saturating_mul(3));
        self.within("/grace_ms", policy.close.grace_ms, 0, longest);
        self.within("/max_wait_ms", policy.close.max_wait_ms, 0, longest.saturating_mul(2));
        self.within("/late_allowed_ms", policy.late.allowed_ms, 0, LATE_ALLOWED_MS_MAX);
        if let Some(minimum) = policy.close.minimum {
            self.within("/min_wait_ms", minimum.wait_ms, 0, policy.late.allowed_ms / 2);
        }
        self.within("/late_debounce_ms", policy.late.debounce_ms, 0, DAY_MS);
        self.within("/max_future_ms", policy.times.max_future_ms, 0, DAY_MS);
        self.within("/clamp_ms", policy.times.clamp_ms, 0, DAY_MS);
        if policy.files.media_types.len() > 100 {
            let detail = "at most 100 media types".into();
            self.0.push(Fault { pointer: "/media_types", detail });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_follow_the_period() {
        let policy = PolicyAsk { update_every_ms: Some(60_000), ..PolicyAsk::default() };
        let policy = policy.resolve(&Limits::default()).unwrap();
        assert_eq!(policy.windows, Windows::Grid { period_ms: 60_000 });
        assert_eq!((policy.close.grace_ms, policy.close.max_wait_ms), (12_000, 72_000));
        assert_eq!(policy.watermark.disorder_ms, 6_000);
    }

    #[test]
    fn a_gap_and_its_longest_span_must_be_given_and_fit_each_other() {
        let check = |windows: &str, expected: &[&str]| {
            let ask = format!(r#"{{"windows":{windows}}}"#);
            let ask: PolicyAsk = serde_json::from_str(&ask).unwrap();
            let faults = ask.resolve(&Limits::default()).err().unwrap_or_default();
            let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer).collect();
            assert_eq!(pointers, expected, "{windows}");
        };
        let both = ["/windows/gap_ms", "/windows/max_span_ms"];
        check(r#"{"kind":"gap","gap_ms":30000,"max_span_ms":600000}"#, &[]);
        check(r#"{"kind":"gap"}"#, &both);
        check(r#"{"kind":"gap","gap_ms":30000}"#, &both[1..]);
        check(r#"{"kind":"gap","gap_ms":0,"max_span_ms":600000}"#, &both[..1]);
        check(r#"{"kind":"gap","gap_ms":600001,"max_span_ms":600000}"#, &both[..1]);
        check(r#"{"kind":"gap","gap_ms":1,"max_span_ms":1}"#, &both[1..]);
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let ask: PolicyAsk = serde_json::from_str(
            r#"{"windows":{"kind":"grid","period_ms":1},"count":0,"attempts_max":0}"#,
        )
        .unwrap();
        let faults = ask.resolve(&Limits::default()).unwrap_err();
        let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer).collect();
        assert_eq!(pointers, ["/windows/period_ms", "/count", "/attempts_max"]);
        assert!(serde_json::from_str::<PolicyAsk>(r#"{"windos":1}"#).is_err());
    }
}
