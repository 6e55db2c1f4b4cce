//! What was said while a listener was away, read from the log.

use std::ops::Range;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream;
use infra::log::{Error, Find, Position, Read, Record, Tail};
use schemas::name::PoolName;
use schemas::topic::{Offset, Topic};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of records read ahead of one who catches up.
const AHEAD_BYTES_MAX: usize = 256 * 1024;

/// One who catches up.
struct CatchingUp<T> {
    read: Arc<dyn Read>,
    room: Arc<Semaphore>,
    pool: PoolName,
    topic: Topic,
    left: Range<Offset>,
    /// Held while records are being read.
    reading: Option<(Box<dyn Tail>, OwnedSemaphorePermit)>,
    say: fn(&PoolName, &Record) -> Option<T>,
    told: std::vec::IntoIter<T>,
}

/// What is said of these records. A few at once may read; the others wait.
pub(crate) fn told<T: Send + 'static>(
    read: Arc<dyn Read>,
    room: Arc<Semaphore>,
    (pool, topic): (PoolName, Topic),
    records: Range<Offset>,
    say: fn(&PoolName, &Record) -> Option<T>,
) -> impl Stream<Item = std::io::Result<T>> {
    let told = Vec::new().into_iter();
    let one = CatchingUp { read, room, pool, topic, left: records, reading: None, say, told };
    stream::try_unfold(one, async |mut one| {
        let next = one.next().await.map_err(std::io::Error::other)?;
        Ok(next.map(|told| (told, one)))
    })
}

impl<T> CatchingUp<T> {
    async fn next(&mut self) -> Result<Option<T>, Error> {
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
        let told: Vec<T> = within.filter_map(|record| (self.say)(&self.pool, record)).collect();
        self.left.start = chunk.end;
        self.told = told.into_iter();
        Ok(())
    }
}
