//! Results: the one file computed from a revision, streamed in like an upload, then offered.
//!
//! Whether it counts, the fold says. What it refuses is removed; so is a repeat, since the result
//! that stands has the same bytes.

use axum::body::Body;
use infra::fresh;
use schemas::api::ResultReceipt;
use schemas::digest::Digest;
use schemas::event::{Derived, ResultOffered, ResultPublished};
use schemas::id::{BatchId, ResultId};
use schemas::name::ObjectKey;
use schemas::topic::Offset;

use super::Worker;
use crate::ask::Asked;
use crate::error::Error;
use crate::state::State;
use crate::upload::{Declared, Incoming, Rejection, judge_content};

/// A result that is offered.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) batch: BatchId,
    pub(crate) revision: u32,
    pub(crate) epoch: Option<u64>,
    pub(crate) manifest_sha256: Digest,
    pub(crate) declared: Declared,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Offered {
    /// It stands: published now, or before.
    Stands {
        /// Where the offer is.
        offset: Offset,
        /// The result.
        receipt: ResultReceipt,
    },
    /// It is in the log and not answered yet.
    Pending {
        /// Where the offer is.
        offset: Offset,
        /// What it will be.
        result: ResultId,
    },
}

impl State {
    /// Takes a result in and offers it.
    pub(crate) async fn offer(
        &self,
        worker: &Worker,
        offer: Offer,
        body: Body,
    ) -> Result<Offered, Error> {
        let Offer { batch, declared, .. } = &offer;
        let bytes_max = self.limits.file_bytes_max;
        declared.judge(bytes_max, None)?;
        let promise = self.room_for(declared.size_bytes, bytes_max)?;
        let bounds = self.file_bounds(declared.size_bytes, bytes_max);
        let incoming = Incoming::begin(body, bounds).await?;
        let head = incoming.head();
        if head.is_empty() {
            return Err(Rejection::Empty.into());
        }
        judge_content(&head, &declared.media_type)?;
        let attempt = fresh::uuid(self.clock.now());
        let object = format!("r/{}/{batch}/{attempt}", worker.pool.pool).parse();
        let object: ObjectKey = object.expect("an object key may be made of UUIDs");
        let stored = self.store(object, incoming, declared, &promise).await?;
        self.renewals.forget(*batch);
        let event = ResultOffered {
            batch: *batch,
            revision: offer.revision,
            epoch: offer.epoch,
            manifest_sha256: offer.manifest_sha256,
            worker: worker.account,
            name: declared.name.clone(),
            media_type: declared.media_type.clone(),
            object: stored.object,
            sha256: stored.came.sha256,
            size_bytes: stored.came.size_bytes,
            stored_at: stored.stored_at,
        };
        self.settle(worker, event).await
    }

    /// Asks the fold about a stored result; what it does not take is removed.
    async fn settle(&self, worker: &Worker, event: ResultOffered) -> Result<Offered, Error> {
        let object = event.object.clone();
        let mut receipt = ResultReceipt {
            result: ResultId::of(event.batch, event.revision),
            batch: event.batch,
            revision: event.revision,
            seq: None,
            supersedes: None,
            name: event.name.clone(),
            media_type: event.media_type.clone(),
            size_bytes: event.size_bytes,
            sha256: event.sha256,
            repeated: false,
        };
        let (offset, heard) = match self.ask(&worker.topics, event).await {
            Ok(Asked::Yes { offset, heard }) => (offset, heard),
            Ok(Asked::Pending { offset }) => {
                return Ok(Offered::Pending { offset, result: receipt.result });
            }
            Err(Error::Log(error)) => {
                self.discard_unless_said(&error, std::slice::from_ref(&object)).await;
                return Err(Error::Log(error));
            }
            Err(other) => return Err(other),
        };
        match &heard.body {
            Derived::ResultPublished(ResultPublished { result, supersedes, .. }) => {
                (receipt.result, receipt.supersedes) = (*result, *supersedes);
                receipt.seq = Some(heard.offset);
            }
            Derived::ResultRefused(refused) => {
                self.discard(&object).await;
                let repeats = refused.repeats.ok_or(Error::Offer(refused.reason))?;
                (receipt.result, receipt.repeated) = (repeats, true);
            }
            _ => return Err(Error::Broken("an offer was answered with something else")),
        }
        Ok(Offered::Stands { offset, receipt })
    }
}
