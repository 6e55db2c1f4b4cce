//! Updates: many files of a client that was offline, all or none, in one event.
//!
//! Every file is judged, so that all that is wrong is told at once; once one is not taken, the
//! others are no longer stored. What was stored is removed unless the event is there or may be.

mod form;
mod manifest;
mod single;

pub(crate) use single::FormUpload;

use std::sync::Arc;

use axum::body::Body;
use infra::http::body::{Fault, whole};
use infra::room::Promise;
use schemas::api::{OnInvalid, UpdateManifest};
use schemas::event::UpdateReceived;
use schemas::file::FileRef;
use schemas::id::UpdateId;
use schemas::name::ObjectKey;
use schemas::problem::{Code, FieldError};
use schemas::time::StoredAt;
use schemas::topic::Offset;

use self::form::{Form, Part};
use self::manifest::{Item, References};
use super::{Incoming, Landed, Rejection, Said, Sender, Taken, judge_content};
use crate::error::Error;
use crate::quota::{Amount, Exceeded, Reserved, narrow};
use crate::state::State;

/// A request to take an update.
#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) sender: Sender,
    pub(crate) on_invalid: OnInvalid,
    /// The Content-Type of the request.
    pub(crate) content_type: String,
    /// The length of its body, where it is declared.
    pub(crate) size_bytes: Option<u64>,
}

/// An update that is in the log.
#[derive(Debug)]
pub(crate) struct TakenUpdate {
    pub(crate) update: UpdateId,
    /// Its files, in the manifest's order.
    pub(crate) items: Vec<Taken>,
    /// What was not taken.
    pub(crate) skipped: Vec<FieldError>,
    /// Whether all of it was there before.
    pub(crate) repeated: bool,
    /// Where it is in the pool's events, when that is known.
    pub(crate) offset: Option<Offset>,
}

/// An update on its way in.
#[derive(Debug)]
struct Gathering<'a> {
    ask: &'a Update,
    /// The room for all of it.
    promise: Arc<Promise>,
    /// What is left of what was reserved for it.
    left_bytes: u64,
    said: Said,
    /// Whether its files may have come before.
    again: bool,
    /// What will be said of its good files, and which of them were said before.
    files: Vec<Taken>,
    references: References,
    faults: Vec<FieldError>,
    /// What was stored by this request.
    stored: Vec<ObjectKey>,
    stored_at: StoredAt,
}

/// What became of a file that is good.
enum Judged {
    /// Stored, and not said yet.
    New(FileRef),
    /// In the log already.
    Known(Landed),
    /// Not stored: others are not good.
    Unused,
}

impl<'a> Gathering<'a> {
    fn new(
        ask: &'a Update,
        promise: Arc<Promise>,
        left_bytes: u64,
        said: Said,
        again: bool,
    ) -> Self {
        Self {
            ask,
            promise,
            left_bytes,
            said,
            again,
            files: Vec::new(),
            references: References::default(),
            faults: Vec::new(),
            stored: Vec::new(),
            stored_at: StoredAt::default(),
        }
    }

    /// Whether a good file is of use.
    fn is_open(&self) -> bool {
        self.faults.is_empty() || self.ask.on_invalid == OnInvalid::Skip
    }

    fn take(&mut self, judged: Judged) -> Result<(), Error> {
        let (landed, repeated) = match judged {
            Judged::New(file) => (Landed { file: Arc::new(file), offset: None }, false),
            Judged::Known(landed) => (landed, true),
            Judged::Unused => return Ok(()),
        };
        self.references.add(&landed.file)?;
        self.files.push(Taken { landed, repeated });
        Ok(())
    }
}

