//! A pool's rules: how its files are grouped, when a window closes, what becomes of late files.
//!
//! A [`PolicyAsk`] is what people send, all of it optional; [`PolicyAsk::resolve`] writes out every
//! default. Only the written-out [`Policy`] stands in the log, so that new defaults in a later
//! version change nothing for pools that exist.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limit::Limits;
use crate::name::MediaType;
use crate::time::{EffectiveAt, Window, WindowKind};

/// How effective time is cut into windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Windows {
    /// Around each multiple of the period, so that t and t' near one beat meet.
    Grid {
        /// Milliseconds from beat to beat.
        period_ms: u64,
    },
    /// From each multiple of the period, counted from `origin`, to the next.
    Tumbling {
        /// Milliseconds from start to start.
        period_ms: u64,
        /// A moment at which a window starts.
        origin: EffectiveAt,
    },
}

/// How far event time has got, judged from the clients (docs/architecture.md, "Watermark").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Watermark {
    /// Share of the active contributors that must have reached a time, in thousandths.
    pub quantile_permille: u32,
    /// How far out of order one client's files may come.
    pub disorder_ms: u64,
    /// A contributor counts as active this long after its last file.
    pub activity_ms: u64,
}

/// When a window closes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Close {
    /// Time after a window's end that its files may still come.
    pub grace_ms: u64,
    /// Longest the watermark stays behind the log's clock, whoever is missing.
    pub max_wait_ms: u64,
    /// Files that close a part at once; the next files are the window's next part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Most files in one part.
    pub part_files_max: u32,
}

/// What becomes of a file whose window has closed. Never dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Late {
    /// The rule.
    pub mode: LateMode,
    /// Files older than this are held for an admin.
    pub allowed_ms: u64,
    /// How long late files are gathered before the batch is amended.
    pub debounce_ms: u64,
}

/// The rule for late files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LateMode {
    /// The batch gets one more revision.
    Amend,
}

/// What is done with times ahead of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Times {
    /// Ahead by no more than this: taken as it is.
    pub max_future_ms: u64,
    /// Ahead by no more than this beyond: cut back to our clock. Further ahead: quarantined.
    pub clamp_ms: u64,
}

/// Which files are taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Files {
    /// Largest file.
    pub size_bytes_max: u64,
    /// Media types taken; empty: all that are not forbidden everywhere.
    #[serde(default)]
    pub media_types: Vec<MediaType>,
}

/// How batches are worked on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Work {
    /// Life of a lease without renewal.
    pub lease_ms: u64,
    /// A lease not renewed once within this goes back and does not count as an attempt.
    pub confirm_ms: u64,
    /// Attempts before the batch is given up until an admin retries it.
    pub attempts_max: u32,
}

/// What a member gets on joining.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnJoin {
    /// Only results published later.
    None,
    /// The latest one as well.
    Latest,
    /// All there are.
    All,
}

/// A pool's rules, every default written out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Policy {
    /// How windows are cut.
    pub windows: Windows,
    /// How often members are asked to send; a wish, not a window.
    pub update_every_ms: u64,
    /// How far event time has got.
    pub watermark: Watermark,
    /// When a window closes.
    pub close: Close,
    /// Late files.
    pub late: Late,
    /// Clocks that differ.
    pub times: Times,
    /// Files taken.
    pub files: Files,
    /// Work on batches.
    pub work: Work,
    /// What a new member gets.
    pub on_join: OnJoin,
}

impl Windows {
    /// The period.
    pub fn period_ms(&self) -> u64 {
        match self {
            Self::Grid { period_ms } | Self::Tumbling { period_ms, .. } => *period_ms,
        }
    }

    /// The window that `at` falls into.
    pub fn of(&self, at: EffectiveAt) -> Window {
        let (kind, period_ms, origin_ms) = match self {
            Self::Grid { period_ms } => {
                (WindowKind::Grid, *period_ms, -(i64::try_from(period_ms / 2).unwrap_or(0)))
            }
            Self::Tumbling { period_ms, origin } => {
                (WindowKind::Tumbling, *period_ms, origin.millis())
            }
        };
        let period = i64::try_from(period_ms).unwrap_or(i64::MAX).max(1);
        let start = at.millis() - (at.millis() - origin_ms).rem_euclid(period);
        let [start, end] = [start, start.saturating_add(period)].map(EffectiveAt::from_millis);
        Window { start, end, kind }
    }
}

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

