//! One topic being projected: where each view stands in it, and what its records do to them. Pure,
//! but for [`Followed::open`].

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use infra::log::{Chunk, Find, Position, Read};
use infra::views::{Checkpoint, View, Views, Writes};
use schemas::event::{Delivery, Derived};
use schemas::name::PoolName;
use schemas::topic::{Offset, Topic};
use schemas::wire::{self, Cause, Unreadable};
use uuid::Uuid;

use crate::project::{self, Projection, Said, Seen, Source};
use crate::run::Error;

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
    at: schemas::time::LogTime,
    said: DecodedSaid,
    cause: Option<Cause>,
}

enum DecodedSaid {
    Derived(Derived),
    Delivery(Delivery),
}

impl Followed {
    /// Finds where the views of this source stand, and the place to read on from: the least of
    /// them.
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
        // Whether that was its event's last output is not known: it is not counted as such.
        let cause = cause.map(|(offset, index)| Cause { offset, index, last: false });
        let followed = Self { pool, source, places, cause };
        Ok((followed, from.unwrap_or(Position { next: 0, ..start })))
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
        };
        let (offset, at, stamp_us) = (record.offset, record.at, self.stamp_us);
        (self.projection.fold)(&Seen { pool, offset, at, stamp_us, said }, writes);
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
