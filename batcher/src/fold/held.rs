//! Files held for an admin, who releases or discards each once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use schemas::event::{
    FileDiscarded, FileReleased, PoolState, Refusal, UploadDiscardRequested, UploadReleaseRequested,
};
use schemas::file::FileRef;
use schemas::id::UploadId;
use schemas::policy::LateMode;
use schemas::time::{EffectiveAt, LogTime};
use serde::{Deserialize, Serialize};

use super::State;
use super::emit::Emit;
use super::seen::mark_of;

/// Most held files that can still be decided on: then the oldest stay held for ever.
const HELD_MAX: usize = 100_000;

/// Uploads that are held, each with the first bytes of its content's digest. No references: a
/// release brings its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    by_id: BTreeMap<UploadId, u64>,
    by_age: VecDeque<(LogTime, UploadId)>,
}

impl Held {
    pub(super) fn remember(&mut self, file: &FileRef, clock: LogTime) {
        if self.by_age.len() >= HELD_MAX {
            self.forget_oldest();
        }
        self.by_id.insert(file.upload, mark_of(&file.sha256));
        self.by_age.push_back((clock, file.upload));
    }

    /// Those held since before this moment stay held for ever: their bytes are erased.
    pub(super) fn erase(&mut self, before: LogTime) {
        while self.by_age.front().is_some_and(|(since, _)| *since < before) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, oldest)) = self.by_age.pop_front() {
            self.by_id.remove(&oldest);
        }
    }

    fn has(&self, file: &FileRef) -> bool {
        self.by_id.get(&file.upload) == Some(&mark_of(&file.sha256))
    }

    /// Whether it was held until now.
    fn take(&mut self, upload: UploadId) -> bool {
        let held = self.by_id.remove(&upload).is_some();
        if held {
            self.by_age.retain(|(_, other)| *other != upload);
        }
        held
    }
}

impl State {
    /// Groups a held file as if it came now, by the time the admin chose. It says nothing of how
    /// far its client has got: the watermark stays where it is.
    pub(super) fn release(&mut self, ask: UploadReleaseRequested, emit: &mut Emit<'_>) {
        let UploadReleaseRequested { by, mut file, effective_at } = ask;
        let Some(pool) = self.pool.take() else { return emit.refuse(Refusal::NoPool) };
        if pool.life == PoolState::Archived {
            emit.refuse(Refusal::PoolArchived);
        } else if self.held.has(&file) {
            self.held.take(file.upload);
            let now = EffectiveAt::from_millis(self.clock.millis());
            let chosen = effective_at.unwrap_or(file.effective_at);
            file.effective_at = chosen.min(now);
            file.clamped |= chosen > now;
            file.quarantined = false;
            let file = Arc::new(file);
            let window = self.window_of(&pool, file.effective_at);
            let late = match pool.rules(&window).late.mode {
                // The batches of that time may be forgotten.
                _ if self.is_too_late(&pool, &window) => LateMode::Next,
                LateMode::Hold => LateMode::Amend,
                late => late,
            };
            let placed = self.place(&pool, window, late, &file, emit);
            let filled = placed.window();
            emit.say(FileReleased { by, file, placed });
            self.close_if_full(&pool, filled, emit);
        } else {
            emit.refuse(Refusal::NotHeld);
        }
        self.pool = Some(pool);
    }

    pub(super) fn discard(&mut self, ask: &UploadDiscardRequested, emit: &mut Emit<'_>) {
        let UploadDiscardRequested { by, upload } = *ask;
        if self.held.take(upload) {
            emit.say(FileDiscarded { by, upload });
        } else {
            emit.refuse(Refusal::NotHeld);
        }
    }
}
