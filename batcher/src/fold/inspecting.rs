//! Files under inspection: where each will be put is judged when it comes, and holds until the
//! first verdict; what fails is counted, and may be retried.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use schemas::event::{
    FileAccepted, FileAttemptFailed, FileFailed, FileRejected, FileRetried, HeldReason,
    InspectionBegun, Placement, PoolState, Refusal, RetryRight, Stage, UploadAccepted,
    UploadAttemptFailed, UploadInspectionStarted, UploadRejected, UploadRetryRequested,
};
use schemas::file::FileRef;
use schemas::id::{RunId, UploadId};
use schemas::policy::LateMode;
use schemas::time::{EffectiveAt, LogTime, Window};
use serde::{Deserialize, Serialize};

use super::emit::Emit;
use super::{Pool, State};

/// Most files under inspection: what comes beyond is held for an admin. And most of those that
/// failed and may be retried: then the oldest stay as they are for ever.
const INSPECTED_MAX: usize = 10_000;
/// Attempts after which an upload has failed.
const ATTEMPTS_MAX: u32 = 3;
/// How often its sender may have an upload retried.
const RETRIES_MAX: u32 = 3;
/// Uploads that never came whose attempts are counted, and for how long.
const COUNTED_MAX: usize = 10_000;
const COUNTED_MS: u64 = 86_400_000;

/// What is remembered of files on their way to a verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Inspecting {
    by_id: BTreeMap<UploadId, Inspected>,
    /// How many files of each moment came in time: the close of their window waits for them.
    awaited: BTreeMap<EffectiveAt, u32>,
    failed: BTreeMap<UploadId, Inspected>,
    failed_by_age: VecDeque<UploadId>,
    /// Attempts at uploads whose bytes have not come.
    attempts: BTreeMap<UploadId, u32>,
    attempts_by_age: VecDeque<(LogTime, UploadId)>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Inspected {
    file: Arc<FileRef>,
    judged: Judged,
    /// The run that was announced and has not ended.
    run: Option<RunId>,
    failed: u32,
    retries: u32,
}

/// What was judged of a file when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Judged {
    /// Its window took files.
    InTime,
    /// It did not.
    Late,
    /// It is to be held, whatever the verdict.
    Held(HeldReason),
}

impl Inspecting {
    /// Whether so many are under inspection that no more can be.
    pub(super) fn is_full(&self) -> bool {
        self.by_id.len() >= INSPECTED_MAX
    }

    fn begin(&mut self, inspected: Inspected) {
        if inspected.judged == Judged::InTime {
            *self.awaited.entry(inspected.file.effective_at).or_default() += 1;
        }
        self.by_id.insert(inspected.file.upload, inspected);
    }

    fn end(&mut self, upload: UploadId) -> Option<Inspected> {
        let inspected = self.by_id.remove(&upload)?;
        if inspected.judged == Judged::InTime
            && let Some(count) = self.awaited.get_mut(&inspected.file.effective_at)
        {
            *count -= 1;
            if *count == 0 {
                self.awaited.remove(&inspected.file.effective_at);
            }
        }
        Some(inspected)
    }

    fn fail(&mut self, inspected: Inspected) {
        if self.failed_by_age.len() >= INSPECTED_MAX
            && let Some(oldest) = self.failed_by_age.pop_front()
        {
            self.failed.remove(&oldest);
        }
        let upload = inspected.file.upload;
        self.failed_by_age.push_back(upload);
        self.failed.insert(upload, inspected);
    }

    fn take_failed(&mut self, upload: UploadId) -> Option<Inspected> {
        let inspected = self.failed.remove(&upload)?;
        self.failed_by_age.retain(|other| *other != upload);
        Some(inspected)
    }

    /// One more attempt at an upload that has not come; how many there were.
    fn count(&mut self, upload: UploadId, clock: LogTime) -> u32 {
        while let Some((at, old)) = self.attempts_by_age.front().copied()
            && (clock.since(at) > COUNTED_MS || self.attempts_by_age.len() > COUNTED_MAX)
        {
            self.attempts_by_age.pop_front();
            self.attempts.remove(&old);
        }
        let count = self.attempts.entry(upload).or_default();
        if *count == 0 {
            self.attempts_by_age.push_back((clock, upload));
        }
        *count += 1;
        *count
    }
}

impl State {
    /// Puts a file that came under inspection.
    pub(super) fn inspect(
        &mut self,
        file: &Arc<FileRef>,
        window: Window,
        judged: Judged,
    ) -> Placement {
        self.assigned_until = self.assigned_until.max(Some(window.end));
        let file = Arc::clone(file);
        self.inspecting.begin(Inspected { file, judged, run: None, failed: 0, retries: 0 });
        Placement::Inspecting { window }
    }

    /// Whether a window's close waits for files that came in time for it: no longer than until it
    /// closes whoever is missing.
    pub(super) fn is_awaited(&self, pool: &Pool, window: &Window) -> bool {
        self.inspecting.awaited.range(window.start..window.end).next().is_some()
            && self.clock < pool.longest(window)
    }

    /// A run is announced. One before it that has not ended has failed: the process that ran it is
    /// gone, perhaps because of the file.
    pub(super) fn start_inspection(
        &mut self,
        start: &UploadInspectionStarted,
        emit: &mut Emit<'_>,
    ) {
        let UploadInspectionStarted { upload, run } = *start;
        let open = self.inspecting.by_id.get(&upload).map(|inspected| inspected.run);
        match open {
            None => return emit.refuse(Refusal::NotUnderInspection),
            Some(Some(open)) if open != run => {
                self.count_failed_run(upload, "the run did not end".into(), emit);
            }
            Some(_) => {}
        }
        match self.inspecting.by_id.get_mut(&upload) {
            None => emit.refuse(Refusal::NotUnderInspection),
            Some(inspected) => {
                inspected.run = Some(run);
                emit.say(InspectionBegun { upload, run });
            }
        }
    }

