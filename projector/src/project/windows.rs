//! Windows by part: what is in each, who has reported, how it closed.

use infra::row;
use infra::table::{Field as _, Row as _};
use infra::views::{View, Writes};
use schemas::event::{
    CloseReason, Closed, Derived, FilesGrouped, GroupedFile, Placement, WindowSkipped,
};
use schemas::file::FileRef;
use schemas::id::{AccountId, BatchId, UploadId};
use schemas::name::PoolName;
use schemas::time::{EffectiveAt, LogTime, Window, WindowKind};

use super::{Projection, Said, Seen, Source, week_of};

row! {
    /// A part of a window that was opened.
    PartRow in "part"
        (pool: PoolName, week: i64; window_start: EffectiveAt = Desc, number: u32 = Desc, batch: BatchId = Asc) {
        window_end: EffectiveAt,
        window_kind: Box<str>,
        closes_at: Option<EffectiveAt>,
        closes_at_latest: Option<LogTime>,
        policy_version: u32,
    }
}

row! {
    /// What is in a part, as of its last file.
    PartFilesRow in "part_files" (batch: BatchId) {
        files: u32,
        bytes: u64,
        reported: u32,
    }
}

row! {
    /// A client with a file in a part.
    PartClientRow in "part_client" (batch: BatchId; client: AccountId = Asc) {}
}

row! {
    /// A file that waits for those near it.
    GatheringRow in "gathering" (pool: PoolName; upload: UploadId = Asc) {
        at: EffectiveAt,
        client: AccountId,
        size_bytes: u64,
    }
}

row! {
    /// How a part closed.
    PartClosedRow in "part_closed" (batch: BatchId) {
        reason: Box<str>,
        missing: Box<str>,
        missing_count: u32,
    }
}

row! {
    /// A part that ended below its minimum and is no batch: whether its files were carried over.
    PartEndedRow in "part_ended" (batch: BatchId) {
        carried: bool,
    }
}

row! {
    /// A batch that was cancelled from a revision on.
    BatchCancelledRow in "batch_cancelled" (batch: BatchId) {
        revision: u32,
    }
}

row! {
    /// The weeks in which a pool has windows.
    PartWeekRow in "part_week" (pool: PoolName; week: i64 = Desc) {}
}

/// The projection.
pub(super) const PROJECTION: Projection = Projection {
    view: View { name: "windows", version: 3 },
    source: Source::Batches,
    tables: &[
        PartRow::TABLE,
        PartFilesRow::TABLE,
        PartClientRow::TABLE,
        GatheringRow::TABLE,
        PartClosedRow::TABLE,
        PartEndedRow::TABLE,
        BatchCancelledRow::TABLE,
        PartWeekRow::TABLE,
    ],
    fold,
};

fn fold(seen: &Seen<'_>, writes: &mut Writes) {
    let Said::Derived(said) = seen.said else { return };
    match said {
        Derived::WindowOpened(opened) => {
            let closes = (Some(opened.closes_at), Some(opened.closes_at_latest));
            let part = PartRow {
                policy_version: opened.policy_version,
                ..part(seen, &opened.window, opened.part, opened.batch, closes)
            };
            write(seen, part, writes);
        }
        Derived::FilePlaced(said) => file(seen, &said.file, &said.placed, writes),
        Derived::FileReleased(said) => file(seen, &said.file, &said.placed, writes),
        Derived::FilesGrouped(said) => grouped(seen, said, writes),
        Derived::WindowSkipped(WindowSkipped { batch, .. }) => {
            writes.upsert(PartEndedRow { batch: *batch, carried: false }, seen.stamp_us);
        }
        Derived::FileAccepted(said) => file(seen, &said.file, &said.placed, writes),
        Derived::BatchReady(ready) if ready.closed.reason != CloseReason::Requested => {
            closed(seen, &ready.closed, writes);
        }
        Derived::BatchCancelled(cancelled) => {
            let (batch, revision) = (cancelled.batch, cancelled.revision);
            writes.upsert(BatchCancelledRow { batch, revision }, seen.stamp_us);
        }
        _ => (),
    }
}

fn part(
    seen: &Seen<'_>,
    window: &Window,
    number: u32,
    batch: BatchId,
    (closes_at, closes_at_latest): (Option<EffectiveAt>, Option<LogTime>),
) -> PartRow {
    PartRow {
        pool: seen.pool.clone(),
        week: week_of(window.start.millis()),
        window_start: window.start,
        number,
        batch,
        window_end: window.end,
        window_kind: kind_text(window.kind).into(),
        closes_at,
        closes_at_latest,
        policy_version: 1,
    }
}