impl State {
    /// Takes an update, or finds that it was taken before.
    pub(crate) async fn receive_update(
        &self,
        ask: &Update,
        body: Body,
    ) -> Result<TakenUpdate, Error> {
        let Sender { pool, client, key, .. } = &ask.sender;
        let update = self.upload_key.update(pool.id, *client, key.text());
        let _flight = self.flights.begin(update.uuid()).ok_or(Error::InProgress)?;
        let pause_max = self.pause_max();
        let bytes_max = self.limits.update_bytes_max;
        let promise = self.room_for(ask.size_bytes, bytes_max)?;
        let mut form = Form::begin(&ask.content_type, body, bytes_max, pause_max)?;
        let UpdateManifest { sent_at, items } = self.manifest(&mut form).await?;
        let said = self.said(*client, None, sent_at);
        let numbered = (0_u32..).zip(items);
        let items: Vec<Item> = numbered
            .map(|(n, said)| {
                Item::new(n, self.upload_key.item(pool.id, *client, key.text(), n), said)
            })
            .collect();
        let again = self.may_be_again(ask, &items).await?;
        let mut reserved = self.reserve_update(ask, &items, again).await?;
        let mut gathering = Gathering::new(ask, promise, reserved.bytes(), said, again);
        match Box::pin(self.gather(&mut gathering, &items, &mut form)).await {
            Ok(()) if gathering.is_open() && !gathering.files.is_empty() => {
                let taken = self.say_update(update, gathering).await?;
                reserved.landed(taken.offset);
                Ok(taken)
            }
            gathered => {
                for object in &gathering.stored {
                    self.discard(object).await;
                }
                gathered?;
                Err(Error::Update(gathering.faults))
            }
        }
    }

    /// Room in the quotas for those of its files that have not had it before.
    async fn reserve_update(
        &self,
        ask: &Update,
        items: &[Item],
        again: bool,
    ) -> Result<Reserved, Error> {
        if ask.sender.policy().quota.is_none() {
            return Ok(Reserved::none());
        }
        let mut new = Vec::with_capacity(items.len());
        for item in items {
            if !again || self.find(&ask.sender, item.upload).await?.is_none() {
                new.push(item.size_bytes);
            }
        }
        if new.is_empty() {
            return Ok(Reserved::none());
        }
        let files = new.len() as u64;
        let said = new.into_iter().sum::<Option<u64>>();
        let bytes = match said.or(ask.size_bytes) {
            Some(bytes) => bytes,
            None => self.left_bytes(&ask.sender, self.limits.update_bytes_max).await?,
        };
        self.reserve(&ask.sender, Amount { files, bytes }).await
    }

    /// The first part.
    async fn manifest(&self, form: &mut Form) -> Result<UpdateManifest, Error> {
        let part = form.next().await?.filter(|part| part.name == "manifest");
        let part = part.ok_or_else(|| malformed("the first part is to be `manifest`"))?;
        let bytes_max = self.limits.json_bytes_max;
        let json = whole(part.body(), self.file_bounds(None, bytes_max)).await;
        let json = json.map_err(|fault| match fault {
            Fault::Over { .. } => {
                Error::UpdateTooLarge(format!("a manifest of more than {bytes_max} bytes"))
            }
            fault => form.broken().unwrap_or(fault.into()),
        })?;
        part.end().await?;
        manifest::read(&json, &self.limits)
    }

    /// Whether files of it may have come before. All or none of an update is in the log, so the
    /// first file tells; where invalid ones may be skipped, any may have been.
    async fn may_be_again(&self, ask: &Update, items: &[Item]) -> Result<bool, Error> {
        let Some(first) = items.first() else { return Ok(false) };
        let found = self.find(&ask.sender, first.upload).await?;
        Ok(found.is_some() || ask.on_invalid == OnInvalid::Skip)
    }

    /// Judges every file, and stores them as long as that is of use.
    async fn gather(
        &self,
        gathering: &mut Gathering<'_>,
        items: &[Item],
        form: &mut Form,
    ) -> Result<(), Error> {
        for item in items {
            let part = form.next().await?;
            let part = part.ok_or_else(|| malformed("fewer files than the manifest has items"))?;
            if part.name != "file" {
                return Err(malformed("every part after the first is to be `file`"));
            }
            if part.file_name.as_ref().is_some_and(|name| !item.is_named(name)) {
                let detail = format!("the file for /items/{} has another name", item.index);
                return Err(Error::Multipart(detail));
            }
            match Box::pin(self.judge(gathering, item, &part)).await {
                Ok(judged) => gathering.take(judged)?,
                Err(error) => {
                    let rejection = rejection_of(error, form)?;
                    gathering.faults.push(item.fault(&rejection));
                }
            }
            part.end().await?;
        }
        match form.next().await? {
            None => Ok(()),
            Some(_) => Err(malformed("more files than the manifest has items")),
        }
    }

