//! The thread of a tail: polls one consumer of many topics and packs what comes.
//!
//! librdkafka numbers the versions of each assignment and drops what was fetched for an older one,
//! so nothing of a topic comes after it was unassigned. An error does not say which topic it is
//! about: then all are checked (see `doubt`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use infra::log::{Error, Position, Result};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use schemas::time::LogTime;
use schemas::topic::Topic;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::config::KafkaConfig;
use super::doubt::{self, Doubt};
use super::packing::Packing;
use super::refusal::{refusal, refused};
use super::tail::{Desk, Item, Order};
use super::told::{News, Told};

/// The longest wait when nothing stirs.
const IDLE: Duration = Duration::from_millis(200);
/// Records between two looks for orders.
const ORDERS_EVERY: u32 = 1_024;
/// Topics asked for one by one; for more, all topics are asked for at once.
const HURRIED_MAX: usize = 8;
/// How long the brokers may take to say which topic has a name.
const ASK: Duration = Duration::from_secs(2);

/// A topic that is read.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) topic: Topic,
    pub(super) next: u64,
    topic_id: Uuid,
    generation: u64,
    /// The position names another topic than was last told of: what is told now decides.
    doubtful: bool,
}

/// Whether to go on.
enum Flow {
    On,
    End,
}

/// Reads for one tail.
pub(super) struct Reader {
    consumer: Arc<BaseConsumer<Told>>,
    desk: Arc<Desk>,
    items: mpsc::Sender<Item>,
    chunk_bytes: usize,
    watched: HashMap<Box<str>, Watched>,
    packing: Packing,
    /// The topic that is being packed, and librdkafka's handle of it: comparing that for each
    /// record is cheaper than its name.
    packed: Option<(usize, Box<str>)>,
    doubt: Option<Doubt>,
}

impl Reader {
    /// A reader of nothing yet.
    pub(super) fn open(
        config: &KafkaConfig,
        ahead_bytes_max: usize,
        desk: &Arc<Desk>,
        items: mpsc::Sender<Item>,
    ) -> Result<Self> {
        let mut consumer: BaseConsumer<Told> =
            BaseConsumer::from_config_and_context(&config.tail(ahead_bytes_max), Told::default())
                .map_err(|error| Error::Misconfigured(error.to_string()))?;
        let stirred = desk.clone();
        consumer.set_nonempty_callback(move || stirred.stir());
        Ok(Self {
            consumer: Arc::new(consumer),
            desk: desk.clone(),
            items,
            chunk_bytes: (ahead_bytes_max / 16).clamp(4 << 10, 512 << 10).min(ahead_bytes_max),
            watched: HashMap::new(),
            packing: Packing::default(),
            packed: None,
            doubt: None,
        })
    }

    /// Reads until the tail is dropped.
    pub(super) fn read(mut self) {
        while let Some(orders) = self.desk.orders() {
            self.follow(orders);
            if let Flow::End = self.drain() {
                return;
            }
            self.settle_doubt();
            self.desk.wait(IDLE);
        }
    }

    /// Takes all that is there.
    fn drain(&mut self) -> Flow {
        let consumer = self.consumer.clone();
        let told = consumer.context();
        let mut polls: u32 = 0;
        loop {
            let heard = told.heard();
            let polled = consumer.poll(Duration::ZERO);
            if let Some(news) = told.news() {
                self.learn(news);
            }
            let flow = match polled {
                Some(Ok(record)) => self.take(&record),
                Some(Err(error)) => self.suspect(&error),
                None if told.heard() == heard => break,
                None => Flow::On,
            };
            polls = polls.wrapping_add(1);
            if matches!(flow, Flow::End) {
                return flow;
            }
            if polls.is_multiple_of(ORDERS_EVERY) && self.desk.has_orders() {
                break;
            }
        }
        self.flush()
    }

