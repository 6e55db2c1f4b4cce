//! Finding places: the start, the end or a time in a topic, and which topic it is.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use infra::log::{Error, Find, Position, Result};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use schemas::topic::Topic;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::config::KafkaConfig;
use super::refusal::{refusal, refusal_of, refused};
use super::threads::aside;
use super::told::Told;

/// How long one request may take.
const ASK: Duration = Duration::from_secs(5);
/// Requests at once: each blocks a thread.
const ASKING_MAX: usize = 8;

/// Asks Kafka.
pub(super) struct Places {
    consumer: BaseConsumer<Told>,
    /// One at a time takes lines off the queue, so that none is in another's hands.
    listening: Mutex<()>,
    asking: Semaphore,
}

impl Places {
    /// Nothing is asked yet.
    pub(super) fn new(config: &KafkaConfig) -> Result<Arc<Self>> {
        let consumer = BaseConsumer::from_config_and_context(&config.places(), Told::default())
            .map_err(|error| Error::Misconfigured(error.to_string()))?;
        let asking = Semaphore::new(ASKING_MAX);
        Ok(Arc::new(Self { consumer, listening: Mutex::default(), asking }))
    }

    /// Finds a place.
    pub(super) async fn find(self: &Arc<Self>, topic: &Topic, at: Find) -> Result<Position> {
        let Ok(_seat) = self.asking.acquire().await else {
            return Err(refused("the log is closed"));
        };
        let (places, topic) = (self.clone(), topic.clone());
        aside(move || places.ask(&topic, at)).await
    }

    fn ask(&self, topic: &Topic, at: Find) -> Result<Position> {
        let topic_id = self.topic_id(topic)?;
        let next = match at {
            Find::Start => self.ends(topic)?.0,
            Find::End => self.ends(topic)?.1,
            Find::At(time) => match self.first_at(topic, time.millis())? {
                Some(offset) => offset,
                None => self.ends(topic)?.1,
            },
        };
        let next = u64::try_from(next).map_err(|_| refused(format!("{topic}: offset {next}")))?;
        Ok(Position { topic_id, next })
    }

    /// Which topic has this name, as the brokers say now.
    fn topic_id(&self, topic: &Topic) -> Result<Uuid> {
        let metadata = self
            .consumer
            .fetch_metadata(Some(topic.name()), ASK)
            .map_err(|error| refusal(&error, topic))?;
        let Some(seen) = metadata.topics().first() else {
            return Err(Error::NoTopic(topic.clone()));
        };
        if let Some(error) = seen.error() {
            return Err(refusal_of(RDKafkaErrorCode::from(error), topic));
        }
        // What it says of the topic's id was queued before its answer was given.
        let told = self.consumer.context();
        let _alone = self.listening.lock().expect("nothing panics while it listens");
        loop {
            let heard = told.heard();
            let event = self.consumer.poll(Duration::ZERO);
            if event.is_none() && told.heard() == heard {
                break;
            }
        }
        _ = told.news();
        Ok(told.id_of(topic.name()))
    }

    /// The oldest offset kept, and the end.
    fn ends(&self, topic: &Topic) -> Result<(i64, i64)> {
        self.consumer.fetch_watermarks(topic.name(), 0, ASK).map_err(|error| refusal(&error, topic))
    }

    /// The first record appended at this time or later, if there is one.
    fn first_at(&self, topic: &Topic, millis: i64) -> Result<Option<i64>> {
        let mut times = TopicPartitionList::with_capacity(1);
        times
            .add_partition_offset(topic.name(), 0, Offset::Offset(millis))
            .map_err(|error| refusal(&error, topic))?;
        let found =
            self.consumer.offsets_for_times(times, ASK).map_err(|error| refusal(&error, topic))?;
        let Some(place) = found.find_partition(topic.name(), 0) else {
            return Err(refused(format!("{topic}: no answer about a time")));
        };
        place.error().map_err(|error| refusal(&error, topic))?;
        Ok(match place.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        })
    }
}