fn write(seen: &Seen<'_>, part: PartRow, writes: &mut Writes) {
    let (pool, week) = (seen.pool.clone(), part.week);
    writes.upsert(part, seen.stamp_us);
    writes.upsert(PartWeekRow { pool, week }, seen.stamp_us);
}

fn file(seen: &Seen<'_>, file: &FileRef, placed: &Placement, writes: &mut Writes) {
    let client = file.client;
    match *placed {
        Placement::Window { batch, part_files, part_bytes, part_clients, .. } => {
            let (files, bytes, reported) = (part_files, part_bytes, part_clients);
            writes.upsert(PartFilesRow { batch, files, bytes, reported }, seen.stamp_us);
            writes.upsert(PartClientRow { batch, client }, seen.stamp_us);
        }
        Placement::Gathering { at, .. } => {
            let (pool, upload, size_bytes) = (seen.pool.clone(), file.upload, file.size_bytes);
            writes.upsert(GatheringRow { pool, upload, at, client, size_bytes }, seen.stamp_us);
        }
        Placement::Inspecting { .. } | Placement::Held { .. } => {}
    }
}

fn grouped(seen: &Seen<'_>, said: &FilesGrouped, writes: &mut Writes) {
    let batch = said.batch;
    let (files, bytes, reported) = (said.part_files, said.part_bytes, said.part_clients);
    writes.upsert(PartFilesRow { batch, files, bytes, reported }, seen.stamp_us);
    if let Some(batch) = said.carried_from {
        writes.upsert(PartEndedRow { batch, carried: true }, seen.stamp_us);
    }
    for GroupedFile { upload, client } in said.files.iter().copied() {
        writes.upsert(PartClientRow { batch, client }, seen.stamp_us);
        let key = [seen.pool.clone().cell(), upload.cell()];
        writes.delete::<GatheringRow>(key, seen.stamp_us);
    }
}

fn closed(seen: &Seen<'_>, closed: &Closed, writes: &mut Writes) {
    if closed.reason == CloseReason::Late {
        // A part made of late files was never open.
        let part = PartRow {
            policy_version: closed.policy_version,
            ..part(seen, &closed.window, closed.part, closed.batch, (None, None))
        };
        write(seen, part, writes);
    }
    let missing: Vec<_> = closed.missing.iter().map(ToString::to_string).collect();
    let row = PartClosedRow {
        batch: closed.batch,
        reason: reason_text(closed.reason).into(),
        missing: missing.join(",").into(),
        missing_count: closed.missing_count,
    };
    writes.upsert(row, seen.stamp_us);
}

/// A window's kind as a row has it.
pub(crate) fn kind_text(kind: WindowKind) -> &'static str {
    match kind {
        WindowKind::Grid => "grid",
        WindowKind::Tumbling => "tumbling",
        WindowKind::Days => "days",
        WindowKind::Gap => "gap",
        WindowKind::Range => "range",
    }
}

/// The window whose parts a row has.
pub(crate) fn window(start: EffectiveAt, end: EffectiveAt, kind: &str) -> Window {
    let kind = match kind {
        "tumbling" => WindowKind::Tumbling,
        "days" => WindowKind::Days,
        "gap" => WindowKind::Gap,
        "range" => WindowKind::Range,
        _ => WindowKind::Grid,
    };
    Window { start, end, kind }
}

const REASONS: [(CloseReason, &str); 12] = [
    (CloseReason::WindowEnd, "window-end"),
    (CloseReason::MaxWait, "max-wait"),
    (CloseReason::BelowMinimum, "below-minimum"),
    (CloseReason::Count, "count"),
    (CloseReason::Bytes, "bytes"),
    (CloseReason::Quorum, "quorum"),
    (CloseReason::PartFull, "part-full"),
    (CloseReason::Schedule, "schedule"),
    (CloseReason::Asked, "asked"),
    (CloseReason::Requested, "requested"),
    (CloseReason::Late, "late"),
    (CloseReason::Archived, "archived"),
];

/// A reason as a row has it.
pub(crate) fn reason_text(reason: CloseReason) -> &'static str {
    REASONS.iter().find(|(known, _)| *known == reason).map_or("", |(_, text)| text)
}

/// The reason a row's text stands for.
pub(crate) fn close_reason(text: &str) -> Option<CloseReason> {
    REASONS.iter().find(|(_, known)| *known == text).map(|(reason, _)| *reason)
}

/// The accounts a row names.
pub(crate) fn accounts(text: &str) -> Vec<AccountId> {
    text.split(',').filter_map(|id| id.parse().ok()).collect()
}
