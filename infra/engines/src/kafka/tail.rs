//! The async side of a tail: orders go to its reader's thread, chunks come back.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use infra::log::{Chunk, Error, Position, Result, Tail};
use schemas::topic::Topic;
use tokio::sync::mpsc;

use super::config::KafkaConfig;
use super::reader::Reader;
use super::refusal::refused;
use super::threads::Threads;

/// Chunks that wait to be taken.
const CHUNKS_MAX: usize = 2;

/// What a reader is to do about a topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    /// Counts up with every order: what was read under an earlier one must not come any more.
    pub(super) generation: u64,
    /// Where to read from; `None` stops.
    pub(super) from: Option<Position>,
}

/// What a reader has to say.
#[derive(Debug)]
pub(super) enum Item {
    /// Records.
    Chunk(u64, Chunk),
    /// The topic is not read any more.
    Over(u64, Topic, Error),
    /// Nothing is.
    Failed(Error),
}

/// Where both sides meet. The reader waits here for orders and for records.
#[derive(Debug, Default)]
pub(super) struct Desk {
    state: Mutex<Waiting>,
    stirred: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    orders: HashMap<Topic, Order>,
    stir: bool,
    closed: bool,
}

impl Desk {
    /// Says that there is something to do. Called by librdkafka as well: short, and never waits.
    pub(super) fn stir(&self) {
        self.state().stir = true;
        self.stirred.notify_one();
    }

    /// The orders, newest of each topic; `None` once the tail was dropped.
    pub(super) fn orders(&self) -> Option<HashMap<Topic, Order>> {
        let mut state = self.state();
        state.stir = false;
        (!state.closed).then(|| std::mem::take(&mut state.orders))
    }

    /// Whether there are orders.
    pub(super) fn has_orders(&self) -> bool {
        let state = self.state();
        state.closed || !state.orders.is_empty()
    }

    /// Waits until it is stirred, at most so long.
    pub(super) fn wait(&self, at_most: Duration) {
        let state = self.state();
        let waited = self.stirred.wait_timeout_while(state, at_most, |state| !state.stir);
        drop(waited.expect("nothing panics while it holds the desk"));
    }

    fn state(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().expect("nothing panics while it holds the desk")
    }
}

/// A reader of many topics.
#[derive(Debug)]
pub(super) struct KafkaTail {
    desk: Arc<Desk>,
    items: mpsc::Receiver<Item>,
    watched: HashMap<Topic, u64>,
    generation: u64,
}

impl KafkaTail {
    /// A tail that watches nothing yet.
    pub(super) fn open(
        config: &KafkaConfig,
        threads: &Threads,
        ahead_bytes_max: usize,
    ) -> Result<Self> {
        let desk = Arc::new(Desk::default());
        let (sender, items) = mpsc::channel(CHUNKS_MAX);
        let reader = Reader::open(config, ahead_bytes_max, &desk, sender)?;
        threads.start("tail", move || reader.read())?;
        Ok(Self { desk, items, watched: HashMap::new(), generation: 0 })
    }

    fn is_current(&self, topic: &Topic, generation: u64) -> bool {
        self.watched.get(topic) == Some(&generation)
    }
}

#[async_trait]
impl Tail for KafkaTail {
    fn watch(&mut self, topic: &Topic, from: Option<Position>) {
        self.generation += 1;
        match from {
            Some(_) => self.watched.insert(topic.clone(), self.generation),
            None => self.watched.remove(topic),
        };
        let order = Order { generation: self.generation, from };
        self.desk.state().orders.insert(topic.clone(), order);
        self.desk.stir();
    }

    async fn next(&mut self) -> Result<Chunk> {
        loop {
            match self.items.recv().await {
                Some(Item::Chunk(generation, chunk)) => {
                    if self.is_current(&chunk.topic, generation) {
                        return Ok(chunk);
                    }
                }
                Some(Item::Over(generation, topic, error)) => {
                    if self.is_current(&topic, generation) {
                        self.watched.remove(&topic);
                        return Err(error);
                    }
                }
                Some(Item::Failed(error)) => return Err(error),
                None => return Err(refused("the reader ended: open another")),
            }
        }
    }
}

impl Drop for KafkaTail {
    fn drop(&mut self) {
        self.desk.state().closed = true;
        self.desk.stir();
    }
}
