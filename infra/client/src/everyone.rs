//! Calls about the audit log, and about the files of everyone.

use schemas::api::{AuditQuery, AuditView, FilesQuery, Page, UploadView};
use schemas::route;

use crate::call::Call;
use crate::client::{Client, PageAsk};
use crate::error::Result;

impl Client {
    /// The audit log, newest first: of one pool, where the query names one, else all of it.
    pub async fn audit(&self, query: &AuditQuery, page: &PageAsk) -> Result<Page<AuditView>> {
        let call = match &query.pool {
            Some(pool) => self.pool_call(route::READ_AUDIT, pool, &[]),
            None => self.call(route::AUDIT, &[]),
        };
        let call = call.query("actor", query.actor).query("act", query.act.as_ref());
        let call = call.query("object", query.object);
        let call = call.query("outcome", query.outcome.and_then(word));
        span(call, query.from, query.to).page(page).answer().await
    }

    /// The files of everyone, newest first.
    pub async fn all_files(&self, query: &FilesQuery, page: &PageAsk) -> Result<Page<UploadView>> {
        let call = self.call(route::ALL_FILES, &[]).query("user", query.user);
        let call = call.query("pool", query.pool.as_ref());
        let call = call.query("status", query.status.and_then(word));
        span(call, query.from, query.to).page(page).answer().await
    }
}

fn span<T: std::fmt::Display>(call: Call<'_>, from: Option<T>, to: Option<T>) -> Call<'_> {
    call.query("from", from).query("to", to)
}

/// A word of an enum that is one in JSON.
fn word(value: impl serde::Serialize) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(str::to_owned)
}
