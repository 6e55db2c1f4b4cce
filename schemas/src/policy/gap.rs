//! Groups by distance: files belong together as long as each is near the one before it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::{EffectiveAt, Window, WindowKind};

/// How far apart the files of one group may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// Most time from one file to the next.
    pub gap_ms: u64,
    /// Most time from the first file to the last: no group goes on for ever.
    pub max_span_ms: u64,
}

impl Gap {
    /// Whether a group from `first` to `last` takes a file of `at`, which is not before `first`.
    pub fn takes(&self, first: EffectiveAt, last: EffectiveAt, at: EffectiveAt) -> bool {
        at <= last || (at.since(last) <= self.gap_ms && at.since(first) <= self.max_span_ms)
    }

    /// The window of a group: all times whose files would be in it, had they come in time. Those
    /// after its last file come first, as in the cut; its files never span more than they may.
    pub fn window(&self, first: EffectiveAt, last: EffectiveAt) -> Window {
        let newest = last.plus(self.gap_ms).min(first.plus(self.max_span_ms));
        let oldest = first.minus(self.gap_ms).max(newest.minus(self.max_span_ms));
        Window { start: oldest, end: newest.plus(1), kind: WindowKind::Gap }
    }

    /// Cuts files, given by their times in order, from the oldest on: how many are in each group.
    pub fn cut(&self, times: impl IntoIterator<Item = EffectiveAt>) -> Vec<usize> {
        let mut counts: Vec<usize> = Vec::new();
        let mut group = None;
        for at in times {
            match (group, counts.last_mut()) {
                (Some((first, last)), Some(count)) if self.takes(first, last, at) => {
                    *count += 1;
                    group = Some((first, at));
                }
                _ => {
                    counts.push(1);
                    group = Some((at, at));
                }
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Gap = Gap { gap_ms: 10, max_span_ms: 25 };

    fn at(millis: i64) -> EffectiveAt {
        EffectiveAt::from_millis(millis)
    }

    #[test]
    fn groups_end_at_a_gap_and_at_the_longest_span() {
        let check = |times: &[i64], expected: &[usize]| {
            assert_eq!(GAP.cut(times.iter().copied().map(at)), expected, "{times:?}");
        };
        check(&[], &[]);
        check(&[100, 110, 120, 121], &[4]);
        check(&[100, 111], &[1, 1]);
        check(&[100, 110, 120, 125, 126], &[4, 1]);
        check(&[100, 100, 100], &[3]);
    }

    #[test]
    fn a_window_has_all_times_that_would_be_in_its_group() {
        let window = |first, last| {
            let window = GAP.window(at(first), at(last));
            (window.start.millis(), window.end.millis())
        };
        assert_eq!(window(100, 100), (90, 111));
        assert_eq!(window(100, 112), (97, 123), "never longer than a group may be");
        assert_eq!(window(100, 124), (100, 126));
    }
}
