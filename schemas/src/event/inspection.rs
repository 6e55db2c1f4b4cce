//! Files under inspection, attempts that failed, and what became of either.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Placement;
use crate::file::FileRef;
use crate::id::{AccountId, RunId, UploadId};
use crate::name::{FileName, InspectionName};

/// Faults of a file that a report names at most.
pub const FAULTS_NAMED_MAX: usize = 100;

/// A file is about to be inspected: said before it is, so that a run which never ends is counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadInspectionStarted {
    /// The upload.
    pub upload: UploadId,
    /// The run.
    pub run: RunId,
}

/// It passed every inspection it has. Of several verdicts the first counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadAccepted {
    /// The upload.
    pub upload: UploadId,
    /// The run that found so.
    pub run: RunId,
}

/// It failed an inspection. Of several verdicts the first counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadRejected {
    /// The upload.
    pub upload: UploadId,
    /// The run that found so.
    pub run: RunId,
    /// Why.
    pub rejection: FileFaults,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileFaults {
    /// The inspection it failed.
    pub inspection: InspectionName,
    /// What kind of fault it is.
    pub code: FaultCode,
    /// Rows that were looked at, the header not counted.
    pub rows: u64,
    /// How many faults there are.
    pub count: u64,
    /// The first of them, at most 100.
    pub faults: Vec<RowFault>,
}

/// What kind of fault a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FaultCode {
    /// It is not the CSV it is to be.
    CsvInvalid,
}

/// One fault. It says what is expected, never what was found: cells may be personal data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowFault {
    /// The row, the header being row 1.
    pub row: u64,
    /// The column, counted from 1, where it is one column's fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// What is wrong.
    pub detail: Box<str>,
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Its bytes could not be stored.
    Store,
    /// Its bytes had another digest than declared.
    Digest,
    /// It could not be inspected; that says nothing of the file.
    Inspection,
}

/// An attempt at an upload failed. A connection that was cut is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadAttemptFailed {
    /// The upload.
    pub upload: UploadId,
    /// Who sent it.
    pub client: AccountId,
    /// What its client calls it.
    pub name: FileName,
    /// What failed.
    pub stage: Stage,
    /// The run, of an inspection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Why, for people.
    pub reason: Box<str>,
}

/// Somebody asks that an upload which failed be inspected again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadRetryRequested {
    /// Who.
    pub by: AccountId,
    /// The upload.
    pub upload: UploadId,
    /// In whose right.
    pub right: RetryRight,
}

/// In whose right a retry is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RetryRight {
    /// Its sender's, who may three times.
    Sender,
    /// An admin's of the pool.
    Admin,
}

/// A run may begin: the answer to `upload.inspection-started`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InspectionBegun {
    /// The upload.
    pub upload: UploadId,
    /// The run.
    pub run: RunId,
}

/// A file that was under inspection was put where it belongs: at most one such record per upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileAccepted {
    /// The file.
    pub file: Arc<FileRef>,
    /// Where it is.
    pub placed: Placement,
}

/// A file failed its inspection: it will never be grouped. Its bytes and its history stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileRejected {
    /// The upload.
    pub upload: UploadId,
    /// Who sent it.
    pub client: AccountId,
    /// What its client calls it.
    pub name: FileName,
    /// Why.
    pub rejection: FileFaults,
}

/// An attempt at an upload failed, and is counted. There will be another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileAttemptFailed {
    /// The upload.
    pub upload: UploadId,
    /// Who sent it.
    pub client: AccountId,
    /// What its client calls it.
    pub name: FileName,
    /// Attempts that failed so far.
    pub attempts: u32,
    /// What failed.
    pub stage: Stage,
    /// Why.
    pub reason: Box<str>,
}

/// The last attempt at an upload failed. One that had come waits until somebody has it retried;
/// of one that never came nothing is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileFailed {
    /// The upload.
    pub upload: UploadId,
    /// Who sent it.
    pub client: AccountId,
    /// What its client calls it.
    pub name: FileName,
    /// Attempts that failed.
    pub attempts: u32,
    /// What failed last.
    pub stage: Stage,
    /// Why.
    pub reason: Box<str>,
}

/// An upload that had failed is under inspection again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileRetried {
    /// Who had it retried.
    pub by: AccountId,
    /// The file.
    pub file: Arc<FileRef>,
}
