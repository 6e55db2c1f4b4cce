//! Notices page by page, for whoever cannot hold a stream open.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::BytesMut;
use futures_util::StreamExt as _;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue};
use infra::http::serve::Draining;
use infra::http::{Path, Query, Refused};
use infra::identity::Caller;
use schemas::api::NoticesQuery;
use schemas::name::PoolName;
use schemas::route;
use schemas::topic::Offset;

use super::event::{Event, Word};
use super::{Seat, next_record};
use crate::read::Reading;

/// Records that one page looks through: a member who hears little of a lively pool gets an empty
/// page at times, with where to go on.
const RECORDS_MAX: u64 = 10_000;
/// Notices in a page when the request names no number.
const NOTICES: usize = 100;

/// Bytes in a page, but for its last notice.
const PAGE_BYTES_MAX: usize = 1024 * 1024;

/// The notices after an id; waits for one where there is none, as long as it is asked to.
pub(crate) async fn page(
    State(reading): State<Reading>,
    caller: Caller,
    Path(pool): Path<PoolName>,
    Query(query): Query<NoticesQuery>,
    draining: Draining,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let limits = reading.access.limits();
    let most = usize::try_from(limits.page_rows_max).unwrap_or(usize::MAX).max(1);
    let limit = query.limit.unwrap_or(NOTICES).clamp(1, most);
    let wait = Duration::from_millis(query.wait_ms.unwrap_or(0).min(limits.claim_wait_ms_max));
    let seat = Seat::find(&reading, caller, &route::READ_NOTICES, pool).await?;
    let next = next_record(&headers, &query)?;
    let ear = reading.hub.listen(&seat.pool, &seat.topic, &seat.caller, seat.staff).await?;
    let mut page = Page { limit, events: Vec::new() };
    let from = next.unwrap_or(ear.from);
    let upto = ear.from.min(from.saturating_add(RECORDS_MAX));
    if from < upto {
        let (hub, member) = (Arc::clone(&reading.hub), seat.caller.account);
        let missed = hub.missed(&seat.pool, &seat.topic, from..upto, member, seat.staff);
        let mut missed = pin!(missed);
        while !page.is_full()
            && let Some(event) = missed.next().await
        {
            page.events.push(event.map_err(|error| Refused::internal(&error))?);
        }
    }
    if page.events.is_empty() && upto == ear.from && !wait.is_zero() {
        let ended = || reading.hub.has_ended(&ear.lease);
        let mut heard = pin!(draining.end(ear.heard));
        let first = async {
            loop {
                match heard.next().await? {
                    Word::Notice(event) if event.id >= from => return Some(event),
                    Word::Notice(_) | Word::Alive => {}
                }
            }
        };
        let first = tokio::time::timeout(wait, first).await.ok().flatten();
        page.events.extend(first.filter(|_| !ended()));
    }
    Ok(page.answer(from.max(upto).saturating_sub(1)))
}

/// What was found.
struct Page {
    limit: usize,
    events: Vec<Event>,
}

impl Page {
    fn is_full(&self) -> bool {
        let bytes: usize = self.events.iter().map(|event| event.json().len()).sum();
        self.events.len() >= self.limit || bytes >= PAGE_BYTES_MAX
    }

    /// The answer ([`schemas::api::NoticesPage`]): what lies before `seen` and is not in it is none
    /// of the caller's.
    fn answer(self, seen: Offset) -> Response {
        let last = self.events.last().map(|event| event.id);
        let after = if self.is_full() { last.unwrap_or(seen) } else { seen.max(last.unwrap_or(0)) };
        let mut body = BytesMut::from(&b"{\"items\":["[..]);
        for (place, event) in self.events.iter().enumerate() {
            body.extend_from_slice(if place == 0 { b"" } else { b"," });
            body.extend_from_slice(&event.json());
        }
        body.extend_from_slice(format!("],\"after\":{after}}}").as_bytes());
        let json = HeaderValue::from_static("application/json");
        ([(CONTENT_TYPE, json)], body.freeze()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::api::{Notice, NoticesPage};
    use schemas::event::PoolState;

    #[tokio::test]
    async fn the_next_page_goes_on_where_this_one_ends() {
        let check = async |ids: &[Offset], limit, seen, expected| {
            let event = |id: &Offset| {
                let notice = Notice::Pool { state: PoolState::Paused };
                Event::new(*id, "tests:1".into(), "pool", notice)
            };
            let page = Page { limit, events: ids.iter().map(event).collect() };
            let body = page.answer(seen).into_body();
            let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let page: NoticesPage = serde_json::from_slice(&bytes).unwrap();
            let told: Vec<_> = page.items.iter().filter_map(|item| item.id).collect();
            assert_eq!((told.as_slice(), page.after), (ids, expected), "{ids:?} of {limit}");
        };
        check(&[], 2, 9, 9).await;
        check(&[3], 2, 9, 9).await;
        check(&[3, 5], 2, 9, 5).await;
        check(&[12], 2, 9, 12).await;
    }
}