    async fn judge(
        &self,
        gathering: &mut Gathering<'_>,
        item: &Item,
        part: &Part,
    ) -> Result<Judged, Error> {
        let sender = &gathering.ask.sender;
        let files = &sender.policy().files;
        let landed = if gathering.again { self.find(sender, item.upload).await? } else { None };
        if let Some(landed) = landed {
            let bounds = self.file_bounds(None, files.size_bytes_max);
            let came = Incoming::begin(part.body(), bounds).await?.read_through().await?;
            let same = came.sha256 == landed.file.sha256;
            return if same { Ok(Judged::Known(landed)) } else { Err(Error::KeyReused) };
        }
        let declared = item.declared(part.content_type.as_deref())?;
        declared.judge(files.size_bytes_max, Some(files))?;
        let mut bounds = self.file_bounds(declared.size_bytes, files.size_bytes_max);
        narrow(&mut bounds, gathering.left_bytes);
        let incoming = Incoming::begin(part.body(), bounds).await?;
        let head = incoming.head();
        if head.is_empty() {
            return Err(Rejection::Empty.into());
        }
        judge_content(&head, &declared.media_type)?;
        if !gathering.is_open() {
            declared.judge_digest(incoming.read_through().await?.sha256)?;
            return Ok(Judged::Unused);
        }
        let stored =
            self.store_for((sender, item.upload), incoming, &declared, &gathering.promise).await?;
        gathering.stored.push(stored.object.clone());
        gathering.left_bytes = gathering.left_bytes.saturating_sub(stored.came.size_bytes);
        gathering.stored_at = stored.stored_at;
        let said = Said { observed_at: Some(item.observed_at), ..gathering.said };
        Ok(Judged::New(sender.reference(item.upload, &declared, said, &stored)))
    }

    /// Says all of an update at once, unless all of it was said before.
    async fn say_update(
        &self,
        update: UpdateId,
        gathering: Gathering<'_>,
    ) -> Result<TakenUpdate, Error> {
        let Gathering { ask, files, faults: skipped, stored, stored_at, .. } = gathering;
        let repeated = stored.is_empty();
        let offset = if repeated {
            self.metrics.repeats.inc();
            None
        } else {
            let items = files.iter().map(|taken| FileRef::clone(&taken.landed.file)).collect();
            let client = ask.sender.client;
            let event = UpdateReceived { update, client, items, stored_at };
            let offset = self.append(&ask.sender.topics.events, event, &stored).await?;
            self.metrics.updates.inc();
            Some(offset)
        };
        let items = files.into_iter().map(|mut taken| {
            if !taken.repeated {
                taken.landed.offset = offset;
                self.metrics.files.inc();
                self.metrics.bytes.inc_by(taken.landed.file.size_bytes);
                self.flights.land(taken.landed.clone());
            }
            taken
        });
        Ok(TakenUpdate { update, items: items.collect(), skipped, repeated, offset })
    }
}

/// Why a file is not taken; an error when that is not the file's own fault.
fn rejection_of(error: Error, form: &Form) -> Result<Rejection, Error> {
    match error {
        Error::File(rejection) => Ok(rejection),
        Error::Body(Fault::Over { code: Code::PoolQuotaExceeded, .. }) => {
            Err(Error::Quota(Exceeded::Pool))
        }
        Error::Body(Fault::Over { bytes_max: size_bytes_max, .. }) => {
            Ok(Rejection::TooLarge { size_bytes_max })
        }
        Error::Body(Fault::Length { declared_bytes, got_bytes }) => {
            Ok(Rejection::Length { declared_bytes, got_bytes })
        }
        Error::Body(Fault::Cut) => Err(form.broken().unwrap_or(Fault::Cut.into())),
        other => Err(other),
    }
}

fn malformed(detail: &str) -> Error {
    Error::Multipart(detail.to_owned())
}