/// Gathers all faults of one ask, so that they are told at once.
struct Checks(Vec<Fault>);

impl Checks {
    fn within<T: PartialOrd + std::fmt::Display>(
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
        let windows = match self.windows {
            None => Windows::Grid { period_ms: update_every_ms },
            Some(WindowsAsk::Grid { period_ms }) => {
                Windows::Grid { period_ms: period_ms.unwrap_or(update_every_ms) }
            }
            Some(WindowsAsk::Tumbling { period_ms, origin }) => Windows::Tumbling {
                period_ms: period_ms.unwrap_or(update_every_ms),
                origin: origin.unwrap_or_default(),
            },
        };
        let (shortest, longest) = (limits.period_ms_min, limits.period_ms_max);
        checks.within("/update_every_ms", update_every_ms, shortest, longest);
        let period = checks.within("/windows/period_ms", windows.period_ms(), shortest, longest);
        let grace_ms = self.grace_ms.unwrap_or((period / 5).min(600_000));
        let lease_ms = checks.within("/lease_ms", self.lease_ms.unwrap_or(600_000), 1_000, DAY_MS);
        let part_files_max = self.part_files_max.unwrap_or(PART_FILES_MAX);
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
            close: Close {
                grace_ms,
                max_wait_ms: self.max_wait_ms.unwrap_or(period.saturating_add(grace_ms)),
                count: self.count.map(|n| checks.within("/count", n, 1, PART_FILES_MAX)),
                part_files_max: checks.within("/part_files_max", part_files_max, 1, PART_FILES_MAX),
            },
            late: Late {
                mode: self.late.unwrap_or(LateMode::Amend),
                allowed_ms: self.late_allowed_ms.unwrap_or(LATE_ALLOWED_MS_MAX),
                debounce_ms: self.late_debounce_ms.unwrap_or(30_000),
            },
            times: Times {
                max_future_ms: self.max_future_ms.unwrap_or(60_000),
                clamp_ms: self.clamp_ms.unwrap_or(3_600_000),
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
        };
        checks.durations(&policy, longest);
        if checks.0.is_empty() { Ok(policy) } else { Err(checks.0) }
    }
}

impl Checks {
    fn durations(&mut self, policy: &Policy, longest: u64) {
        self.within("/disorder_ms", policy.watermark.disorder_ms, 0, longest);
        self.within("/activity_ms", policy.watermark.activity_ms, 1, longest.saturating_mul(3));
        self.within("/grace_ms", policy.close.grace_ms, 0, longest);
        self.within("/max_wait_ms", policy.close.max_wait_ms, 0, longest.saturating_mul(2));
        self.within("/late_allowed_ms", policy.late.allowed_ms, 0, LATE_ALLOWED_MS_MAX);
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

    fn window_of(windows: &Windows, at: i64) -> (i64, i64) {
        let window = windows.of(EffectiveAt::from_millis(at));
        assert!(window.contains(EffectiveAt::from_millis(at)));
        (window.start.millis(), window.end.millis())
    }

    #[test]
    fn grid_windows_lie_around_their_beat() {
        let grid = Windows::Grid { period_ms: 60_000 };
        assert_eq!(window_of(&grid, 1_000_000_029_999), (999_999_990_000, 1_000_000_050_000));
        assert_eq!(window_of(&grid, 120_000), (90_000, 150_000));
        assert_eq!(window_of(&grid, 90_000), (90_000, 150_000));
        assert_eq!(window_of(&grid, 89_999), (30_000, 90_000));
        assert_eq!(window_of(&grid, 0), (0, 30_000), "cut at 1970");
    }

    #[test]
    fn tumbling_windows_start_at_their_origin() {
        let origin = EffectiveAt::from_millis(1_000_000);
        let tumbling = Windows::Tumbling { period_ms: 60_000, origin };
        assert_eq!(window_of(&tumbling, 1_000_000), (1_000_000, 1_060_000));
        assert_eq!(window_of(&tumbling, 999_999), (940_000, 1_000_000));
    }

    #[test]
    fn defaults_follow_the_period() {
        let policy = PolicyAsk { update_every_ms: Some(60_000), ..PolicyAsk::default() };
        let policy = policy.resolve(&Limits::default()).unwrap();
        assert_eq!(policy.windows, Windows::Grid { period_ms: 60_000 });
        assert_eq!((policy.close.grace_ms, policy.close.max_wait_ms), (12_000, 72_000));
        assert_eq!(policy.watermark.disorder_ms, 6_000);
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
