//! What a member hears as it happens: server-sent events, resumable from a position in the log.
//!
//! The `id` of an event is its record's offset in `.batches`. A stream opened with `Last-Event-ID`
//! first tells what was missed, read from the log, then goes on with what happens now; nothing is
//! left out between the two. A listener that is too slow is let go: it comes back with the last id
//! it heard.

mod catch_up;
mod hub;
#[cfg(test)]
mod hub_tests;
mod say;

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
    let next = after_last_event(&headers)?;
    let staff = allowed.roles.meets(STAFF);
    let (from, live) = reading.hub.listen(&pool, &topic, &caller, staff).await?;
    let missed = match next {
        Some(next) if next < from => {
            let hub = Arc::clone(&reading.hub);
            hub.missed(&pool, &topic, next..from, caller.account, staff).boxed()
        }
        _ => futures_util::stream::empty().boxed(),
    };
    let hello =
        Bytes::from(format!("retry: 1000\nid: {}\n: listening\n\n", from.saturating_sub(1)));
    let hello =
        if next.is_some() { Bytes::from_static(b"retry: 1000\n: listening\n\n") } else { hello };
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

fn after_last_event(headers: &HeaderMap) -> Result<Option<Offset>, Refused> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let last = value.to_str().ok().and_then(|text| text.parse::<Offset>().ok());
    let next = last.and_then(|last| last.checked_add(1));
    next.map(Some).ok_or_else(|| Refused::from(Code::InvalidRequest).detail("Last-Event-ID"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_goes_on_after_an_event_that_can_have_been() {
        let next = |value: &str| {
            let value = HeaderValue::from_str(value).unwrap();
            let headers = HeaderMap::from_iter([(LAST_EVENT_ID, value)]);
            after_last_event(&headers).map_err(|refused| refused.code())
        };
        assert_eq!(after_last_event(&HeaderMap::new()), Ok(None));
        assert_eq!(next("0"), Ok(Some(1)));
        for bad in ["", "-1", "yesterday", "18446744073709551615", "18446744073709551616"] {
            assert_eq!(next(bad), Err(Code::InvalidRequest), "{bad}");
        }
    }
}
