//! Uploads: one by its id, and each client's history, newest first.

use infra::row;
use infra::table::Row as _;
use infra::views::{View, Writes};
use schemas::digest::Digest;
use schemas::event::{Derived, FilePlaced, HeldReason, Placement};
use schemas::file::FileRef;
use schemas::id::{AccountId, BatchId, UpdateId, UploadId};
use schemas::name::{FileName, MediaType, ObjectKey, PoolName};
use schemas::time::{EffectiveAt, LogTime, ObservedAt, ReceivedAt, Window};

use super::{Projection, Said, Seen, Source, week_of};
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
        received_at: ReceivedAt,
        effective_at: EffectiveAt,
        window_start: EffectiveAt,
        window_end: EffectiveAt,
        window_kind: Box<str>,
        late: bool,
        batch: Option<BatchId>,
        revision: Option<u32>,
        held: Option<Box<str>>,
    }
}

row! {
    /// The weeks in which a client has a history.
    HistoryWeekRow in "client_history_week" (pool: PoolName, client: AccountId; week: i64 = Desc) {}
}

/// The projection.
pub(super) const PROJECTION: Projection = Projection {
    view: View { name: "files", version: 1 },
    source: Source::Batches,
    tables: &[UploadRow::TABLE, HistoryRow::TABLE, HistoryWeekRow::TABLE],
    fold,
};

fn fold(seen: &Seen<'_>, writes: &mut Writes) {
    let Said::Derived(Derived::FilePlaced(placed)) = seen.said else { return };
    let FileRef { upload, client, .. } = *placed.file;
    let week = week_of(seen.at.millis());
    let pool = || seen.pool.clone();
    writes.upsert(UploadRow { upload, pool: pool(), client, at: seen.at }, seen.stamp_us);
    writes.upsert(history(seen, placed, week), seen.stamp_us);
    writes.upsert(HistoryWeekRow { pool: pool(), client, week }, seen.stamp_us);
}

fn history(seen: &Seen<'_>, placed: &FilePlaced, week: i64) -> HistoryRow {
    let file = &*placed.file;
    let (window, late, batch, revision, held) = match &placed.placed {
        Placement::Window { window, batch, revision, late, .. } => {
            (window, *late, Some(*batch), Some(*revision), None)
        }
        Placement::Held { reason, window } => (window, false, None, None, Some(*reason)),
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
        received_at: file.received_at,
        effective_at: file.effective_at,
        window_start: start,
        window_end: end,
        window_kind: kind_text(kind).into(),
        late,
        batch,
        revision,
        held: held.map(|reason| held_text(reason).into()),
    }
}

const HELD: [(HeldReason, &str); 4] = [
    (HeldReason::SenderNotAContributor, "sender-not-a-contributor"),
    (HeldReason::TooLate, "too-late"),
    (HeldReason::TooFarAhead, "too-far-ahead"),
    (HeldReason::StoredLongAgo, "stored-long-ago"),
];

fn held_text(reason: HeldReason) -> &'static str {
    HELD.iter().find(|(known, _)| *known == reason).map_or("", |(_, text)| text)
}

/// The reason a row's text stands for.
pub(crate) fn held_reason(text: &str) -> Option<HeldReason> {
    HELD.iter().find(|(_, known)| *known == text).map(|(reason, _)| *reason)
}
