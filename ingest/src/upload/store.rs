//! Bytes into the store, then their event into the log; and out of the store again when the event
//! is certainly not there.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use infra::blobs::{self, Stale};
use infra::faults::crash_point;
use infra::http::body::{Bounds, Came};
use infra::log;
use infra::room::Promise;
use schemas::event::{Event, Stage, UploadAttemptFailed};
use schemas::id::UploadId;
use schemas::name::ObjectKey;
use schemas::problem::Code;
use schemas::time::StoredAt;
use schemas::topic::{Offset, Topic};

use super::{Declared, Incoming, Rejection, Sender};
use crate::error::Error;
use crate::state::State;

/// Bytes that are durable.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) object: ObjectKey,
    pub(crate) came: Came,
    pub(crate) stored_at: StoredAt,
}

impl State {
    /// What the body of a file is held to.
    pub(crate) fn file_bounds(&self, declared_bytes: Option<u64>, bytes_max: u64) -> Bounds {
        Bounds { declared_bytes, bytes_max, over: Code::FileTooLarge, pause_max: self.pause_max() }
    }

    /// Longest pause of a body.
    pub(super) fn pause_max(&self) -> Duration {
        Duration::from_millis(self.limits.body_pause_ms_max)
    }

    /// Room for a body of this length, or of any up to `bytes_max`.
    pub(crate) fn room_for(
        &self,
        size_bytes: Option<u64>,
        bytes_max: u64,
    ) -> Result<Arc<Promise>, Error> {
        Ok(Arc::new(self.room.take(size_bytes.unwrap_or(bytes_max))?))
    }

    /// Stores a file, in the room it was promised. After an error nothing of it stays.
    pub(crate) async fn store(
        &self,
        object: ObjectKey,
        incoming: Incoming,
        declared: &Declared,
        promise: &Arc<Promise>,
    ) -> Result<Stored, Error> {
        let (body, receipt) = incoming.checked(declared.sha256);
        let promise = Arc::clone(promise);
        let body = body.inspect_ok(move |piece| promise.came(piece.len() as u64)).boxed();
        self.put(&object, declared.size_bytes, body).await?;
        let Some(came) = receipt.get() else {
            self.discard(&object).await;
            return Err(Error::Broken("the store took a body without reading it to its end"));
        };
        let stored_at = StoredAt::from_millis(self.clock.now().millis());
        Ok(Stored { object, came, stored_at })
    }

    /// Stores a file of this upload. A store or a digest that fails is an attempt at it, and said;
    /// of an upload whose key was made here there will be no other.
    pub(crate) async fn store_for(
        &self,
        (sender, upload): (&Sender, UploadId),
        incoming: Incoming,
        declared: &Declared,
        promise: &Arc<Promise>,
    ) -> Result<Stored, Error> {
        let object = self.object_of(&sender.pool.pool, upload);
        let stored = self.store(object, incoming, declared, promise).await;
        let (stage, reason) = match &stored {
            Err(Error::File(rejection @ Rejection::Digest { .. })) => {
                (Stage::Digest, rejection.to_string())
            }
            Err(Error::NotStored(_)) => (Stage::Store, "its bytes could not be stored".to_owned()),
            _ => return stored,
        };
        if sender.key.is_the_senders() {
            let (client, name) = (sender.client, declared.name.clone());
            let reason = reason.into();
            let failed = UploadAttemptFailed { upload, client, name, stage, run: None, reason };
            if let Err(error) = self.append(&sender.topics.events, failed, &[]).await {
                tracing::warn!(%upload, %error, "an attempt that failed is not counted");
            }
        }
        stored
    }

    pub(super) async fn put(
        &self,
        object: &ObjectKey,
        size_bytes: Option<u64>,
        body: blobs::Body,
    ) -> Result<(), Error> {
        crash_point("ingest.before-put");
        if let Err(error) = self.blobs.put(object, size_bytes, body).await {
            // A store that failed keeps nothing by contract; one that does not know may.
            if matches!(error, blobs::Error::Unknown(_)) {
                self.discard(object).await;
            }
            return Err(error.into());
        }
        crash_point("ingest.after-put");
        Ok(())
    }

    /// Says what was stored. When it is certainly not said, the objects are removed.
    pub(crate) async fn append(
        &self,
        to: &Topic,
        event: impl Into<Event>,
        objects: &[ObjectKey],
    ) -> Result<Offset, Error> {
        let event = event.into();
        let draft = self.draft(&event, event.subject());
        crash_point("ingest.before-append");
        match self.log.append(to, vec![draft]).await {
            Ok(appended) => {
                crash_point("ingest.after-append");
                Ok(appended.last)
            }
            Err(error) => {
                self.discard_unless_said(&error, objects).await;
                Err(error.into())
            }
        }
    }

    /// Removes objects whose event the log has certainly not taken.
    pub(crate) async fn discard_unless_said(&self, error: &log::Error, objects: &[ObjectKey]) {
        if matches!(error, log::Error::Unknown(_)) {
            self.metrics.left.inc_by(objects.len() as u64);
            return;
        }
        for object in objects {
            self.discard(object).await;
        }
    }

    /// Removes an object that no event names. What cannot be removed now, the sweeper removes.
    pub(crate) async fn discard(&self, object: &ObjectKey) {
        let stale = Stale::Object { key: object.clone(), put_at: self.clock.now() };
        match self.blobs.remove(stale).await {
            Ok(()) => _ = self.metrics.removed.inc(),
            Err(error) => {
                self.metrics.left.inc();
                tracing::warn!(%object, %error, "an object without an event is left to the sweeper");
            }
        }
    }
}
