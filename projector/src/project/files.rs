//! Uploads: one by its id, and each client's history, newest first.

use infra::row;
use infra::table::Row as _;
use infra::views::{View, Writes};
use schemas::digest::Digest;
use schemas::event::{Derived, FilePlaced, FilesGrouped, HeldReason, Placement};
use schemas::file::FileRef;
use schemas::id::{AccountId, BatchId, UpdateId, UploadId};
use schemas::name::{FileName, MediaType, ObjectKey, PoolName};
use schemas::time::{EffectiveAt, LogTime, ObservedAt, ReceivedAt, SentAt, Window};

use super::{Projection, Said, Seen, Source, week_of};
use crate::project::file::time_source_text;
use crate::project::inspections::INSPECTING;
use crate::project::windows::kind_text;

row! {
    /// Where an upload's row in its client's history is.
    UploadRow in "upload" (upload: UploadId) {
        pool: PoolName,
        client: AccountId,
        at: LogTime,
    }
}

row! {
    /// One upload of one client.
    HistoryRow in "client_history"
        (pool: PoolName, client: AccountId, week: i64; at: LogTime = Desc, upload: UploadId = Asc) {
        update_id: Option<UpdateId>,
        name: FileName,
        size_bytes: u64,
        sha256: Digest,
        media_type: MediaType,
        object: ObjectKey,
        observed_at: Option<ObservedAt>,
        sent_at: Option<SentAt>,
        received_at: ReceivedAt,
        effective_at: EffectiveAt,
        time_source: Box<str>,
        clamped: bool,
        window_start: EffectiveAt,
        window_end: EffectiveAt,
        window_kind: Box<str>,
        late: bool,
        batch: Option<BatchId>,
        revision: Option<u32>,
        held: Option<Box<str>>,
        event: Option<u64>,
    }
}

row! {
    /// The weeks in which a client has a history.
    HistoryWeekRow in "client_history_week" (pool: PoolName, client: AccountId; week: i64 = Desc) {}
}

row! {
    /// Where a file is that was held or inspected when it came.
    UploadMovedRow in "upload_moved" (upload: UploadId) {
        effective_at: Option<EffectiveAt>,
        window_start: Option<EffectiveAt>,
        window_end: Option<EffectiveAt>,
        window_kind: Option<Box<str>>,
        late: bool,
        batch: Option<BatchId>,
        revision: Option<u32>,
        held: Option<Box<str>>,
    }
}

row! {
    /// The batch of a file whose placement did not say so: it was gathering, or was carried over.
    UploadGroupedRow in "upload_grouped" (upload: UploadId) {
        window_start: EffectiveAt,
        window_end: EffectiveAt,
        window_kind: Box<str>,
        batch: BatchId,
    }
}

/// What a history says of a held file that was discarded.
pub(crate) const DISCARDED: &str = "discarded";

/// The projection.
pub(super) const PROJECTION: Projection = Projection {
    view: View { name: "files", version: 4 },
    source: Source::Batches,
    tables: &[
        UploadRow::TABLE,
        HistoryRow::TABLE,
        HistoryWeekRow::TABLE,
        UploadMovedRow::TABLE,
        UploadGroupedRow::TABLE,
    ],
    fold,
};

fn fold(seen: &Seen<'_>, writes: &mut Writes) {
    let placed = match seen.said {
        Said::Derived(Derived::FilePlaced(placed)) => placed,
        Said::Derived(Derived::FileReleased(released)) => {
            return writes.upsert(row_of(&released.file, &released.placed), seen.stamp_us);
        }
        Said::Derived(Derived::FileAccepted(accepted)) => {
            return writes.upsert(row_of(&accepted.file, &accepted.placed), seen.stamp_us);
        }
        Said::Derived(Derived::FileDiscarded(discarded)) => {
            return writes.upsert(moved_row(discarded.upload), seen.stamp_us);
        }
        Said::Derived(Derived::FilesGrouped(grouped)) => {
            return file_grouped(seen, grouped, writes);
        }
        _ => return,
    };
    let FileRef { upload, client, .. } = *placed.file;
    let week = week_of(seen.at.millis());
    let pool = || seen.pool.clone();
    writes.upsert(UploadRow { upload, pool: pool(), client, at: seen.at }, seen.stamp_us);
    writes.upsert(history(seen, placed, week), seen.stamp_us);
    writes.upsert(HistoryWeekRow { pool: pool(), client, week }, seen.stamp_us);
}

fn file_grouped(seen: &Seen<'_>, grouped: &FilesGrouped, writes: &mut Writes) {
    let Window { start, end, kind } = grouped.window;
    for file in &grouped.files {
        let row = UploadGroupedRow {
            upload: file.upload,
            window_start: start,
            window_end: end,
            window_kind: kind_text(kind).into(),
            batch: grouped.batch,
        };
        writes.upsert(row, seen.stamp_us);
    }
}