    fn take(&mut self, record: &BorrowedMessage<'_>) -> Flow {
        let handle = record.topic_ptr().addr();
        if self.packed.as_ref().is_none_or(|(packed, _)| *packed != handle)
            && let Flow::End = self.turn_to(handle, record.topic())
        {
            return Flow::End;
        }
        let value = record.payload().unwrap_or_default();
        if !self.packing.fits(value, self.chunk_bytes)
            && let Flow::End = self.flush()
        {
            return Flow::End;
        }
        let Some(watched) = self.packed.as_ref().and_then(|(_, name)| self.watched.get_mut(name))
        else {
            return Flow::On;
        };
        let Ok(offset) = u64::try_from(record.offset()) else { return Flow::On };
        debug_assert!(offset >= watched.next, "{} at {}", offset, watched.next);
        watched.next = offset + 1;
        let at = LogTime::from_millis(record.timestamp().to_millis().unwrap_or(0));
        self.packing.add(offset, at, value);
        Flow::On
    }

    /// From here on records of another topic are packed.
    fn turn_to(&mut self, handle: usize, name: &str) -> Flow {
        if let Flow::End = self.flush() {
            return Flow::End;
        }
        self.packed = None;
        let seen = self.consumer.context().id_of(name);
        let Some(watched) = self.watched.get_mut(name) else { return Flow::On };
        if watched.topic_id.is_nil() {
            watched.topic_id = seen;
        }
        if std::mem::take(&mut watched.doubtful) && watched.topic_id != seen {
            let gap = Error::Gap(watched.topic.clone());
            return self.give_up(name, gap);
        }
        self.packed = Some((handle, name.into()));
        Flow::On
    }

    /// Hands over what is packed; waits while the tail has chunks enough.
    fn flush(&mut self) -> Flow {
        let Some((_, name)) = &self.packed else { return Flow::On };
        let Some(watched) = self.watched.get(name) else { return Flow::On };
        let Some(chunk) = self.packing.take(&watched.topic, watched.topic_id) else {
            return Flow::On;
        };
        let item = Item::Chunk(watched.generation, chunk);
        self.say(item)
    }

    fn say(&self, item: Item) -> Flow {
        if self.items.blocking_send(item).is_ok() { Flow::On } else { Flow::End }
    }

    /// Stops reading a topic, and says why. What was read of it before stands.
    fn give_up(&mut self, name: &str, why: Error) -> Flow {
        if let Flow::End = self.flush() {
            return Flow::End;
        }
        self.packed = None;
        let Some(watched) = self.watched.remove(name) else { return Flow::On };
        self.unassign(std::slice::from_ref(&watched.topic));
        self.say(Item::Over(watched.generation, watched.topic, why))
    }

    /// Starts, moves and stops topics as ordered.
    fn follow(&mut self, orders: HashMap<Topic, Order>) {
        if orders.is_empty() {
            return;
        }
        self.packing.clear();
        self.packed = None;
        let watched = |topic: &&Topic| self.watched.contains_key(topic.name());
        let moved: Vec<Topic> = orders.keys().filter(watched).cloned().collect();
        self.unassign(&moved);
        for topic in &moved {
            self.watched.remove(topic.name());
        }
        let mut begun = Vec::new();
        for (topic, order) in orders {
            if let Some(from) = order.from {
                begun.push(topic.clone());
                self.watched.insert(topic.name().into(), self.begin(topic, order.generation, from));
            }
        }
        self.assign(&begun);
    }

    fn begin(&self, topic: Topic, generation: u64, from: Position) -> Watched {
        let seen = self.consumer.context().id_of(topic.name());
        let doubtful = ![seen, from.topic_id].iter().any(Uuid::is_nil) && seen != from.topic_id;
        if doubtful {
            // It may have been told long ago. What is told by this is before its first record.
            _ = self.consumer.fetch_metadata(Some(topic.name()), ASK);
        }
        Watched { topic, next: from.next, topic_id: from.topic_id, generation, doubtful }
    }

