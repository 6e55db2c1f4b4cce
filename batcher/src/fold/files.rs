//! Files that came: repeats, what is held, where each is put.

use std::sync::Arc;

use infra::faults::{Bug, planted};
use schemas::event::{
    FilePlaced, HeldReason, Placement, PoolState, Refusal, UpdateReceived, UploadReceived,
    UploadRefused, UploadRepeated,
};
use schemas::file::FileRef;
use schemas::id::UpdateId;
use schemas::policy::LateMode;
use schemas::role::Role;
use schemas::time::{LogTime, StoredAt, Window};

use super::emit::Emit;
use super::inspecting::Judged;
use super::seen::Known;
use super::{Pool, State};

/// An event recorded longer after its bytes were stored is held until they are checked: the
/// sweeper may have taken them for unused.
const STORED_MS_MAX: u64 = 43_200_000;

impl State {
    pub(super) fn receive(&mut self, received: UploadReceived, emit: &mut Emit<'_>) {
        let UploadReceived { file, stored_at } = received;
        let (upload, client) = (file.upload, file.client);
        let Some(pool) = self.pool.take() else { return emit.refuse(Refusal::NoPool) };
        match self.know(&file) {
            Known::Same => emit.say(UploadRepeated { upload, update: None }),
            Known::Other => emit.say(UploadRefused { upload, client, update: None }),
            Known::New => self.take(&pool, [file], None, stored_at, emit),
        }
        self.pool = Some(pool);
    }

    /// An update is one unit: all of it, or, where one of its keys was used for other content,
    /// nothing.
    pub(super) fn receive_update(&mut self, received: UpdateReceived, emit: &mut Emit<'_>) {
        let UpdateReceived { update, client, items, stored_at } = received;
        let Some(pool) = self.pool.take() else { return emit.refuse(Refusal::NoPool) };
        let clash = items.iter().find(|file| self.know(file) == Known::Other);
        let update = Some(update);
        if let Some(file) = clash {
            emit.say(UploadRefused { upload: file.upload, client, update });
        } else {
            let first = items.first().map(|file| file.upload);
            let new: Vec<_> =
                items.into_iter().filter(|file| self.know(file) == Known::New).collect();
            match first {
                Some(upload) if new.is_empty() => emit.say(UploadRepeated { upload, update }),
                _ => self.take(&pool, new, update, stored_at, emit),
            }
        }
        self.pool = Some(pool);
    }

    fn know(&self, file: &FileRef) -> Known {
        match self.seen.know(file.upload, &file.sha256) {
            Known::Same if planted(Bug::DuplicateNotDropped) => Known::New,
            known => known,
        }
    }

    /// Takes files of one client: each is judged by the watermark as it was before any of them.
    fn take(
        &mut self,
        pool: &Pool,
        files: impl IntoIterator<Item = FileRef>,
        update: Option<UpdateId>,
        stored_at: StoredAt,
        emit: &mut Emit<'_>,
    ) {
        let mut newest = None;
        for file in files {
            if !self.seen.remember(file.upload, &file.sha256, self.clock)
                && !planted(Bug::DuplicateNotDropped)
            {
                continue; // twice in one update
            }
            let window = self.window_of(pool, file.effective_at);
            let file = Arc::new(file);
            let held = self.hold(pool, &file, &window, stored_at);
            let placed = match held {
                // Whatever else is to become of it; of an archived pool nobody gets anything.
                _ if self.is_inspected(pool, &file) => {
                    let judged = self.judge(pool, &window, held);
                    self.inspect(&file, window, judged)
                }
                Some(reason) => {
                    self.held.remember(&file, self.clock);
                    Placement::Held { reason, window }
                }
                None if planted(Bug::LateDropped) && self.is_late(pool, &window) => continue,
                None => self.place(pool, window, pool.rules(&window).late.mode, &file, emit),
            };
            if held.is_none() {
                newest = newest.max(Some((file.effective_at, file.client)));
            }
            let filled = placed.window();
            let sent = self.keeping.count(pool, &file);
            emit.say(FilePlaced { file, update, placed, sent });
            self.close_if_full(pool, filled, emit);
        }
        if let Some((newest, client)) = newest {
            self.watermark.report(client, newest, self.clock);
        }
    }

    fn is_inspected(&self, pool: &Pool, file: &FileRef) -> bool {
        !file.inspections.is_empty()
            && pool.life != PoolState::Archived
            && !self.inspecting.is_full()
    }

    /// What holds for a file under inspection until its verdict.
    fn judge(&self, pool: &Pool, window: &Window, held: Option<HeldReason>) -> Judged {
        match held {
            Some(reason) => Judged::Held(reason),
            None if self.is_late(pool, window) => Judged::Late,
            None => Judged::InTime,
        }
    }

    /// Why a file cannot be grouped without an admin.
    fn hold(
        &self,
        pool: &Pool,
        file: &FileRef,
        window: &Window,
        stored_at: StoredAt,
    ) -> Option<HeldReason> {
        let stored_at = LogTime::from_millis(stored_at.millis());
        let holds = pool.rules(window).late.mode == LateMode::Hold;
        if pool.life == PoolState::Archived {
            Some(HeldReason::PoolArchived)
        } else if self.is_suspended(file.client) {
            Some(HeldReason::SenderSuspended)
        } else if !self.has_role(file.client, Role::Contributor) {
            Some(HeldReason::SenderNotAContributor)
        } else if file.quarantined {
            Some(HeldReason::TooFarAhead)
        } else if self.clock.since(stored_at) > STORED_MS_MAX {
            Some(HeldReason::StoredLongAgo)
        } else if self.is_too_late(pool, window) && self.is_late(pool, window) {
            Some(HeldReason::TooLate)
        } else if holds && self.is_late(pool, window) {
            Some(HeldReason::Late)
        } else if !file.inspections.is_empty() && self.inspecting.is_full() {
            Some(HeldReason::NotInspected)
        } else {
            None
        }
    }
}
