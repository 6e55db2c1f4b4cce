//! Taking a pool over: the newest snapshot, and how far its output had been written.

use infra::directory::Pool as Located;
use infra::log::{Error, Find, Position, Result};
use schemas::name::PoolName;
use schemas::topic::Topic;

use crate::Deps;
use crate::fold::State;
use crate::snapshot::Snapshot;

/// The topics of a pool that the batcher works on.
#[derive(Clone, Debug)]
pub(crate) struct Topics {
    pub(crate) events: Topic,
    pub(crate) batches: Topic,
}

/// A pool that is about to be folded.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) topics: Topics,
    pub(crate) state: State,
    /// Where to read events on from, and where they ended when this was asked.
    pub(crate) events: Position,
    pub(crate) events_end: u64,
    /// Where to look for what was already written, and where that ended.
    pub(crate) batches: Position,
    pub(crate) batches_end: u64,
    /// The greatest (cause, index) written before that.
    pub(crate) highest: Option<(u64, u32)>,
}

impl Topics {
    pub(crate) fn of(located: &Located) -> Option<Self> {
        let located = located.located.as_ref()?;
        let [events, batches] = [&located.events, &located.batches].map(|name| Topic::named(name));
        Some(Self { events, batches })
    }
}

/// Finds where to begin. A snapshot of a topic that was made again is no place to begin: that pool
/// halts.
pub(crate) async fn open(deps: Deps, name: PoolName, topics: Topics) -> Result<Opened> {
    let taken = deps.directory.pool(&name).and_then(|pool| pool.snapshot);
    let snapshot = match &taken {
        Some(taken) => Snapshot::load(deps.blobs.as_ref(), taken).await,
        None => None,
    };
    let events_end = deps.read.find(&topics.events, Find::End).await?;
    let batches_end = deps.read.find(&topics.batches, Find::End).await?;
    let (events, batches, highest, state) = if let Some(snapshot) = snapshot {
        (snapshot.events(), snapshot.batches(), snapshot.highest(), snapshot.state)
    } else {
        let zero = |end: Position| Position { next: 0, ..end };
        (zero(events_end), zero(batches_end), None, State::default())
    };
    check(&deps, &topics.events, events, events_end).await?;
    check(&deps, &topics.batches, batches, batches_end).await?;
    let (events_end, batches_end) = (events_end.next, batches_end.next);
    Ok(Opened { topics, state, events, events_end, batches, batches_end, highest })
}

/// A place beyond the end, before the oldest record kept, or in another topic of the same name is
/// in a log that is gone.
async fn check(deps: &Deps, topic: &Topic, place: Position, end: Position) -> Result<()> {
    let start = deps.read.find(topic, Find::Start).await?;
    let known = !place.topic_id.is_nil() && !end.topic_id.is_nil();
    let other = known && place.topic_id != end.topic_id;
    if other || !(start.next..=end.next).contains(&place.next) {
        Err(Error::Gap(topic.clone()))
    } else {
        Ok(())
    }
}
