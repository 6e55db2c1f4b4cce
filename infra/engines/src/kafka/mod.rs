//! The log on Kafka.
//!
//! ```text
//!   append ─▶ lane ─▶ line (one idempotent producer) ─▶ reports ─▶ answer
//!   tail   ◀─ desk ◀─ reader (one consumer, one thread, many topics)
//!   find   ─▶ places          ensure ─▶ topics          own ◀─ shards (a consumer group)
//! ```
//!
//! * Durable is what the broker reported with `acks=all`: on as many copies as `min_isr` says. One
//!   copy on one broker survives the broker's process, not its machine: Kafka does not sync.
//! * A record's time is the broker's (`LogAppendTime`), and two brokers' clocks may differ: it can
//!   step back when the leader changes. Who decides by it takes the running maximum.
//! * Which topic of a name it is, is Kafka's own topic id: see [`told`].

mod config;
mod doubt;
mod lane;
mod line;
mod packing;
mod places;
mod reader;
mod record;
mod refusal;
mod reports;
mod shards;
mod tail;
mod threads;
mod told;
mod topics;

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use infra::clock::{Clock, SystemClock};
use infra::log::{
    Append, Appended, Draft, Error, Find, Group, Owned, Position, Read, Result, Tail,
};
use schemas::topic::{SHARDS, Topic};

pub use config::KafkaConfig;
use lane::Lane;
use places::Places;
use tail::KafkaTail;
use threads::Threads;

/// How long a topic that was just made may be unknown to some brokers.
const SPREAD_MAX: Duration = Duration::from_secs(3);
/// How often it is looked for meanwhile.
const SPREAD_LOOK: Duration = Duration::from_millis(20);

/// A log kept by Kafka. Its threads end soon after it is dropped; [`KafkaLog::close`] waits for them.
pub struct KafkaLog {
    config: Arc<KafkaConfig>,
    clock: Arc<SystemClock>,
    threads: Threads,
    lanes: Vec<Lane>,
    places: Arc<Places>,
    ensured: Mutex<HashSet<Topic>>,
}

impl KafkaLog {
    /// Opens the log. Its producers begin to connect; Kafka may come up later.
    pub fn open(config: KafkaConfig) -> Result<Arc<Self>> {
        config.check()?;
        let (config, threads) = (Arc::new(config), Threads::new());
        let clock = SystemClock::new();
        let lane = |_| Lane::open(&config, &clock, &threads);
        let lanes = (0..config.lanes).map(lane).collect::<Result<_>>()?;
        let places = Places::new(&config)?;
        Ok(Arc::new(Self { config, clock, threads, lanes, places, ensured: Mutex::default() }))
    }

    /// Ends the appends and waits, no longer than `patience`, until every thread of this log has
    /// ended: its tails and memberships must have been dropped. A group is then known to have been
    /// left. Whether all have.
    pub async fn close(&self, patience: Duration) -> bool {
        for lane in &self.lanes {
            lane.stop();
        }
        self.threads.ended(patience).await
    }

    fn lane_of(&self, topic: &Topic) -> Result<&Lane> {
        let mut hasher = DefaultHasher::new();
        topic.hash(&mut hasher);
        let lanes = u64::try_from(self.lanes.len()).unwrap_or(1);
        let index = usize::try_from(hasher.finish() % lanes).unwrap_or(0);
        self.lanes.get(index).ok_or_else(|| Error::Misconfigured("no lanes".into()))
    }

    /// After an answer that some broker may give only because it has not heard yet of a topic that
    /// this log made: waits a little, and says whether to ask again.
    async fn spreads<T>(&self, answer: &Result<T>, asked_at: Duration) -> bool {
        let Err(Error::NoTopic(topic)) = answer else { return false };
        let ensured = self.ensured().contains(topic);
        if !ensured || self.clock.uptime() > asked_at + SPREAD_MAX {
            return false;
        }
        tokio::time::sleep(SPREAD_LOOK).await;
        true
    }

    fn ensured(&self) -> MutexGuard<'_, HashSet<Topic>> {
        self.ensured.lock().expect("nothing panics while it holds the names")
    }
}

#[async_trait]
impl Append for KafkaLog {
    async fn append(&self, to: &Topic, drafts: Vec<Draft>) -> Result<Appended> {
        debug_assert!(!drafts.is_empty(), "an append of nothing to {to}");
        let (lane, asked_at) = (self.lane_of(to)?, self.clock.uptime());
        loop {
            let answer = lane.append(to, &drafts).await;
            if !self.spreads(&answer, asked_at).await {
                return answer;
            }
        }
    }

    async fn ensure(&self, topic: &Topic) -> Result<()> {
        topics::ensure(&self.config, topic, 1).await?;
        self.ensured().insert(topic.clone());
        Ok(())
    }
}

#[async_trait]
impl Read for KafkaLog {
    async fn find(&self, topic: &Topic, at: Find) -> Result<Position> {
        let asked_at = self.clock.uptime();
        loop {
            let answer = self.places.find(topic, at).await;
            if !self.spreads(&answer, asked_at).await {
                return answer;
            }
        }
    }

    async fn tail(&self, ahead_bytes_max: usize) -> Result<Box<dyn Tail>> {
        Ok(Box::new(KafkaTail::open(&self.config, &self.threads, ahead_bytes_max)?))
    }

    async fn own(&self, group: Group) -> Result<BoxStream<'static, Result<Owned>>> {
        topics::ensure(&self.config, &shards::topic(), SHARDS).await?;
        shards::join(&self.config, &self.threads, group)
    }
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLog").field("config", &self.config).finish_non_exhaustive()
    }
}
