//! Batches of a range of time: asked for, listed from the tables, said in the log.

use std::collections::BTreeSet;

use axum::extract;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;
use infra::fresh;
use infra::http::{Json, Path, Refused};
use infra::identity::Caller;
use schemas::api::{RequestBatch, RequestedBatch};
use schemas::event::{BatchRequested, Derived, Event, RangeListed, RangeOpened};
use schemas::file::{FileRef, REFERENCES_BYTES_MAX};
use schemas::id::RequestId;
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::route;

use super::reply::{invalid, pending, position};
use crate::ask::{Asked, Topics};
use crate::error::Error;
use crate::state::State;

pub(super) async fn request(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path(pool): Path<PoolName>,
    Json(RequestBatch { request, from, to }): Json<RequestBatch>,
) -> Result<Response, Refused> {
    let allowed = state.access.allow(&caller, &route::REQUEST_BATCH, &pool).await?;
    if to <= from || to.since(from) > state.limits.period_ms_max {
        return Err(invalid("/to", "after `from`, by at most 31 days"));
    }
    let topics = Topics::of(&allowed.pool)?;
    let request = request.unwrap_or_else(|| RequestId::from_uuid(fresh::uuid(state.clock.now())));
    let ask = BatchRequested { request, by: caller.account, from, to };
    let place = format!("/v1/pools/{pool}/batches");
    let heard = match state.ask(&topics, ask).await? {
        Asked::Yes { heard, .. } => heard,
        Asked::Pending { offset } => return Ok(pending(&pool, offset, place)),
    };
    let Derived::RangeOpened(opened) = &heard.body else {
        return Err(Error::Broken("a range was answered with something else").into());
    };
    let RangeOpened { batch, window, .. } = *opened;
    let place = format!("{place}/{batch}");
    let view = |files| RequestedBatch { request, batch, window, files, repeated: opened.ready };
    if opened.ready {
        return Ok(([(LOCATION, place)], Json(view(None))).into_response());
    }
    let files_max = usize::try_from(state.limits.range_files_max).unwrap_or(usize::MAX);
    let listed = state.known.range(&pool, (from, to), opened.before, files_max).await;
    let files = listed.map_err(Error::Tables)?.ok_or(Code::PositionNotReached)?;
    if files.is_empty() {
        return Err(Code::RangeEmpty.into());
    }
    if files.len() > files_max {
        return Err(Code::RangeTooLarge.into());
    }
    let count = u32::try_from(files.len()).ok();
    match say(&state, &topics, request, opened.pages, files).await? {
        Asked::Pending { offset } => Ok(pending(&pool, offset, place)),
        Asked::Yes { offset, .. } => {
            let position = position(&pool, offset);
            let answer = (position, [(LOCATION, place)], Json(view(count)));
            Ok((StatusCode::CREATED, answer).into_response())
        }
    }
}

/// Says what the range has, but for what was said of it before; the last page is answered.
async fn say(
    state: &State,
    topics: &Topics,
    request: RequestId,
    said: u32,
    files: Vec<FileRef>,
) -> Result<Asked, Error> {
    let clients: BTreeSet<_> = files.iter().map(|file| file.client).collect();
    let clients = u32::try_from(clients.len()).unwrap_or(u32::MAX);
    let lists = paged(files);
    let pages = u32::try_from(lists.len()).unwrap_or(u32::MAX);
    let pages_of = (1..).zip(lists).skip(usize::try_from(said).unwrap_or(usize::MAX));
    let mut events: Vec<Event> = pages_of
        .map(|(page, files)| RangeListed { request, page, pages, clients, files }.into())
        .collect();
    let last = events.pop().ok_or(Error::Unanswered)?;
    if !events.is_empty() {
        let draft = |event: &Event| state.draft(event, event.subject());
        state.log.append(&topics.events, events.iter().map(draft).collect()).await?;
    }
    state.ask(topics, last).await
}

/// Cuts a list into pages that fit a record.
fn paged(files: Vec<FileRef>) -> Vec<Vec<FileRef>> {
    let (mut pages, mut page, mut bytes) = (Vec::new(), Vec::new(), 0);
    for file in files {
        let room = file.json_bytes_max();
        if bytes + room > REFERENCES_BYTES_MAX {
            pages.push(std::mem::take(&mut page));
            bytes = 0;
        }
        bytes += room;
        page.push(file);
    }
    pages.push(page);
    pages
}
