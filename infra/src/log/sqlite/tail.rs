//! A reader of many topics: the newest records from memory, older ones from the file.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemas::topic::{Cleanup, Offset, Topic};
use tokio::sync::watch;

use super::follow::Follower;
use super::known::{Known, KnownTopic};
use super::stored::Bound;
use crate::log::{Chunk, Error, Position, Record, Result, Tail};
use crate::sqlite::Failure;

/// Most records of one chunk.
const CHUNK_RECORDS_MAX: usize = 4_096;

/// A topic that is read.
#[derive(Debug)]
struct Watched {
    name: Topic,
    from: Position,
    /// Known once `from` was found to be in the topic.
    topic: Option<Arc<KnownTopic>>,
    /// Tells one watch of a topic from the next.
    turn: u64,
}

/// A read of the file that is under way. It goes on when `next` is dropped.
struct Reading {
    turn: u64,
    topic: Arc<KnownTopic>,
    within: Range<Offset>,
    records: BoxFuture<'static, Result<Vec<Record>, Failure>>,
}

/// The tail of the embedded log.
pub(super) struct SqliteTail {
    known: Arc<Known>,
    /// Looks for news in a log that another process writes.
    follower: Option<Arc<Follower>>,
    news: watch::Receiver<u64>,
    bound: Bound,
    /// In the order they take turns.
    watched: Vec<Watched>,
    /// Whose turn it is.
    at: usize,
    turns: u64,
    reading: Option<Reading>,
}

/// What a look at the watched topics came to.
enum Look {
    Chunk(Chunk),
    /// The file is being read.
    Reading,
    Nothing,
}

impl SqliteTail {
    pub(super) fn new(
        known: Arc<Known>,
        follower: Option<Arc<Follower>>,
        bytes_max: usize,
    ) -> Self {
        let bound = Bound { bytes_max, records_max: CHUNK_RECORDS_MAX };
        let (news, watched) = (known.subscribe(), Vec::new());
        Self { known, follower, news, bound, watched, at: 0, turns: 0, reading: None }
    }

    /// Looks through the watched topics, from the one whose turn it is.
    fn look(&mut self) -> Result<Look> {
        for _ in 0..self.watched.len() {
            self.at = if self.at + 1 < self.watched.len() { self.at + 1 } else { 0 };
            let Some(watched) = self.watched.get_mut(self.at) else { break };
            if watched.is_at_end() {
                continue;
            }
            let topic = match admitted(&self.known, watched) {
                Ok(topic) => topic,
                Err(error) => {
                    self.watched.remove(self.at);
                    return Err(error);
                }
            };
            let within = watched.from.next..topic.end();
            if within.start == within.end {
                continue;
            }
            if within.start > within.end {
                // Cut short while it was read: only by hand, in a file that another process has.
                let name = self.watched.remove(self.at).name;
                return Err(Error::Gap(name));
            }
            if let Some(records) = self.known.recent(topic.number, within.clone(), self.bound) {
                return Ok(watched.take(&topic, records).map_or(Look::Nothing, Look::Chunk));
            }
            let records = self.known.read(topic.number, within.clone(), self.bound).boxed();
            self.reading = Some(Reading { turn: watched.turn, topic, within, records });
            return Ok(Look::Reading);
        }
        Ok(Look::Nothing)
    }

    /// What a read of the file gave: none of it when its topic was stopped or moved meanwhile.
    fn taken(&mut self, reading: Reading, records: Vec<Record>) -> Result<Option<Chunk>> {
        let Reading { turn, topic, within, .. } = reading;
        let at = self.watched.iter().position(|watched| watched.turn == turn);
        let Some(at) = at else { return Ok(None) };
        let Some(watched) = self.watched.get_mut(at) else { return Ok(None) };
        let whole = topic.cleanup == Cleanup::Compact || unbroken(within.start, &records);
        if !whole {
            let name = self.watched.remove(at).name;
            return Err(Error::Gap(name));
        }
        if records.is_empty() {
            // Compacted away to the end that was known.
            watched.from.next = within.end;
        }
        Ok(watched.take(&topic, records))
    }

    async fn wait(&mut self) {
        match &self.follower {
            Some(follower) => follower.wait().await,
            // It cannot fail: `known` has the sender.
            None => _ = self.news.changed().await,
        }
    }
}

impl Watched {
    /// Whether it is known to have nothing new: asked of every topic at every commit.
    fn is_at_end(&self) -> bool {
        self.topic.as_ref().is_some_and(|topic| topic.end() == self.from.next)
    }

    fn take(&mut self, topic: &KnownTopic, records: Vec<Record>) -> Option<Chunk> {
        let end = records.last()?.offset + 1;
        self.from.next = end;
        Some(Chunk { topic: self.name.clone(), topic_id: topic.id, records, end })
    }
}

/// The topic, once it is clear that the place asked for is in it.
fn admitted(known: &Known, watched: &mut Watched) -> Result<Arc<KnownTopic>> {
    if let Some(topic) = &watched.topic {
        return Ok(Arc::clone(topic));
    }
    let topic = known.topic(&watched.name).ok_or_else(|| Error::NoTopic(watched.name.clone()))?;
    if !topic.admits(watched.from) {
        return Err(Error::Gap(watched.name.clone()));
    }
    watched.topic = Some(Arc::clone(&topic));
    Ok(topic)
}

fn unbroken(start: Offset, records: &[Record]) -> bool {
    !records.is_empty()
        && (start..).zip(records).all(|(expected, record)| expected == record.offset)
}

#[async_trait]
impl Tail for SqliteTail {
    fn watch(&mut self, topic: &Topic, from: Option<Position>) {
        self.turns += 1;
        let at = self.watched.iter().position(|watched| watched.name == *topic);
        match (at, from) {
            (Some(at), None) => drop(self.watched.remove(at)),
            (None, None) => {}
            (at, Some(from)) => {
                let watched = Watched { name: topic.clone(), from, topic: None, turn: self.turns };
                match at.and_then(|at| self.watched.get_mut(at)) {
                    Some(place) => *place = watched,
                    None => self.watched.push(watched),
                }
            }
        }
    }

    async fn next(&mut self) -> Result<Chunk> {
        loop {
            if let Some(reading) = &mut self.reading {
                let records = (&mut reading.records).await;
                let Some(reading) = self.reading.take() else { continue };
                let records = records.map_err(|failure| super::refused(&failure))?;
                if let Some(chunk) = self.taken(reading, records)? {
                    return Ok(chunk);
                }
            }
            if let Some(follower) = &self.follower
                && self.watched.iter().any(|watched| watched.topic.is_none())
            {
                follower.look().await.map_err(|failure| super::refused(&failure))?;
            }
            // Seen before the look, so that a commit during it wakes the wait after it.
            self.news.mark_unchanged();
            match self.look()? {
                Look::Chunk(chunk) => return Ok(chunk),
                Look::Reading => {}
                Look::Nothing => self.wait().await,
            }
        }
    }
}

impl fmt::Debug for SqliteTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteTail").field("watched", &self.watched).finish_non_exhaustive()
    }
}
