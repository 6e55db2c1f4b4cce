//! Held files, released or discarded by an admin; uploads that failed, retried.

use axum::extract;
use axum::response::Response;
use infra::http::{Json, Path, Refused};
use infra::identity::Caller;
use schemas::api::ReleaseUpload;
use schemas::event::{
    Event, RetryRight, UploadDiscardRequested, UploadReleaseRequested, UploadRetryRequested,
};
use schemas::id::UploadId;
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::route;

use super::reply::decided;
use crate::ask::Topics;
use crate::error::Error;
use crate::state::State;

pub(super) async fn release(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path((pool, upload)): Path<(PoolName, UploadId)>,
    Json(ReleaseUpload { effective_at }): Json<ReleaseUpload>,
) -> Result<Response, Refused> {
    let allowed = state.access.allow(&caller, &route::RELEASE_UPLOAD, &pool).await?;
    let topics = Topics::of(&allowed.pool)?;
    // The fold remembers which files are held, not what they are.
    let known = state.known.upload(&pool, upload).await.map_err(Error::Tables)?;
    let file = known.ok_or(Error::NotFound)?.file;
    // A file is held, for one, because it was recorded so long after its bytes were stored that
    // the sweeper may have taken them for unused; and what was kept for long enough is erased.
    if state.blobs.stat(&file.object).await?.is_none_or(|stat| stat.size_bytes != file.size_bytes) {
        return Err(Code::BytesMissing.into());
    }
    let ask = UploadReleaseRequested { by: caller.account, file, effective_at };
    decide(&state, &topics, &pool, upload, ask.into()).await
}

pub(super) async fn discard(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path((pool, upload)): Path<(PoolName, UploadId)>,
) -> Result<Response, Refused> {
    let allowed = state.access.allow(&caller, &route::DISCARD_UPLOAD, &pool).await?;
    let topics = Topics::of(&allowed.pool)?;
    let ask = UploadDiscardRequested { by: caller.account, upload };
    decide(&state, &topics, &pool, upload, ask.into()).await
}

pub(super) async fn retry(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path((pool, upload)): Path<(PoolName, UploadId)>,
) -> Result<Response, Refused> {
    let allowed = state.access.allow(&caller, &route::RETRY_UPLOAD, &pool).await?;
    let topics = Topics::of(&allowed.pool)?;
    let known = state.known.upload(&pool, upload).await.map_err(Error::Tables)?;
    if !known.is_some_and(|known| allowed.covers(known.file.client)) {
        return Err(Error::NotFound.into());
    }
    let right = if allowed.own_only { RetryRight::Sender } else { RetryRight::Admin };
    let ask = UploadRetryRequested { by: caller.account, upload, right };
    decide(&state, &topics, &pool, upload, ask.into()).await
}

async fn decide(
    state: &State,
    topics: &Topics,
    pool: &PoolName,
    upload: UploadId,
    ask: Event,
) -> Result<Response, Refused> {
    let asked = state.ask(topics, ask).await?;
    Ok(decided(pool, &asked, format!("/v1/pools/{pool}/uploads/{upload}")))
}
