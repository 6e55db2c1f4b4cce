//! Groups of files that are near each other, kept as they would be cut now.
//!
//! At any time they are what sorting all their files and cutting from the oldest on would give
//! ([`Gap::cut`]). A file that comes changes little: it joins a group, or begins one, and from
//! there on what it has brought nearer to each other is cut anew.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use schemas::file::FileRef;
use schemas::id::{AccountId, UploadId};
use schemas::policy::Gap;
use schemas::time::{EffectiveAt, Window};
use serde::{Deserialize, Serialize};

use super::windows::Clients;

/// The moments between which files may be in one group: from the first, up to the second.
pub(super) type Between = (EffectiveAt, Option<EffectiveAt>);

/// Where a file stands among those of its group: the time it is grouped by, client, upload.
type Place = (EffectiveAt, AccountId, UploadId);

/// Files that gather.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Groups {
    /// By the time of the first file of each.
    by_first: BTreeMap<EffectiveAt, Group>,
    files: usize,
}

/// Files near each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) last: EffectiveAt,
    pub(super) files: BTreeMap<Place, Arc<FileRef>>,
    pub(super) bytes: u64,
    pub(super) clients: Clients,
}

impl Group {
    /// How many files it has.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.files.len()).unwrap_or(u32::MAX)
    }

    fn add(&mut self, at: EffectiveAt, file: Arc<FileRef>) {
        self.last = self.last.max(at);
        self.bytes = self.bytes.saturating_add(file.size_bytes);
        self.clients.insert(file.client);
        self.files.insert((at, file.client, file.upload), file);
    }

    /// Takes the files of a later group up to `newest`; gives what is left of it.
    fn absorb(&mut self, mut other: Self, newest: EffectiveAt) -> Option<(EffectiveAt, Self)> {
        let mut rest = Self::default();
        if other.last > newest {
            let (nobody, nothing) = (AccountId::from_bits(0), UploadId::from_bits(0));
            let left = other.files.split_off(&(newest.plus(1), nobody, nothing));
            for ((at, ..), file) in left {
                rest.add(at, file);
            }
        } else if other.files.len() > self.files.len() {
            // The fewer join the more, whichever came first.
            std::mem::swap(self, &mut other);
        }
        for ((at, ..), file) in other.files {
            self.add(at, file);
        }
        let first = rest.files.first_key_value().map(|((at, ..), _)| *at)?;
        Some((first, rest))
    }
}

impl Groups {
    /// Files in all of them.
    pub(super) fn files(&self) -> usize {
        self.files
    }

    /// The first group that begins at this moment or later.
    pub(super) fn from(&self, at: EffectiveAt) -> Option<(EffectiveAt, &Group)> {
        self.by_first.range(at..).next().map(|(first, group)| (*first, group))
    }

    /// The last group that begins before this moment.
    pub(super) fn before(&self, at: EffectiveAt) -> Option<(EffectiveAt, &Group)> {
        self.by_first.range(..at).next_back().map(|(first, group)| (*first, group))
    }

    /// All groups, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (EffectiveAt, &Group)> {
        self.by_first.iter().map(|(first, group)| (*first, group))
    }

    /// The group whose window this is: the first that begins in it.
    pub(super) fn of(&self, window: &Window) -> Option<(EffectiveAt, &Group)> {
        self.from(window.start).filter(|(first, _)| *first < window.end)
    }

    /// The group that a file of this time would join, if one does.
    pub(super) fn taking(
        &self,
        gap: Gap,
        (floor, _): Between,
        at: EffectiveAt,
    ) -> Option<(EffectiveAt, &Group)> {
        let (first, group) = self.by_first.range(floor..=at).next_back()?;
        gap.takes(*first, group.last, at).then_some((*first, group))
    }

    /// Takes a file in, grouped by `at`; gives the first moment of the group it is in.
    pub(super) fn insert(
        &mut self,
        gap: Gap,
        between: Between,
        at: EffectiveAt,
        file: Arc<FileRef>,
    ) -> EffectiveAt {
        let first = self.taking(gap, between, at).map_or(at, |(first, _)| first);
        self.by_first.entry(first).or_default().add(at, file);
        self.files += 1;
        self.cut_from(gap, between, first);
        first
    }

    /// Cuts anew from a group on, until a cut stands where it stood.
    fn cut_from(&mut self, gap: Gap, (_, ceiling): Between, mut first: EffectiveAt) {
        while let Some(last) = self.by_first.get(&first).map(|group| group.last)
            && let Some(next) = self.next(first).filter(|next| gap.takes(first, last, *next))
            && ceiling.is_none_or(|ceiling| next < ceiling)
            && let Some(other) = self.by_first.remove(&next)
        {
            let newest = first.plus(gap.max_span_ms);
            let group = self.by_first.entry(first).or_default();
            if let Some((begins, rest)) = group.absorb(other, newest) {
                self.by_first.insert(begins, rest);
                first = begins;
            }
        }
    }

    fn next(&self, first: EffectiveAt) -> Option<EffectiveAt> {
        let after = (Bound::Excluded(first), Bound::Unbounded);
        self.by_first.range(after).next().map(|(next, _)| *next)
    }

    /// Takes a group out.
    pub(super) fn take(&mut self, first: EffectiveAt) -> Option<Group> {
        let group = self.by_first.remove(&first)?;
        self.files -= group.files.len();
        Some(group)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{BASE, file};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the order, the groups are those of cutting all files sorted by time.
        #[test]
        fn groups_are_as_if_all_were_sorted_and_cut(
            times in prop::collection::vec(0..300_i64, 1..80),
            gap_ms in 1..20_u64,
            more_ms in 0..40_u64,
        ) {
            let gap = Gap { gap_ms, max_span_ms: gap_ms + more_ms };
            let between = (EffectiveAt::default(), None);
            let mut groups = Groups::default();
            for (upload, at) in (1..).zip(&times) {
                let file = Arc::new(file(upload, upload % 3, *at));
                let first = groups.insert(gap, between, file.effective_at, Arc::clone(&file));
                let (own, group) = groups.taking(gap, between, file.effective_at).unwrap();
                prop_assert_eq!(own, first);
                prop_assert!(group.files.values().any(|other| other.upload == file.upload));
            }
            let mut sorted: Vec<_> = times.iter().map(|at| EffectiveAt::from_millis(BASE + at)).collect();
            sorted.sort_unstable();
            let told: Vec<usize> = groups.iter().map(|(_, group)| group.files.len()).collect();
            prop_assert_eq!(told, gap.cut(sorted));
            prop_assert_eq!(groups.files(), times.len());
            for (first, group) in groups.iter() {
                let times = || group.files.keys().map(|(at, ..)| *at);
                prop_assert_eq!((Some(first), Some(group.last)), (times().min(), times().max()));
                prop_assert_eq!(group.bytes, 10 * group.files.len() as u64);
                let clients: Clients = group.files.values().map(|file| file.client).collect();
                prop_assert_eq!(&group.clients, &clients);
            }
        }
    }
}
