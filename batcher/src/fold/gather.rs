//! Pools that group files by distance: their files gather, and a group gets its window once no
//! file may come for it in time, or a trigger asks for it. From then on the window is as any other.
//!
//! A window has all times whose files would be in its group ([`Gap::window`]), less what another
//! window, another group or another version of the policy has: windows never overlap, and no id
//! comes twice. A late file falls into the window of its time, or into a new one of its own.

use std::sync::Arc;

use schemas::event::{
    FilesGrouped, GROUPED_FILES_MAX, GroupedFile, Placement, Timer, WindowCloseAsked,
};
use schemas::file::FileRef;
use schemas::id::BatchId;
use schemas::policy::Gap;
use schemas::time::{EffectiveAt, LogTime, Window, WindowKind};

use super::emit::Emit;
use super::groups::Between;
use super::windows::{Part, count};
use super::{Pool, State};

/// Most files that gather: then the oldest group gets its window, whatever may still come. Two
/// parts that are full.
const GATHERING_MAX: usize = 20_000;

impl State {
    /// The window that files of this moment fall into, as things stand.
    pub(super) fn window_of(&self, pool: &Pool, at: EffectiveAt) -> Window {
        let Some(gap) = pool.at(at).policy.windows.gap() else { return pool.window_of(at) };
        if let Some(named) = self.named_from(at).filter(|window| window.contains(at)) {
            return named;
        }
        let between = self.between(pool, at);
        match self.groups.taking(gap, between, at) {
            Some((first, group)) => self.window_of_group(pool, gap, first, group.last.max(at)),
            None => self.window_of_group(pool, gap, at, at),
        }
    }

    fn window_of_group(
        &self,
        pool: &Pool,
        gap: Gap,
        first: EffectiveAt,
        last: EffectiveAt,
    ) -> Window {
        let (floor, ceiling) = self.between(pool, first);
        let before = self.groups.before(first).map(|(_, group)| group.last.plus(1));
        let Window { start, end, kind } = gap.window(first, last);
        let start = start.max(floor).max(before.unwrap_or_default());
        Window { start, end: ceiling.map_or(end, |ceiling| end.min(ceiling)), kind }
    }

    /// The last window with a name that begins at this moment or before.
    fn named_from(&self, at: EffectiveAt) -> Option<Window> {
        let last =
            Window { start: at, end: EffectiveAt::from_millis(i64::MAX), kind: WindowKind::Range };
        let open = self.open.range(..=last).next_back().map(|(window, _)| *window);
        let past = self.past.range(..=last).next_back().map(|(window, _)| *window);
        open.max(past)
    }

    /// The moments between which files may be in one group with one of this moment: what lies
    /// beyond is another window's, or another version's.
    fn between(&self, pool: &Pool, at: EffectiveAt) -> Between {
        let (from, until) = pool.at(at).span();
        let before = self.named_from(at).map(|window| window.end).filter(|end| *end <= at);
        let forgotten = Some(self.forgotten_until).filter(|end| *end <= at);
        let next =
            Window { start: at.plus(1), end: EffectiveAt::default(), kind: WindowKind::Grid };
        let open = self.open.range(next..).next().map(|(window, _)| window.start);
        let past = self.past.range(next..).next().map(|(window, _)| window.start);
        let ceiling = [until, open, past].into_iter().flatten().min();
        (from.max(before.max(forgotten).unwrap_or_default()), ceiling)
    }

    /// Puts a file among those that gather, grouped by `at`.
    pub(super) fn gather(
        &mut self,
        pool: &Pool,
        (at, falls_in): (EffectiveAt, Option<Window>),
        gap: Gap,
        file: &Arc<FileRef>,
        emit: &mut Emit<'_>,
    ) -> Placement {
        if self.groups.files() >= GATHERING_MAX
            && let Some((oldest, _)) = self.groups.from(EffectiveAt::default())
        {
            self.name_group(pool, oldest, emit);
            let window = self.window_of(pool, at);
            if self.open.contains_key(&window) {
                return self.add(pool, window, falls_in, file, emit);
            }
        }
        // No group that has begun ends later than that.
        let (_, until) = pool.at(at).span();
        let longest = at.plus(gap.max_span_ms).plus(1);
        let longest = until.map_or(longest, |until| longest.min(until));
        self.assigned_until = self.assigned_until.max(Some(longest));
        let between = self.between(pool, at);
        let first = self.groups.insert(gap, between, at, Arc::clone(file));
        let group = self.groups.from(first).map(|(_, group)| group);
        let window = self.window_of_group(pool, gap, first, group.map_or(at, |group| group.last));
        Placement::Gathering {
            window,
            at,
            late: falls_in.is_some(),
            falls_in,
            group_files: group.map_or(0, super::groups::Group::count),
            group_bytes: group.map_or(0, |group| group.bytes),
            group_clients: group.map_or(0, |group| count(group.clients.len())),
        }
    }