    /// The first verdict: the file goes where it was judged to belong when it came.
    pub(super) fn accept(&mut self, verdict: &UploadAccepted, emit: &mut Emit<'_>) {
        let Some(inspected) = self.inspecting.end(verdict.upload) else { return };
        let Some(pool) = self.pool.take() else { return };
        let Inspected { mut file, judged, .. } = inspected;
        let at = file.effective_at;
        let window = self.window_of(&pool, at);
        Arc::make_mut(&mut file).inspections.clear();
        let in_time = self.is_still_in_time(&pool, &window, judged);
        let held = self.holds_accepted(&pool, &window, judged, in_time);
        let placed = match held {
            Some(reason) => {
                self.held.remember(&file, self.clock);
                Placement::Held { reason, window }
            }
            None if in_time => self.put(&pool, window, (at, None), &file, emit),
            None => {
                let late = pool.rules(&window).late.mode;
                self.place(&pool, window, late, &file, emit)
            }
        };
        let filled = placed.window();
        emit.say(FileAccepted { file, placed });
        self.close_if_full(&pool, filled, emit);
        self.pool = Some(pool);
    }

    /// It came in time, and its window has not closed without it.
    fn is_still_in_time(&self, pool: &Pool, window: &Window, judged: Judged) -> bool {
        judged == Judged::InTime
            && !self.past.contains_key(window)
            && !pool.is_before_rules(window)
            && (self.open.contains_key(window)
                || self.groups.of(window).is_some()
                || self.clock < pool.longest(window))
    }

    fn holds_accepted(
        &self,
        pool: &Pool,
        window: &Window,
        judged: Judged,
        in_time: bool,
    ) -> Option<HeldReason> {
        let holds = pool.rules(window).late.mode == LateMode::Hold;
        match judged {
            _ if pool.life == PoolState::Archived => Some(HeldReason::PoolArchived),
            Judged::Held(reason) => Some(reason),
            Judged::InTime if in_time => None,
            Judged::InTime | Judged::Late if self.is_too_late(pool, window) => {
                Some(HeldReason::TooLate)
            }
            Judged::InTime | Judged::Late => holds.then_some(HeldReason::Late),
        }
    }

    pub(super) fn reject(&mut self, verdict: UploadRejected, emit: &mut Emit<'_>) {
        let UploadRejected { upload, rejection, .. } = verdict;
        let Some(Inspected { file, .. }) = self.inspecting.end(upload) else { return };
        let name = file.name.clone();
        emit.say(FileRejected { upload, client: file.client, name, rejection });
    }

    /// An attempt failed: an inspection's run, or one to bring the bytes. Whatever came is said to
    /// have come, however many attempts failed before.
    pub(super) fn fail_attempt(&mut self, failure: UploadAttemptFailed, emit: &mut Emit<'_>) {
        let UploadAttemptFailed { upload, client, name, stage, run, reason } = failure;
        if stage == Stage::Inspection {
            let open = self.inspecting.by_id.get(&upload).and_then(|inspected| inspected.run);
            if open.is_some() && open == run {
                self.count_failed_run(upload, reason, emit);
            }
            return;
        }
        if self.pool.is_none() || self.seen.has(upload) {
            return;
        }
        let attempts = self.inspecting.count(upload, self.clock);
        if attempts < ATTEMPTS_MAX {
            emit.say(FileAttemptFailed { upload, client, name, attempts, stage, reason });
        } else if attempts == ATTEMPTS_MAX {
            emit.say(FileFailed { upload, client, name, attempts, stage, reason });
        }
    }

    /// The open run of a file under inspection has ended without a verdict.
    fn count_failed_run(&mut self, upload: UploadId, reason: Box<str>, emit: &mut Emit<'_>) {
        let Some(inspected) = self.inspecting.by_id.get_mut(&upload) else { return };
        inspected.run = None;
        inspected.failed += 1;
        let (attempts, stage) = (inspected.failed, Stage::Inspection);
        let (client, name) = (inspected.file.client, inspected.file.name.clone());
        if attempts < ATTEMPTS_MAX {
            return emit.say(FileAttemptFailed { upload, client, name, attempts, stage, reason });
        }
        if let Some(inspected) = self.inspecting.end(upload) {
            self.inspecting.fail(inspected);
            emit.say(FileFailed { upload, client, name, attempts, stage, reason });
        }
    }

    pub(super) fn retry_upload(&mut self, ask: &UploadRetryRequested, emit: &mut Emit<'_>) {
        let UploadRetryRequested { by, upload, right } = *ask;
        if self.life() == Some(PoolState::Archived) {
            return emit.refuse(Refusal::PoolArchived);
        }
        let Some(failed) = self.inspecting.failed.get(&upload) else {
            return emit.refuse(Refusal::NotFailed);
        };
        if right == RetryRight::Sender && failed.retries >= RETRIES_MAX {
            return emit.refuse(Refusal::RetriesUsedUp);
        }
        if self.inspecting.is_full() {
            return emit.refuse(Refusal::InspectionsFull);
        }
        let Some(mut again) = self.inspecting.take_failed(upload) else { return };
        again.failed = 0;
        again.retries += u32::from(right == RetryRight::Sender);
        let file = Arc::clone(&again.file);
        self.inspecting.begin(again);
        emit.say(FileRetried { by, file });
    }
}
