//! What was said while a listener was away, read from the log.

use std::ops::Range;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream;
use infra::log::{Error, Find, Position, Read, Record, Tail};
use schemas::event::Derived;
use schemas::name::PoolName;
use schemas::topic::{Offset, Topic};
use schemas::wire;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::say::{Told, say};

/// Bytes of records read ahead of one who catches up.
const AHEAD_BYTES_MAX: usize = 256 * 1024;

/// One who catches up.
struct CatchingUp {
    read: Arc<dyn Read>,
    room: Arc<Semaphore>,
    pool: PoolName,
    topic: Topic,
    left: Range<Offset>,
    /// Held while records are being read.
    reading: Option<(Box<dyn Tail>, OwnedSemaphorePermit)>,
    told: std::vec::IntoIter<Told>,
}

/// The events of these records. A few at once may read; the others wait.
pub(super) fn told(
    read: Arc<dyn Read>,
    room: Arc<Semaphore>,
    pool: PoolName,
    topic: Topic,
    records: Range<Offset>,
) -> impl Stream<Item = std::io::Result<Told>> {
    let told = Vec::new().into_iter();
    let one = CatchingUp { read, room, pool, topic, left: records, reading: None, told };
    stream::try_unfold(one, async |mut one| {
        let next = one.next().await.map_err(std::io::Error::other)?;
        Ok(next.map(|told| (told, one)))
    })
}

impl CatchingUp {
    async fn next(&mut self) -> Result<Option<Told>, Error> {
        loop {
            if let Some(told) = self.told.next() {
                return Ok(Some(told));
            }
            if self.left.is_empty() {
                self.reading = None;
                return Ok(None);
            }
            self.read_some().await?;
        }
    }

    async fn read_some(&mut self) -> Result<(), Error> {
        if self.reading.is_none() {
            let permit = Arc::clone(&self.room).acquire_owned().await;
            let permit = permit.map_err(|_| Error::Unknown("never closed".into()))?;
            let mut tail = self.read.tail(AHEAD_BYTES_MAX).await?;
            let end = self.read.find(&self.topic, Find::End).await?;
            let from = Position { topic_id: end.topic_id, next: self.left.start };
            tail.watch(&self.topic, Some(from));
            self.reading = Some((tail, permit));
        }
        let Some((tail, _)) = &mut self.reading else { return Ok(()) };
        let chunk = tail.next().await?;
        let within = chunk.records.iter().filter(|record| record.offset < self.left.end);
        let told: Vec<Told> = within.filter_map(|record| said(&self.pool, record)).collect();
        self.left.start = chunk.end;
        self.told = told.into_iter();
        Ok(())
    }
}

fn said(pool: &PoolName, record: &Record) -> Option<Told> {
    let (body, attributes) = wire::decode::<Derived>(&record.value).ok()?;
    say(pool, record.offset, record.at, &body, attributes.cause)
}
