//! The bug that a test may plant: the event is said before its bytes are stored.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use infra::blobs;
use schemas::id::UploadId;
use schemas::name::ObjectKey;
use schemas::time::StoredAt;

use super::store::Stored;
use super::{Incoming, Taken, Upload};
use crate::error::Error;
use crate::state::State;

impl State {
    /// Says, then stores: what must never be done.
    pub(super) async fn say_before_storing(
        &self,
        ask: &Upload,
        upload: UploadId,
        object: ObjectKey,
        incoming: Incoming,
    ) -> Result<Taken, Error> {
        let (body, receipt) = incoming.checked(ask.declared.sha256);
        let pieces: Vec<Bytes> = body.try_collect().await.map_err(blobs::Error::Body)?;
        let came = receipt.get().ok_or(Error::Broken("a good end leaves a receipt"))?;
        let stored_at = StoredAt::from_millis(self.clock.now().millis());
        let taken = self.say(ask, upload, Stored { object, came, stored_at }).await?;
        let body = stream::iter(pieces.into_iter().map(Ok)).boxed();
        let object = &Arc::clone(&taken.landed.file).object;
        self.put(object, Some(came.size_bytes), body).await?;
        Ok(taken)
    }
}
