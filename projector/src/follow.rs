//! One topic being projected: where each view stands in it, and what its records do to them. Pure,
//! but for [`Followed::open`].

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use infra::log::{Chunk, Find, Position, Read};
use infra::views::{Checkpoint, View, Views, Writes};
use schemas::event::{Audit, AuditRecorded, Delivery, Derived};
use schemas::id::EventId;
use schemas::name::PoolName;
use schemas::time::LogTime;
use schemas::topic::{Offset, Topic};
use schemas::wire::{self, Cause, Unreadable};
use uuid::Uuid;

use crate::project::{self, Projection, Said, Seen, Source};
use crate::run::Error;

/// Records read again when a topic is opened. A checkpoint tells the greatest cause, but not
/// whether its last output was among those: the record itself does. Copies by a second batcher may
/// have come after it.
const LOOK_BACK: Offset = 64;

/// Where one view stands in a topic.
#[derive(Clone, Debug)]
struct Place {
    projection: &'static Projection,
    next: Offset,
    pair: Option<(Offset, u32)>,
    stamp_us: i64,
}

/// A topic that is followed.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    pub(crate) pool: PoolName,
    pub(crate) source: Source,
    places: Vec<Place>,
    /// The greatest cause among all records folded.
    cause: Option<Cause>,
}

/// What records do to each view.
#[derive(Debug)]
pub(crate) struct Folded(BTreeMap<View, (Writes, Vec<Checkpoint>)>);

impl Folded {
    pub(crate) fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Writes it all, every view at once.
    pub(crate) async fn apply(self, views: &dyn Views) -> infra::views::Result<()> {
        let applies =
            self.0.into_iter().map(|(view, (writes, upto))| views.apply(view, writes, upto));
        try_join_all(applies).await.map(|_| ())
    }
}

/// One record that was read.
struct Decoded {
    offset: Offset,
    at: LogTime,
    said: DecodedSaid,
    cause: Option<Cause>,
}

enum DecodedSaid {
    Derived(Derived),
    Delivery(Delivery),
    Audit(AuditRecorded, EventId, LogTime),
}

impl Followed {
    /// Finds where the views of this source stand, and the place to read on from: a little before
    /// the least of them.
    pub(crate) async fn open(
        read: &dyn Read,
        views: &dyn Views,
        topic: &Topic,
        pool: PoolName,
        source: Source,
    ) -> Result<(Self, Position), Error> {
        let start = read.find(topic, Find::Start).await?;
        let mut from: Option<Position> = None;
        let mut places = Vec::new();
        for projection in project::ALL.iter().filter(|projection| projection.source == source) {
            let state = views.state(projection.view, topic).await?;
            let (position, pair, stamp_us) = match state.checkpoint {
                Some(checkpoint) => (checkpoint.position, checkpoint.pair, checkpoint.stamp_us),
                None => (Position { next: 0, ..start }, None, 0),
            };
            let least = from.is_none_or(|from| position.next < from.next);
            from = if least { Some(position) } else { from };
            places.push(Place { projection, next: position.next, pair, stamp_us });
        }
        let cause = places.iter().map(|place| place.pair).min().flatten();
        // Whether that was its event's last output is not known yet: it is not counted as such.
        let cause = cause.map(|(offset, index)| Cause { offset, index, last: false });
        let followed = Self { pool, source, places, cause };
        let from = from.unwrap_or(Position { next: 0, ..start });
        let next = from.next.saturating_sub(LOOK_BACK).max(start.next).min(from.next);
        Ok((followed, Position { next, ..from }))
    }

    /// The first record that is not in all views.
    pub(crate) fn next(&self) -> Offset {
        self.places.iter().map(|place| place.next).min().unwrap_or(0)
    }

    /// The greatest cause among the records in all views.
    pub(crate) fn cause(&self) -> Option<Cause> {
        self.cause
    }

    /// Folds a chunk into writes of each view. Nothing is folded of a chunk that cannot be read.
    pub(crate) fn fold(&mut self, chunk: &Chunk, folded: &mut Folded) -> Result<(), Unreadable> {
        let decoded = decode(self.source, chunk)?;
        for place in &mut self.places {
            let view = place.projection.view;
            let (writes, upto) = folded.0.entry(view).or_default();
            let from = place.next;
            for record in decoded.iter().filter(|record| record.offset >= from) {
                place.fold(&self.pool, record, writes);
            }
            place.next = place.next.max(chunk.end);
            upto.push(place.checkpoint(&chunk.topic, chunk.topic_id));
        }
        let greatest = decoded.iter().filter_map(|record| record.cause);
        self.cause = greatest.chain(self.cause).max_by_key(|cause| (cause.pair(), cause.last));
        Ok(())
    }
}

