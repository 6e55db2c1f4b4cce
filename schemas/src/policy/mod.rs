//! A pool's rules: how its files are grouped, when a window closes, what becomes of late files.
//!
//! A [`PolicyAsk`] is what people send, all of it optional; [`PolicyAsk::resolve`] writes out every
//! default. Only the written-out [`Policy`] stands in the log, so that new defaults in a later
//! version change nothing for pools that exist.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::MediaType;
use crate::time::{EffectiveAt, Window, WindowKind};

mod ask;
mod gap;
mod inspection;
mod keeping;
mod schedule;
mod zone;

pub use ask::{Fault, PolicyAsk, WindowsAsk};
pub use gap::Gap;
pub use inspection::{CellKind, Column, Csv, Inspection, InspectionAsk, OtherColumns};
pub use keeping::{Keep, Quota};
pub use schedule::Schedule;
pub use zone::Zone;

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
    /// Calendar days of a zone, of 23 to 25 hours.
    Days {
        /// Whose days.
        zone: Zone,
    },
    /// By distance: a group goes on as long as each file is near the one before it.
    Gap(Gap),
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
    /// Bytes that close a part at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Who must have reported for a part to close at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<Quorum>,
    /// Moments at which all that is open closes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// What a window must have to close at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Minimum>,
    /// Most files in one part.
    pub part_files_max: u32,
}

/// The share of the contributors that closes a part once they have a file in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quorum {
    /// The share, in thousandths.
    pub permille: u32,
    /// Of whom.
    pub of: QuorumOf,
}

/// What a window must have to close at its end; below it is held back, and still takes files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Minimum {
    /// Files.
    pub files: u32,
    /// Clients with a file in it.
    pub clients: u32,
    /// How long after it should have closed it is held back.
    pub wait_ms: u64,
    /// What becomes of it then.
    #[serde(default, skip_serializing_if = "BelowMinimum::is_partial")]
    pub then: BelowMinimum,
}

/// What becomes of a window that has been held back for its minimum for as long as the pool says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BelowMinimum {
    /// It closes with what it has.
    #[default]
    Partial,
    /// Its files go into the next window that is open, as soon as there is one.
    Carry,
    /// It makes no batch, and its files are in none.
    Skip,
}

impl BelowMinimum {
    /// As most are: then it is not said.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    fn is_partial(&self) -> bool {
        *self == Self::Partial
    }
}

/// Whom a quorum is a share of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum QuorumOf {
    /// The contributors active of late, those that have just reported among them.
    Active,
    /// All members that are contributors.
    Expected,
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
    /// It is put into the next window that is open.
    Next,
    /// It is held until an admin releases or discards it.
    Hold,
}

/// What is done with times ahead of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Times {
    /// Ahead by no more than this: taken as it is.
    pub max_future_ms: u64,
    /// Ahead by no more than this beyond: cut back to our clock. Further ahead: quarantined.
    pub clamp_ms: u64,
    /// What is done about a client's clock that is steadily off.
    #[serde(default)]
    pub skew: SkewMode,
}

/// What is done about a client's clock that is steadily off by five minutes or more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SkewMode {
    /// Nothing: its times are taken as it says them.
    #[default]
    Keep,
    /// The skew is taken away from the times it says.
    Correct,
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
    /// How much may be held; any amount where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// How long bytes are kept; for ever where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
    /// What files are inspected for before they are grouped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inspections: Vec<Inspection>,
}

impl Windows {
    /// How groups are cut, where they are cut by distance.
    pub fn gap(&self) -> Option<Gap> {
        if let Self::Gap(gap) = self { Some(*gap) } else { None }
    }

    /// The period; of groups the longest span.
    pub fn period_ms(&self) -> u64 {
        match self {
            Self::Grid { period_ms } | Self::Tumbling { period_ms, .. } => *period_ms,
            Self::Days { .. } => 86_400_000,
            Self::Gap(gap) => gap.max_span_ms,
        }
    }

    /// The window that `at` falls into; of groups the one that a file would be alone in.
    pub fn of(&self, at: EffectiveAt) -> Window {
        let (kind, period_ms, origin_ms) = match self {
            Self::Grid { period_ms } => {
                (WindowKind::Grid, *period_ms, -(i64::try_from(period_ms / 2).unwrap_or(0)))
            }
            Self::Tumbling { period_ms, origin } => {
                (WindowKind::Tumbling, *period_ms, origin.millis())
            }
            Self::Days { zone } => {
                let (start, end) = zone.day(at.millis());
                let [start, end] = [start, end].map(EffectiveAt::from_millis);
                return Window { start, end, kind: WindowKind::Days };
            }
            Self::Gap(gap) => return gap.window(at, at),
        };
        let period = i64::try_from(period_ms).unwrap_or(i64::MAX).max(1);
        let start = at.millis() - (at.millis() - origin_ms).rem_euclid(period);
        let [start, end] = [start, start.saturating_add(period)].map(EffectiveAt::from_millis);
        Window { start, end, kind }
    }

    /// The same where these rules hold from a moment on, up to another: the first window and the
    /// last may be cut there.
    pub fn of_within(
        &self,
        at: EffectiveAt,
        (from, until): (EffectiveAt, Option<EffectiveAt>),
    ) -> Window {
        let mut window = self.of(at);
        if at >= from {
            window.start = window.start.max(from);
        } else {
            window.end = window.end.min(from);
        }
        if let Some(until) = until.filter(|until| at < *until) {
            window.end = window.end.min(until);
        }
        window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_hold_for_a_time_cut_their_windows_there() {
        let grid = Windows::Grid { period_ms: 60_000 };
        let [from, until] = [100_000, 130_000].map(EffectiveAt::from_millis);
        let of = |at| {
            let window = grid.of_within(EffectiveAt::from_millis(at), (from, Some(until)));
            (window.start.millis(), window.end.millis())
        };
        assert_eq!(of(100_000), (100_000, 130_000));
        assert_eq!(of(129_999), (100_000, 130_000));
        assert_eq!(of(99_999), (90_000, 100_000), "before them");
        assert_eq!(of(130_000), (100_000, 150_000), "after them");
    }

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
}