    fn assign(&mut self, topics: &[Topic]) {
        let mut places = TopicPartitionList::with_capacity(topics.len());
        for topic in topics {
            let Some(watched) = self.watched.get(topic.name()) else { continue };
            let offset = Offset::Offset(i64::try_from(watched.next).unwrap_or(i64::MAX));
            if let Err(error) = places.add_partition_offset(topic.name(), 0, offset) {
                let refused = refusal(&error, topic);
                self.give_up(topic.name(), refused);
            }
        }
        if places.count() == 0 {
            return;
        }
        if let Err(error) = self.consumer.incremental_assign(&places) {
            for topic in topics {
                let why = refused(format!("{topic} cannot be read: {error}"));
                self.give_up(topic.name(), why);
            }
        }
        self.hurry(topics);
    }

    /// Left alone, librdkafka looks once per second for the leaders of new topics. Requests that
    /// nobody waits for are answered all the same.
    fn hurry(&self, topics: &[Topic]) {
        if topics.len() > HURRIED_MAX {
            _ = self.consumer.fetch_metadata(None, Duration::ZERO);
            return;
        }
        for topic in topics {
            _ = self.consumer.fetch_metadata(Some(topic.name()), Duration::ZERO);
        }
    }

    fn unassign(&self, topics: &[Topic]) {
        if topics.is_empty() {
            return;
        }
        let mut places = TopicPartitionList::with_capacity(topics.len());
        for topic in topics {
            places.add_partition(topic.name(), 0);
        }
        if let Err(error) = self.consumer.incremental_unassign(&places) {
            tracing::debug!(%error, "unassigning what was not assigned");
        }
    }

    /// Compares the topics that were told of with those the positions are in.
    fn learn(&mut self, news: News) {
        let told = self.consumer.clone();
        for name in news.sighted {
            let seen = told.context().id_of(&name);
            let Some(watched) = self.watched.get_mut(&name) else { continue };
            if watched.topic_id.is_nil() {
                watched.topic_id = seen;
            } else if watched.topic_id != seen {
                let gap = Error::Gap(watched.topic.clone());
                self.give_up(&name, gap);
            } else {
                watched.doubtful = false;
            }
        }
        for name in news.cut {
            if let Some(watched) = self.watched.get(&name) {
                let gap = Error::Gap(watched.topic.clone());
                self.give_up(&name, gap);
            }
        }
    }

    fn suspect(&mut self, error: &KafkaError) -> Flow {
        if let KafkaError::MessageConsumptionFatal(code) = error {
            self.say(Item::Failed(refused(format!("the reader failed: {code}"))));
            return Flow::End;
        }
        let Some(code) = error.rdkafka_error_code() else { return Flow::On };
        if !doubt::passes(code) {
            let stopped = code == RDKafkaErrorCode::AutoOffsetReset;
            self.doubt.get_or_insert_default().some_stopped |= stopped;
        }
        Flow::On
    }

    /// Checks all topics after an error. Tried again later when the brokers do not answer.
    fn settle_doubt(&mut self) {
        for name in self.still_doubtful() {
            let Some(watched) = self.watched.get(&name) else { continue };
            let gap = Error::Gap(watched.topic.clone());
            self.give_up(&name, gap);
        }
        let Some(doubt) = self.doubt.take() else { return };
        match doubt::ask(&self.consumer, self.watched.values()) {
            Err(error) => {
                tracing::debug!(%error, "the topics that are read cannot be checked now");
                self.doubt = Some(doubt);
            }
            Ok(broken) => {
                let none_broken = broken.is_empty();
                for (topic, why) in broken {
                    self.give_up(topic.name(), why);
                }
                if none_broken && doubt.some_stopped {
                    let all: Vec<Topic> = self.watched.values().map(|w| w.topic.clone()).collect();
                    self.unassign(&all);
                    self.packed = None;
                    self.assign(&all);
                }
            }
        }
    }

    /// Topics whose position is in another topic, now that all was heard.
    fn still_doubtful(&mut self) -> Vec<Box<str>> {
        let mut wrong = Vec::new();
        let told = self.consumer.context();
        for (name, watched) in &mut self.watched {
            if std::mem::take(&mut watched.doubtful) && told.id_of(name) != watched.topic_id {
                wrong.push(name.clone());
            }
        }
        wrong
    }
}
