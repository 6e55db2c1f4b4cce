//! What a member hears as it happens: server-sent events, resumable from a position in the log.
//!
//! The `id` of an event is its record's offset in `.batches`. A stream opened with `Last-Event-ID`
//! first tells what was missed, read from the log, then goes on with what happens now; nothing is
//! left out between the two. A listener that is too slow is let go: it comes back with the last id
//! it heard.

mod catch_up;
mod hub;
mod say;
#[cfg(test)]
mod tests;

pub use hub::{Hub, HubParts};

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use infra::http::serve::Draining;
use infra::http::{Path, Refused};
use infra::identity::Caller;
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::role::{Role, RoleSet};
use schemas::route;
use schemas::topic::{Offset, Topic};

use crate::read::Reading;

/// Members that hear of batches that failed.
const STAFF: RoleSet = RoleSet::of(&[Role::Owner, Role::Admin, Role::Processor]);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The stream of one member.
pub(crate) async fn stream(
    State(reading): State<Reading>,
    caller: Caller,
    Path(pool): Path<PoolName>,
    draining: Draining,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let allowed = reading.access.allow(&caller, &route::NOTICES, &pool).await?;
    let located = allowed.pool.located.as_ref().ok_or(Code::NotFound)?;
    let topic = Topic::named(&located.batches);
    let last = last_event_id(&headers)?;
    let staff = allowed.roles.meets(STAFF);
    let (from, live) = reading.hub.listen(&pool, &topic, &caller, staff).await?;
    let missed = match last {
        Some(last) if last + 1 < from => {
            let hub = Arc::clone(&reading.hub);
            hub.missed(&pool, &topic, (last + 1)..from, caller.account, staff).boxed()
        }
        _ => futures_util::stream::empty().boxed(),
    };
    let hello =
        Bytes::from(format!("retry: 1000\nid: {}\n: listening\n\n", from.saturating_sub(1)));
    let hello =
        if last.is_some() { Bytes::from_static(b"retry: 1000\n: listening\n\n") } else { hello };
    let all = futures_util::stream::once(async move { Ok(hello) }).chain(missed).chain(live);
    let body = Body::from_stream(draining.end(all));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies must not gather what is to be heard at once.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<Offset>, Refused> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(|text| text.parse().ok());
    parsed.map(Some).ok_or_else(|| Refused::from(Code::InvalidRequest).detail("Last-Event-ID"))
}
