//! What has been kept for as long as its pool keeps it: it is shown, and its bytes are not to be
//! had.

use infra::http::Refused;
use schemas::api::Content;
use schemas::problem::Code;
use schemas::time::LogTime;

use super::Reading;
use crate::holding;
use crate::project::{HistoryRow, ResultRow};

/// Whether bytes from then can still be had.
pub(super) fn content_of(at: LogTime, erased_before: Option<LogTime>) -> Content {
    match erased_before {
        Some(before) if at < before => Content::Erased,
        _ => Content::Kept,
    }
}

impl Reading {
    pub(super) async fn is_kept_upload(&self, row: &HistoryRow) -> Result<(), Refused> {
        let erased = holding::erased(&self.tables, &row.pool).await?;
        kept(row.at, erased.inputs_before)
    }

    pub(super) async fn is_kept_result(&self, row: &ResultRow) -> Result<(), Refused> {
        let erased = holding::erased(&self.tables, &row.pool).await?;
        kept(row.at, erased.results_before)
    }
}

fn kept(at: LogTime, erased_before: Option<LogTime>) -> Result<(), Refused> {
    match content_of(at, erased_before) {
        Content::Kept => Ok(()),
        Content::Erased => Err(Code::ContentErased.into()),
    }
}
