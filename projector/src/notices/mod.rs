//! What a member hears as it happens, resumable from a position in the log: as server-sent events,
//! over a WebSocket, or page by page.
//!
//! The `id` of a notice is its record's offset in `.batches`. Whoever names the last one it heard
//! is first told what was missed, read from the log, then what happens now; nothing is left out
//! between the two. A listener that is too slow is let go: it comes back with the last id it heard.

pub(crate) mod catch_up;
mod event;
mod hub;
#[cfg(test)]
mod hub_tests;
mod lease;
mod page;
mod say;
mod socket;

pub use hub::{Hub, HubParts};
pub(crate) use page::page;
pub(crate) use say::notice;

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use infra::http::serve::Draining;
use infra::http::socket::Upgrade;
use infra::http::{Path, Query, Refused};
use infra::identity::Caller;
use schemas::api::NoticesQuery;
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::role::{Role, RoleSet};
use schemas::route::{self, Route};
use schemas::topic::{Offset, Topic};

use crate::read::Reading;
use event::Word;
use lease::Lease;

/// Members that hear of batches that failed.
const STAFF: RoleSet = RoleSet::of(&[Role::Owner, Role::Admin, Role::Processor]);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A pool as one member hears it.
struct Seat {
    pool: PoolName,
    topic: Topic,
    caller: Caller,
    staff: bool,
}

/// What a member hears: what it missed, then what happens.
struct Hearing {
    /// Where it begins, for whoever did not say.
    after: Option<Offset>,
    lease: Arc<Lease>,
    heard: BoxStream<'static, io::Result<Word>>,
}

impl Seat {
    /// Where the caller may listen.
    async fn find(
        reading: &Reading,
        caller: Caller,
        route: &Route,
        pool: PoolName,
    ) -> Result<Self, Refused> {
        let allowed = reading.access.allow(&caller, route, &pool).await?;
        let located = allowed.pool.located.as_ref().ok_or(Code::NotFound)?;
        let topic = Topic::named(&located.batches);
        Ok(Self { pool, topic, caller, staff: allowed.roles.meets(STAFF) })
    }

    /// Listens from record `next` on, or from now.
    async fn hear(&self, reading: &Reading, next: Option<Offset>) -> Result<Hearing, Refused> {
        let ear = reading.hub.listen(&self.pool, &self.topic, &self.caller, self.staff).await?;
        let live = ear.heard.map(Ok);
        let heard = match next {
            Some(next) if next < ear.from => {
                let hub = Arc::clone(&reading.hub);
                let (member, staff) = (self.caller.account, self.staff);
                let missed = hub.missed(&self.pool, &self.topic, next..ear.from, member, staff);
                missed.map_ok(Word::Notice).chain(live).boxed()
            }
            _ => live.boxed(),
        };
        let after = next.is_none().then(|| ear.from.saturating_sub(1));
        Ok(Hearing { after, lease: ear.lease, heard })
    }
}

/// The stream of one member, as it asks for it.
pub(crate) async fn stream(
    State(reading): State<Reading>,
    caller: Caller,
    Path(pool): Path<PoolName>,
    Query(query): Query<NoticesQuery>,
    upgrade: Option<Upgrade>,
    (draining, headers): (Draining, HeaderMap),
) -> Result<Response, Refused> {
    let seat = Seat::find(&reading, caller, &route::NOTICES, pool).await?;
    let next = next_record(&headers, &query)?;
    let hearing = seat.hear(&reading, next).await?;
    Ok(match upgrade {
        Some(upgrade) => socket::answer(upgrade, &headers, reading, hearing, draining),
        None => sse(hearing, draining),
    })
}

fn sse(hearing: Hearing, draining: Draining) -> Response {
    let hello = match hearing.after {
        Some(after) => Bytes::from(format!("retry: 1000\nid: {after}\n: listening\n\n")),
        None => Bytes::from_static(b"retry: 1000\n: listening\n\n"),
    };
    let heard = hearing.heard.map_ok(|heard| match heard {
        Word::Notice(event) => event.sse(),
        Word::Alive => Bytes::from_static(b": alive\n\n"),
    });
    let all = stream::once(async move { Ok(hello) }).chain(heard);
    let mut response = Response::new(Body::from_stream(draining.end(all)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies must not gather what is to be heard at once.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// The first record to be told: that after the last one heard. A client that comes back by itself
/// sends the header, and asks what it asked first; the header is newer.
fn next_record(headers: &HeaderMap, query: &NoticesQuery) -> Result<Option<Offset>, Refused> {
    let wrong = |what: &str| Refused::from(Code::InvalidRequest).detail(what);
    let (last, what) = match headers.get(LAST_EVENT_ID) {
        Some(value) => {
            let last = value.to_str().ok().and_then(|text| text.parse::<Offset>().ok());
            (last.ok_or_else(|| wrong("Last-Event-ID"))?, "Last-Event-ID")
        }
        None => match query.after {
            Some(after) => (after, "query: after"),
            None => return Ok(None),
        },
    };
    last.checked_add(1).map(Some).ok_or_else(|| wrong(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_goes_on_after_an_event_that_can_have_been() {
        let after = |after| NoticesQuery { after, ..NoticesQuery::default() };
        let next = |value: &str| {
            let value = HeaderValue::from_str(value).unwrap();
            let headers = HeaderMap::from_iter([(LAST_EVENT_ID, value)]);
            next_record(&headers, &after(Some(7))).map_err(|refused| refused.code())
        };
        let none = HeaderMap::new();
        assert_eq!(next_record(&none, &after(None)), Ok(None));
        assert_eq!(next_record(&none, &after(Some(7))), Ok(Some(8)));
        assert!(next_record(&none, &after(Some(Offset::MAX))).is_err());
        assert_eq!(next("0"), Ok(Some(1)));
        for bad in ["", "-1", "yesterday", "18446744073709551615", "18446744073709551616"] {
            assert_eq!(next(bad), Err(Code::InvalidRequest), "{bad}");
        }
    }
}
