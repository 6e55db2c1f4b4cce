//! Lists that come in pages, gathered up to a limit.

use client::PageAsk;
use schemas::api::Page;

use crate::session::Session;

/// Rows asked for at once.
const PAGE_ROWS: usize = 500;

impl Session {
    /// The first `limit` rows of a list; that there are more is noted.
    pub(crate) async fn pages<T>(
        &self,
        limit: usize,
        mut ask: impl AsyncFnMut(PageAsk) -> client::Result<Page<T>>,
    ) -> anyhow::Result<Vec<T>> {
        let (mut rows, mut cursor) = (Vec::new(), None);
        loop {
            let rest = limit.saturating_sub(rows.len());
            let rows_max = u32::try_from(rest.clamp(1, PAGE_ROWS)).ok();
            let page = ask(PageAsk { cursor, limit: rows_max }).await?;
            rows.extend(page.items);
            cursor = page.next_cursor;
            if rows.len() >= limit || cursor.is_none() {
                break;
            }
        }
        if rows.len() > limit || cursor.is_some() {
            rows.truncate(limit);
            self.print.note(&format!("these are the first {limit}: --limit shows more"));
        }
        if rows.is_empty() {
            self.print.note("nothing yet");
        }
        Ok(rows)
    }
}