fn moved_row(upload: UploadId) -> UploadMovedRow {
    UploadMovedRow {
        upload,
        effective_at: None,
        window_start: None,
        window_end: None,
        window_kind: None,
        late: false,
        batch: None,
        revision: None,
        held: None,
    }
}

fn row_of(file: &FileRef, placed: &Placement) -> UploadMovedRow {
    let mut row = moved_row(file.upload);
    (row.late, row.batch, row.revision) = match placed {
        Placement::Window { batch, revision, late, .. } => (*late, Some(*batch), Some(*revision)),
        Placement::Gathering { late, .. } => (*late, None, None),
        Placement::Held { reason, .. } => {
            row.held = Some(held_text(*reason).into());
            return row;
        }
        Placement::Inspecting { .. } => return row,
    };
    let window = placed.window();
    row.effective_at = Some(file.effective_at);
    row.window_start = Some(window.start);
    row.window_end = Some(window.end);
    row.window_kind = Some(kind_text(window.kind).into());
    row
}

impl HistoryRow {
    /// As it is since an admin has decided on it, or its inspection has ended well.
    pub(crate) fn moved(mut self, row: UploadMovedRow) -> Self {
        if row.held.is_some() {
            self.held = row.held;
            return self;
        }
        let window = (row.window_start, row.window_end, row.window_kind);
        let (Some(start), Some(end), Some(kind)) = window else {
            self.held = Some(DISCARDED.into());
            return self;
        };
        self.held = None;
        self.effective_at = row.effective_at.unwrap_or(self.effective_at);
        (self.window_start, self.window_end, self.window_kind) = (start, end, kind);
        (self.late, self.batch, self.revision) = (row.late, row.batch, row.revision);
        self
    }

    /// Whether it waits for the files near it, as far as its placement says.
    pub(crate) fn gathers(&self) -> bool {
        self.held.is_none() && self.batch.is_none()
    }

    /// As it is since it has its window.
    pub(crate) fn grouped(mut self, row: UploadGroupedRow) -> Self {
        (self.window_start, self.window_end) = (row.window_start, row.window_end);
        self.window_kind = row.window_kind;
        (self.batch, self.revision) = (Some(row.batch), Some(1));
        self
    }
}

fn history(seen: &Seen<'_>, placed: &FilePlaced, week: i64) -> HistoryRow {
    let file = &*placed.file;
    let (window, late, batch, revision, held) = match &placed.placed {
        Placement::Window { window, batch, revision, late, .. } => {
            (window, *late, Some(*batch), Some(*revision), None)
        }
        Placement::Gathering { window, late, .. } => (window, *late, None, None, None),
        Placement::Inspecting { window } => (window, false, None, None, Some(INSPECTING)),
        Placement::Held { reason, window } => (window, false, None, None, Some(held_text(*reason))),
    };
    let Window { start, end, kind } = *window;
    HistoryRow {
        pool: seen.pool.clone(),
        client: file.client,
        week,
        at: seen.at,
        upload: file.upload,
        update_id: placed.update,
        name: file.name.clone(),
        size_bytes: file.size_bytes,
        sha256: file.sha256,
        media_type: file.media_type.clone(),
        object: file.object.clone(),
        observed_at: file.observed_at,
        sent_at: file.sent_at,
        received_at: file.received_at,
        effective_at: file.effective_at,
        time_source: time_source_text(file.time_source).into(),
        clamped: file.clamped,
        window_start: start,
        window_end: end,
        window_kind: kind_text(kind).into(),
        late,
        batch,
        revision,
        held: held.map(Into::into),
        event: seen.event,
    }
}

const HELD: [(HeldReason, &str); 8] = [
    (HeldReason::SenderNotAContributor, "sender-not-a-contributor"),
    (HeldReason::TooLate, "too-late"),
    (HeldReason::Late, "late"),
    (HeldReason::TooFarAhead, "too-far-ahead"),
    (HeldReason::StoredLongAgo, "stored-long-ago"),
    (HeldReason::SenderSuspended, "sender-suspended"),
    (HeldReason::PoolArchived, "pool-archived"),
    (HeldReason::NotInspected, "not-inspected"),
];

fn held_text(reason: HeldReason) -> &'static str {
    HELD.iter().find(|(known, _)| *known == reason).map_or("", |(_, text)| text)
}

/// The reason a row's text stands for.
pub(crate) fn held_reason(text: &str) -> Option<HeldReason> {
    HELD.iter().find(|(_, known)| *known == text).map(|(reason, _)| *reason)
}