impl Place {
    fn fold(&mut self, pool: &PoolName, record: &Decoded, writes: &mut Writes) {
        self.stamp_us = (self.stamp_us + 1).max(record.at.millis().saturating_mul(1_000));
        if let Some(cause) = record.cause {
            // A copy by a second batcher: byte for byte what was folded already.
            if Some(cause.pair()) <= self.pair {
                return;
            }
            self.pair = Some(cause.pair());
        }
        let said = match &record.said {
            DecodedSaid::Derived(said) => Said::Derived(said),
            DecodedSaid::Delivery(said) => Said::Delivery(said),
            DecodedSaid::Audit(recorded, id, time) => {
                Said::Audit { recorded, id: *id, time: *time }
            }
        };
        let (offset, at, stamp_us) = (record.offset, record.at, self.stamp_us);
        let event = record.cause.map(|cause| cause.offset);
        (self.projection.fold)(&Seen { pool, offset, at, event, stamp_us, said }, writes);
    }

    fn checkpoint(&self, topic: &Topic, topic_id: Uuid) -> Checkpoint {
        Checkpoint {
            topic: topic.clone(),
            position: Position { topic_id, next: self.next },
            pair: self.pair,
            stamp_us: self.stamp_us,
        }
    }
}

/// Reads the records of a chunk. Types this program does not know are none of its tables' business.
fn decode(source: Source, chunk: &Chunk) -> Result<Vec<Decoded>, Unreadable> {
    let mut all = Vec::with_capacity(chunk.records.len());
    for record in &chunk.records {
        let read = match source {
            Source::Batches => wire::decode::<Derived>(&record.value)
                .map(|(said, attributes)| (DecodedSaid::Derived(said), attributes)),
            Source::Deliveries => wire::decode::<Delivery>(&record.value)
                .map(|(said, attributes)| (DecodedSaid::Delivery(said), attributes)),
            Source::Audit => wire::decode::<Audit>(&record.value).map(|(said, attributes)| {
                let Audit::AuditRecorded(recorded) = said;
                (DecodedSaid::Audit(recorded, attributes.id, attributes.time), attributes)
            }),
        };
        match read {
            Ok((said, attributes)) => {
                let (offset, at, cause) = (record.offset, record.at, attributes.cause);
                all.push(Decoded { offset, at, said, cause });
            }
            Err(Unreadable::UnknownType(_)) => {}
            Err(unreadable) => return Err(unreadable),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use infra::clock::SystemClock;
    use infra::log::{Append as _, Draft, Options, SqliteLog, Tail};
    use infra::views::SqliteViews;
    use schemas::event::UploadRepeated;
    use schemas::id::UploadId;
    use schemas::wire::Attributes;

    const SOON: std::time::Duration = std::time::Duration::from_secs(10);

    fn output(offset: Offset, index: u32, last: bool) -> Draft {
        let body: Derived = UploadRepeated { upload: UploadId::from_bits(1), update: None }.into();
        let attributes = Attributes {
            id: EventId::from_bits(u128::from(offset)),
            source: "/tests".into(),
            time: LogTime::from_millis(1),
            subject: None,
            cause: Some(Cause { offset, index, last }),
        };
        Draft::new("k", &body, attributes)
    }

    async fn read_to(tail: &mut dyn Tail, end: Offset, followed: &mut Followed) -> Folded {
        let mut folded = Folded::new();
        loop {
            let chunk = tail.next().await.unwrap();
            followed.fold(&chunk, &mut folded).unwrap();
            if chunk.end >= end {
                return folded;
            }
        }
    }

    #[tokio::test]
    async fn a_topic_opened_again_knows_that_its_last_event_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (log, views) = (folder.path().join("log"), folder.path().join("views"));
        let log = SqliteLog::open(&log, Options::default(), SystemClock::new()).await.unwrap();
        let views = SqliteViews::open(&views).await.unwrap();
        let pool: PoolName = "tests".parse().unwrap();
        let topic = Topic::batches(&pool);
        log.ensure(&topic).await.unwrap();
        // The last is a copy by a second batcher.
        let outputs = [(3, 0, true), (4, 0, false), (4, 1, true), (3, 0, true)];
        let drafts = outputs.map(|(offset, index, last)| output(offset, index, last));
        log.append(&topic, drafts.to_vec()).await.unwrap();
        for opened in ["at first", "again"] {
            let open = Followed::open(&log, &views, &topic, pool.clone(), Source::Batches);
            let (mut followed, from) = open.await.unwrap();
            let before = followed.next();
            let mut tail = log.tail(1 << 20).await.unwrap();
            tail.watch(&topic, Some(from));
            let folded = read_to(&mut *tail, 4, &mut followed);
            let folded = tokio::time::timeout(SOON, folded).await.expect("all is read again");
            let whole = Some(Cause { offset: 4, index: 1, last: true });
            assert_eq!((followed.cause(), followed.next()), (whole, 4), "{opened}");
            let wrote = folded.0.values().any(|(writes, _)| writes.iter().next().is_some());
            assert_eq!((before, wrote), if opened == "again" { (4, false) } else { (0, wrote) });
            folded.apply(&views).await.unwrap();
        }
    }
}
