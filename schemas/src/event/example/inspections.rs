//! Examples of files under inspection.

use std::sync::Arc;

use super::{batch, client, file, id, parsed, upload, window};
use crate::event::{
    Derived, Event, FaultCode, FileAccepted, FileAttemptFailed, FileFailed, FileFaults,
    FileRejected, FileRetried, InspectionBegun, Placement, RetryRight, RowFault, Stage,
    UploadAccepted, UploadAttemptFailed, UploadInspectionStarted, UploadRejected,
    UploadRetryRequested,
};
use crate::file::FileRef;
use crate::id::{AccountId, RunId};

fn run() -> RunId {
    RunId::from_bits(id(14))
}

fn rejection() -> FileFaults {
    FileFaults {
        inspection: parsed("readings"),
        code: FaultCode::CsvInvalid,
        rows: 120,
        count: 1,
        faults: vec![RowFault { row: 17, column: Some(2), detail: "temperature: a number".into() }],
    }
}

/// What is said of inspections and attempts.
pub(super) fn events() -> Vec<Event> {
    let (upload, run, client) = (upload(), run(), client());
    vec![
        UploadInspectionStarted { upload, run }.into(),
        UploadAccepted { upload, run }.into(),
        UploadRejected { upload, run, rejection: rejection() }.into(),
        UploadAttemptFailed {
            upload,
            client,
            name: file().name,
            stage: Stage::Inspection,
            run: Some(run),
            reason: "its bytes cannot be read".into(),
        }
        .into(),
        UploadRetryRequested { by: client, upload, right: RetryRight::Sender }.into(),
    ]
}

/// What follows.
pub(super) fn derived() -> Vec<Derived> {
    let (upload, client, name) = (upload(), client(), file().name);
    let placed = Placement::Window {
        window: window(),
        part: 1,
        batch: batch(),
        revision: 1,
        late: false,
        falls_in: None,
        part_files: 1,
        part_bytes: 5,
        part_clients: 1,
    };
    let again = FileRef { inspections: vec![parsed("readings")], ..file() };
    let (stage, reason) = (Stage::Inspection, "its bytes cannot be read");
    vec![
        InspectionBegun { upload, run: run() }.into(),
        FileAccepted { file: Arc::new(file()), placed }.into(),
        FileRejected { upload, client, name: name.clone(), rejection: rejection() }.into(),
        FileAttemptFailed {
            upload,
            client,
            name: name.clone(),
            attempts: 1,
            stage,
            reason: reason.into(),
        }
        .into(),
        FileFailed { upload, client, name, attempts: 3, stage, reason: reason.into() }.into(),
        FileRetried { by: AccountId::from_bits(id(7)), file: Arc::new(again) }.into(),
    ]
}