    /// A group gets its window: its files are the open part from here on.
    pub(super) fn name_group(
        &mut self,
        pool: &Pool,
        first: EffectiveAt,
        emit: &mut Emit<'_>,
    ) -> Option<Window> {
        let gap = pool.at(first).policy.windows.gap()?;
        let last = self.groups.from(first).map(|(_, group)| group.last)?;
        let window = self.window_of_group(pool, gap, first, last);
        let group = self.groups.take(first)?;
        let part = self.open_part(pool, window, emit);
        let files: Vec<Arc<FileRef>> = group.files.into_values().collect();
        part.take_over(window, None, &files, emit);
        Some(window)
    }

    /// The groups for which no file may come in time any more get their windows.
    pub(super) fn name_ended(&mut self, pool: &Pool, emit: &mut Emit<'_>) {
        loop {
            let ended = |(_, window): &(EffectiveAt, Window)| {
                self.has_ended(pool, window) && !self.is_awaited(pool, window)
            };
            let Some((first, window)) = self.oldest_groups(pool).find(ended) else { return };
            debug_assert!(window.contains(first), "a group lies in its window");
            self.name_group(pool, first, emit);
        }
    }

    /// The oldest group of each version, and the window it would get. Those after it end later.
    fn oldest_groups<'a>(
        &'a self,
        pool: &'a Pool,
    ) -> impl Iterator<Item = (EffectiveAt, Window)> + 'a {
        pool.begins().filter_map(|from| {
            let (first, group) = self.groups.from(from)?;
            let gap = pool.at(first).policy.windows.gap()?;
            Some((first, self.window_of_group(pool, gap, first, group.last)))
        })
    }

    /// Groups in which a quorum has reported get their windows, which close for that.
    pub(super) fn name_those_with_quorum(&mut self, pool: &Pool, emit: &mut Emit<'_>) {
        let reported = |(first, group): (EffectiveAt, &super::groups::Group)| {
            let quorum = pool.at(first).policy.close.quorum?;
            self.has_quorum(quorum, &group.clients).then_some(first)
        };
        let asked = pool.has_older() || pool.policy.close.quorum.is_some();
        let groups: Vec<_> = self.groups.iter().filter(|_| asked).filter_map(reported).collect();
        for first in groups {
            self.name_group(pool, first, emit);
        }
    }

    /// The groups that someone asks to close get their windows.
    pub(super) fn name_those_asked_for(
        &mut self,
        pool: &Pool,
        ask: &WindowCloseAsked,
        emit: &mut Emit<'_>,
    ) {
        let meant = ask.at.map(|at| self.window_of(pool, at));
        let asked = |first: EffectiveAt| meant.is_none_or(|window| window.contains(first));
        let groups = self.groups.iter().map(|(first, _)| first).filter(|first| asked(*first));
        for first in groups.collect::<Vec<_>>() {
            self.name_group(pool, first, emit);
        }
    }

    /// All groups of these versions get their windows.
    pub(super) fn name_those_of(
        &mut self,
        pool: &Pool,
        is_meant: impl Fn(u32) -> bool,
        emit: &mut Emit<'_>,
    ) {
        let meant = |first: &EffectiveAt| is_meant(pool.at(*first).version);
        let groups = self.groups.iter().map(|(first, _)| first).filter(meant);
        for first in groups.collect::<Vec<_>>() {
            self.name_group(pool, first, emit);
        }
    }

    /// Waits for the moment of the log's clock at which the passing of time ends a group.
    pub(super) fn arm_groups(&mut self, pool: &Pool) {
        let due = self.oldest_groups(pool).map(|(_, window)| {
            let bound = pool.bound(&window);
            let rules = &pool.rules(&window).watermark;
            let clients = self.watermark.clients_reached(bound, rules);
            if clients && !self.is_awaited(pool, &window) {
                LogTime::from_millis(bound.millis())
            } else {
                pool.longest(&window)
            }
        });
        let due = due.min();
        if due == self.group_due {
            return;
        }
        if let Some(armed) = std::mem::replace(&mut self.group_due, due) {
            self.timers.remove(&(armed, Timer::Group));
        }
        self.timers.extend(due.map(|due| (due, Timer::Group)));
    }
}

impl Part {
    /// Takes files that were elsewhere until now, and says so.
    pub(super) fn take_over(
        &mut self,
        window: Window,
        carried_from: Option<BatchId>,
        files: &[Arc<FileRef>],
        emit: &mut Emit<'_>,
    ) {
        for files in files.chunks(GROUPED_FILES_MAX) {
            for file in files {
                self.manifest.add(self.batch, Arc::clone(file), emit);
                self.clients.insert(file.client);
            }
            let grouped =
                |file: &Arc<FileRef>| GroupedFile { upload: file.upload, client: file.client };
            emit.say(FilesGrouped {
                window,
                part: self.number,
                batch: self.batch,
                carried_from,
                files: files.iter().map(grouped).collect(),
                part_files: self.manifest.files,
                part_bytes: self.manifest.bytes,
                part_clients: count(self.clients.len()),
            });
        }
    }
}
