//! Files on their way in: checked before their first byte where possible, stored, said, and only
//! then answered.
//!
//! The bytes are durable before the event, the event before the answer. Each attempt writes an
//! object of its own. An upload that is refused leaves no object; one whose event may or may not
//! be in the log leaves its object, and a retry under the same key tells.

mod body;
mod flight;
mod ids;
mod kinds;
mod landing;
mod planted;
mod reject;
mod repeat;
mod skew;
mod store;
mod times;
pub(crate) mod update;

pub use ids::UploadKey;
pub use reject::Rejection;

pub(crate) use body::Incoming;
pub(crate) use flight::{Flights, Landed};
pub(crate) use kinds::judge_content;
pub(crate) use reject::{Declared, file_type};
pub(crate) use repeat::Key;
pub(crate) use skew::Clocks;

use std::sync::Arc;

use axum::body::Body;
use infra::faults::{Bug, planted};
use infra::fresh;
use infra::http::Allowed;
use schemas::event::{PolicyCopied, UploadReceived};
use schemas::file::FileRef;
use schemas::id::{AccountId, UploadId};
use schemas::name::{InspectionName, MediaType, ObjectKey, PoolName};
use schemas::policy::Policy;
use schemas::time::{ObservedAt, ReceivedAt, SentAt};

pub(crate) use self::store::Stored;
use crate::ask::Topics;
use crate::error::Error;
use crate::state::State;

/// Who sends something, where to, and under which key.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) pool: Arc<PolicyCopied>,
    pub(crate) topics: Topics,
    pub(crate) client: AccountId,
    pub(crate) key: Key,
}

/// When a file was made and sent, by its client's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    pub(crate) observed_at: Option<ObservedAt>,
    pub(crate) sent_at: Option<SentAt>,
    /// How far its clock is steadily ahead of ours.
    pub(crate) skew_ms: Option<i64>,
}

/// A request to take one file.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) sender: Sender,
    pub(crate) declared: Declared,
    pub(crate) said: Said,
}

/// A file that is in the log.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) landed: Landed,
    /// Whether it was there before.
    pub(crate) repeated: bool,
}

impl Sender {
    /// A caller who may send.
    pub(crate) fn new(allowed: &Allowed, client: AccountId, key: Key) -> Result<Self, Error> {
        let pool = allowed.pool.policy.clone();
        let pool = pool.ok_or(Error::Broken("a pool without a policy lets nobody in"))?;
        Ok(Self { pool, topics: Topics::of(&allowed.pool)?, client, key })
    }

    /// The rules that a file is judged by.
    pub(crate) fn policy(&self) -> &Policy {
        &self.pool.policy
    }

    /// What files of this type are inspected for.
    fn inspections(&self, media_type: &MediaType) -> Vec<InspectionName> {
        let inspections = self.policy().inspections.iter();
        let meant = inspections.filter(|inspection| inspection.is_for(media_type));
        meant.map(|inspection| inspection.name().clone()).collect()
    }

    /// What the log will say of a stored file. Its time is decided here.
    fn reference(
        &self,
        upload: UploadId,
        declared: &Declared,
        said: Said,
        stored: &Stored,
    ) -> FileRef {
        let received_at = ReceivedAt::from_millis(stored.stored_at.millis());
        let decided =
            times::decide(said.observed_at, said.skew_ms, received_at, &self.policy().times);
        FileRef {
            upload,
            client: self.client,
            name: declared.name.clone(),
            size_bytes: stored.came.size_bytes,
            sha256: stored.came.sha256,
            media_type: declared.media_type.clone(),
            object: stored.object.clone(),
            observed_at: said.observed_at,
            sent_at: said.sent_at,
            received_at,
            effective_at: decided.effective_at,
            time_source: decided.time_source,
            clamped: decided.clamped,
            quarantined: decided.quarantined,
            inspections: self.inspections(&declared.media_type),
        }
    }
}

impl State {
    /// What a client says of a time, and what its requests tell of its clock.
    pub(crate) fn said(
        &self,
        client: AccountId,
        observed_at: Option<ObservedAt>,
        sent_at: Option<SentAt>,
    ) -> Said {
        let skew_ms = self.clocks.heard(client, sent_at, self.clock.now());
        Said { observed_at, sent_at, skew_ms }
    }

    /// Takes one file, or finds that it was taken before.
    pub(crate) async fn receive(&self, ask: &Upload, body: Body) -> Result<Taken, Error> {
        let Upload { sender, declared, .. } = ask;
        let files = &sender.policy().files;
        declared.judge(files.size_bytes_max, Some(files))?;
        let upload = self.upload_key.upload(sender.pool.id, sender.client, sender.key.text());
        let _flight = self.flights.begin(upload.uuid()).ok_or(Error::InProgress)?;
        let mut bounds = self.file_bounds(declared.size_bytes, files.size_bytes_max);
        if let Some(landed) = self.find(sender, upload).await? {
            return self.take_again(landed, declared, body, bounds).await;
        }
        let mut reserved = self.reserve_one(sender, declared.size_bytes, &mut bounds).await?;
        let promise = self.room_for(declared.size_bytes, bounds.bytes_max)?;
        let incoming = Incoming::begin(body, bounds).await?;
        let head = incoming.head();
        if head.is_empty() {
            return Err(Rejection::Empty.into());
        }
        judge_content(&head, &declared.media_type)?;
        if planted(Bug::EventBeforeBytes) {
            let object = self.object_of(&sender.pool.pool, upload);
            return self.say_before_storing(ask, upload, object, incoming).await;
        }
        let stored = self.store_for((sender, upload), incoming, declared, &promise).await?;
        let taken = self.say(ask, upload, stored).await?;
        reserved.landed(taken.landed.offset);
        Ok(taken)
    }

    /// Says that a file is here.
    async fn say(&self, ask: &Upload, upload: UploadId, stored: Stored) -> Result<Taken, Error> {
        let Upload { sender, declared, said } = ask;
        let file = sender.reference(upload, declared, *said, &stored);
        let event = UploadReceived { file: file.clone(), stored_at: stored.stored_at };
        let objects = std::slice::from_ref(&file.object);
        let offset = Some(self.append(&sender.topics.events, event, objects).await?);
        self.metrics.files.inc();
        self.metrics.bytes.inc_by(file.size_bytes);
        let landed = Landed { file: Arc::new(file), offset };
        self.flights.land(landed.clone());
        Ok(Taken { landed, repeated: false })
    }

    /// A place no other attempt has.
    fn object_of(&self, pool: &PoolName, upload: UploadId) -> ObjectKey {
        let attempt = fresh::uuid(self.clock.now());
        let key = format!("u/{pool}/{upload}/{attempt}").parse();
        key.expect("an object key may be made of UUIDs")
    }
}
