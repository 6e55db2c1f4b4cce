//! Files under inspection, pool by pool, and what became of each that was.

use infra::row;
use infra::table::{Field as _, Row as _};
use infra::views::{View, Writes};
use schemas::event::{Derived, FileFaults, FileRejected, Placement, Stage};
use schemas::file::FileRef;
use schemas::id::UploadId;
use schemas::name::{InspectionName, PoolName};

use super::{Projection, Said, Seen, Source};

row! {
    /// A file that waits for a verdict.
    InspectingRow in "inspecting" (pool: PoolName; upload: UploadId = Asc) {
        inspections: Box<str>,
    }
}

row! {
    /// What is known of a file that was put under inspection.
    VerdictRow in "upload_verdict" (upload: UploadId) {
        state: Box<str>,
        attempts: u32,
        reason: Option<Box<str>>,
        rejection: Option<Box<str>>,
    }
}

/// What a history says of a file under inspection, of one that failed it, and of one that could
/// not be inspected.
pub(crate) const INSPECTING: &str = "inspecting";
pub(crate) const REJECTED: &str = "rejected";
pub(crate) const FAILED: &str = "failed";

/// The projection.
pub(super) const PROJECTION: Projection = Projection {
    view: View { name: "inspections", version: 1 },
    source: Source::Batches,
    tables: &[InspectingRow::TABLE, VerdictRow::TABLE],
    fold,
};

fn fold(seen: &Seen<'_>, writes: &mut Writes) {
    let Said::Derived(said) = seen.said else { return };
    let mut verdict = |upload, state: &str, attempts, reason: Option<&str>| {
        let (state, reason) = (state.into(), reason.map(Into::into));
        let row = VerdictRow { upload, state, attempts, reason, rejection: None };
        writes.upsert(row, seen.stamp_us);
    };
    match said {
        Derived::FilePlaced(placed) if matches!(placed.placed, Placement::Inspecting { .. }) => {
            waits(seen, &placed.file, writes);
        }
        Derived::FileRetried(retried) => {
            verdict(retried.file.upload, INSPECTING, 0, None);
            waits(seen, &retried.file, writes);
        }
        Derived::FileAttemptFailed(failed) if failed.stage == Stage::Inspection => {
            verdict(failed.upload, INSPECTING, failed.attempts, Some(&failed.reason));
        }
        Derived::FileFailed(failed) if failed.stage == Stage::Inspection => {
            verdict(failed.upload, FAILED, failed.attempts, Some(&failed.reason));
            waits_no_more(seen, failed.upload, writes);
        }
        Derived::FileRejected(FileRejected { upload, rejection, .. }) => {
            let json = serde_json::to_string(rejection).expect("names and numbers make JSON");
            let (state, rejection) = (REJECTED.into(), Some(json.into()));
            let row = VerdictRow { upload: *upload, state, attempts: 0, reason: None, rejection };
            writes.upsert(row, seen.stamp_us);
            waits_no_more(seen, *upload, writes);
        }
        Derived::FileAccepted(accepted) => waits_no_more(seen, accepted.file.upload, writes),
        _ => (),
    }
}

fn waits(seen: &Seen<'_>, file: &FileRef, writes: &mut Writes) {
    let names: Vec<_> = file.inspections.iter().map(InspectionName::as_str).collect();
    let (pool, inspections) = (seen.pool.clone(), names.join(",").into());
    writes.upsert(InspectingRow { pool, upload: file.upload, inspections }, seen.stamp_us);
}

fn waits_no_more(seen: &Seen<'_>, upload: UploadId, writes: &mut Writes) {
    let key = [seen.pool.clone().cell(), upload.cell()];
    writes.delete::<InspectingRow>(key, seen.stamp_us);
}

impl InspectingRow {
    /// What the file is inspected for.
    pub(crate) fn names(&self) -> Vec<InspectionName> {
        self.inspections.split(',').filter_map(|name| name.parse().ok()).collect()
    }
}

impl VerdictRow {
    /// What is wrong with the file.
    pub(crate) fn faults(&self) -> Option<FileFaults> {
        self.rejection.as_deref().and_then(|json| serde_json::from_str(json).ok())
    }
}
