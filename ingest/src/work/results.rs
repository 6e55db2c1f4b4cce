//! Results: the one file computed from a revision, or what corrects it, streamed in like an upload,
//! then offered.
//!
//! Whether it counts, the fold says. What it refuses is removed; so is a repeat, since the result
//! that stands has the same bytes.

use axum::body::Body;
use infra::fresh;
use infra::known::KnownResult;
use schemas::api::{ResultReceipt, StatedOf};
use schemas::digest::Digest;
use schemas::event::{Derived, Event, ResultCorrected, ResultOffered};
use schemas::id::{BatchId, ResultId};
use schemas::name::ObjectKey;
use schemas::time::{LogTime, Wall};
use schemas::topic::Offset;

use super::Worker;
use crate::ask::Asked;
use crate::error::Error;
use crate::receipt::Fact;
use crate::state::State;
use crate::upload::{Declared, Incoming, Rejection, Stored, judge_content};

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
        let Offer { batch, revision, epoch, manifest_sha256, declared } = offer;
        let stored = self.take_in(worker, batch, &declared, body).await?;
        self.renewals.forget(batch);
        let receipt = unpublished(batch, revision, &declared, &stored);
        let event = ResultOffered {
            batch,
            revision,
            epoch,
            manifest_sha256,
            worker: worker.account,
            name: declared.name,
            media_type: declared.media_type,
            object: stored.object,
            sha256: stored.came.sha256,
            size_bytes: stored.came.size_bytes,
            stored_at: stored.stored_at,
        };
        let object = event.object.clone();
        self.settle(worker, event.into(), object, receipt).await
    }

    /// Takes a file in and puts it in the place of a result.
    pub(crate) async fn correct(
        &self,
        admin: &Worker,
        (of, known): (ResultId, KnownResult),
        declared: &Declared,
        body: Body,
    ) -> Result<Offered, Error> {
        let batch = known.batch;
        let stored = self.take_in(admin, batch, declared, body).await?;
        let mut receipt = unpublished(batch, known.revision, declared, &stored);
        receipt.result = of;
        let event = ResultCorrected {
            of,
            batch,
            by: admin.account,
            name: declared.name.clone(),
            media_type: declared.media_type.clone(),
            object: stored.object,
            sha256: stored.came.sha256,
            size_bytes: stored.came.size_bytes,
            stored_at: stored.stored_at,
        };
        let object = event.object.clone();
        self.settle(admin, event.into(), object, receipt).await
    }

    /// Judges and stores a file that is to be a result of this batch.
    async fn take_in(
        &self,
        worker: &Worker,
        batch: BatchId,
        declared: &Declared,
        body: Body,
    ) -> Result<Stored, Error> {
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
        self.store(object, incoming, declared, &promise).await
    }

    /// What is signed of a result that is published there.
    fn result_receipt(
        &self,
        worker: &Worker,
        receipt: &ResultReceipt,
        seq: Offset,
        at: LogTime,
    ) -> Option<Box<str>> {
        let ResultReceipt { result, batch, revision, .. } = *receipt;
        let fact = Fact {
            of: StatedOf::Result { result, batch, revision },
            sha256: receipt.sha256,
            size_bytes: Some(receipt.size_bytes),
            topic: &worker.topics.batches,
            offset: seq,
            at: Wall::from_millis(at.millis()),
        };
        self.attest(&worker.pool, fact)
    }

    /// Asks the fold about a stored result; what it does not take is removed.
    async fn settle(
        &self,
        worker: &Worker,
        event: Event,
        object: ObjectKey,
        mut receipt: ResultReceipt,
    ) -> Result<Offered, Error> {
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
        let published = match &heard.body {
            Derived::ResultPublished(published) => {
                receipt.result = published.result;
                receipt.revision = published.revision;
                receipt.supersedes = published.supersedes;
                Some((heard.offset, heard.at))
            }
            Derived::ResultRefused(refused) => {
                self.discard(&object).await;
                let repeats = refused.repeats.ok_or(Error::Offer(refused.reason))?;
                (receipt.result, receipt.repeated) = (repeats, true);
                let pool = &worker.pool.pool;
                let known = self.known.published(pool, repeats, heard.offset + 1).await;
                known.ok().flatten().map(|known| (known.seq, known.at))
            }
            _ => return Err(Error::Broken("an offer was answered with something else")),
        };
        if let Some((seq, at)) = published {
            receipt.seq = Some(seq);
            receipt.receipt = self.result_receipt(worker, &receipt, seq, at);
        }
        Ok(Offered::Stands { offset, receipt })
    }
}

/// What will be told of a result, once the fold has taken it.
fn unpublished(
    batch: BatchId,
    revision: u32,
    declared: &Declared,
    stored: &Stored,
) -> ResultReceipt {
    ResultReceipt {
        result: ResultId::of(batch, revision),
        batch,
        revision,
        seq: None,
        supersedes: None,
        name: declared.name.clone(),
        media_type: declared.media_type.clone(),
        size_bytes: stored.came.size_bytes,
        sha256: stored.came.sha256,
        receipt: None,
        repeated: false,
    }
}
