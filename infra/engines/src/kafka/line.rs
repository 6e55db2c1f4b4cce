//! One idempotent producer for as long as nothing goes wrong with it.
//!
//! librdkafka may give up a record and still send a later one of the same append: a hole, where the
//! door allows a prefix at most. So nothing in a producer ever times out by itself. When an append
//! has waited too long, or Kafka raised a fatal error, the whole line is retired: it takes no more
//! appends, those under way may still end well, and then everything left in it is purged. Its
//! successor takes the other topics at once, but a topic that was given up only when the old line
//! has ended, so that nothing old goes out after something new.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use infra::clock::{Clock, SystemClock};
use infra::log::{Appended, Draft, Error, Result};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, PurgeConfig};
use schemas::topic::Topic;
use tokio::sync::oneshot;

use super::config::KafkaConfig;
use super::record::Mirror;
use super::refusal::{refusal, refusal_of, refused};
use super::reports::{Pending, Reports};
use super::threads::Threads;

/// How often the line looks at what it waits for.
const TICK: Duration = Duration::from_millis(50);
/// How long the reports of what was purged may take.
const FLUSH: Duration = Duration::from_secs(1);
/// How long a request for a topic's whereabouts may take.
const LOOK: Duration = Duration::from_secs(2);

/// A producer and what is under way in it.
pub(super) struct Line {
    patience: Duration,
    queue_bytes_max: usize,
    clock: Arc<SystemClock>,
    under_way: Arc<AtomicUsize>,
    gate: Mutex<Gate>,
    stop: AtomicBool,
    ended: AtomicBool,
    /// One look at a time; when the last one failed, by the clock's uptime.
    looking: tokio::sync::Mutex<Option<Duration>>,
}

/// What every append passes.
struct Gate {
    producer: Option<Arc<BaseProducer<Reports>>>,
    retired: bool,
    /// Topics that exist and have a leader, as far as is known.
    known: HashSet<Topic>,
    /// Topics of which something was given up.
    broken: HashSet<Topic>,
    waiting: Vec<(Duration, Weak<Pending>)>,
}

/// Why an append did not pass the gate.
pub(super) enum Shut {
    /// This line takes none: ask the next one.
    Retired,
    /// It was refused.
    Refused(Error),
}

type Answer = oneshot::Receiver<Result<Appended>>;

impl Line {
    /// A new line. Nothing is sent yet.
    pub(super) fn open(
        config: &KafkaConfig,
        clock: &Arc<SystemClock>,
        threads: &Threads,
    ) -> Result<Arc<Self>> {
        let producer =
            BaseProducer::from_config_and_context(&config.producer(), Reports::default())
                .map_err(|error| Error::Misconfigured(error.to_string()))?;
        let producer = Arc::new(producer);
        let gate = Gate {
            producer: Some(producer.clone()),
            retired: false,
            known: HashSet::new(),
            broken: HashSet::new(),
            waiting: Vec::new(),
        };
        let line = Arc::new(Self {
            patience: config.patience,
            queue_bytes_max: config.queue_bytes_max,
            clock: clock.clone(),
            under_way: Arc::default(),
            gate: Mutex::new(gate),
            stop: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            looking: tokio::sync::Mutex::default(),
        });
        let served = line.clone();
        threads.start("append", move || served.serve(producer))?;
        Ok(line)
    }

    /// Whether it takes appends.
    pub(super) fn open_for_appends(&self) -> bool {
        !self.gate().retired
    }

    /// Whether a record of this topic may still go out although it was given up.
    pub(super) fn holds(&self, topic: &Topic) -> bool {
        !self.ended() && self.gate().broken.contains(topic)
    }

    /// Whether nothing will go out any more.
    pub(super) fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Ends it soon, whatever is under way.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Whether the topic exists and has a leader, asking Kafka when that is not known.
    pub(super) async fn find(self: &Arc<Self>, topic: &Topic) -> Result<(), Error> {
        if self.gate().known.contains(topic) {
            return Ok(());
        }
        let mut failed_at = self.looking.lock().await;
        if self.gate().known.contains(topic) {
            return Ok(());
        }
        let retry_at = failed_at.map(|at| at + super::refusal::RETRY_AFTER);
        if retry_at.is_some_and(|at| self.clock.uptime() < at) {
            return Err(refused("Kafka cannot be reached"));
        }
        let (line, asked) = (self.clone(), topic.clone());
        let found = super::threads::aside(move || Ok(line.look(&asked))).await?;
        *failed_at = match &found {
            Err(Error::Refused { .. }) => Some(self.clock.uptime()),
            _ => None,
        };
        found
    }

    fn look(&self, topic: &Topic) -> Result<(), Error> {
        let Some(producer) = self.gate().producer.clone() else {
            return Err(refused("the producer ended"));
        };
        let metadata = producer
            .client()
            .fetch_metadata(Some(topic.name()), LOOK)
            .map_err(|error| refusal(&error, topic))?;
        let Some(seen) = metadata.topics().first() else {
            return Err(Error::NoTopic(topic.clone()));
        };
        if let Some(error) = seen.error() {
            return Err(refusal_of(RDKafkaErrorCode::from(error), topic));
        }
        if seen.partitions().first().is_none_or(|partition| partition.leader() < 0) {
            return Err(refused(format!("{topic} has no leader")));
        }
        self.gate().known.insert(topic.clone());
        Ok(())
    }

    /// Sends the drafts. What comes of it comes through the receiver, within `patience`.
    pub(super) fn send(
        &self,
        topic: &Topic,
        drafts: &[Draft],
        mirrors: &[Mirror],
    ) -> Result<Answer, Shut> {
        let record_bytes =
            |(draft, mirror): (&Draft, &Mirror)| draft.value.len() + mirror.head_bytes(draft);
        let size_bytes = drafts.iter().zip(mirrors).map(record_bytes).sum();
        let mut gate = self.gate();
        let Some(producer) = gate.producer.clone().filter(|_| !gate.retired) else {
            return Err(Shut::Retired);
        };
        let under_way = self.under_way.load(Ordering::Relaxed);
        if under_way > 0 && under_way + size_bytes > self.queue_bytes_max {
            let reason = format!("{under_way} bytes of appends are under way");
            return Err(Shut::Refused(refused(reason)));
        }
        let (pending, answer) = Pending::new(topic, drafts.len(), size_bytes, &self.under_way);
        gate.waiting.push((self.clock.uptime() + self.patience, Arc::downgrade(&pending)));
        for (index, (draft, mirror)) in drafts.iter().zip(mirrors).enumerate() {
            let record = BaseRecord::with_opaque_to(topic.name(), pending.clone())
                .partition(0)
                .key(&*draft.key)
                .payload(draft.value.as_ref())
                .headers(mirror.headers());
            if let Err((error, _)) = producer.send(record) {
                if index == 0 {
                    return Err(Shut::Refused(refusal(&error, topic)));
                }
                // The drafts before this one are on their way already.
                pending.give_up(&error.to_string());
                gate.retire(topic);
                break;
            }
        }
        Ok(answer)
    }

    /// The line's thread: reports are handled as they come, the rest once per tick.
    fn serve(&self, producer: Arc<BaseProducer<Reports>>) {
        loop {
            producer.poll(TICK);
            self.look_after(&producer);
            let gate = self.gate();
            let over = gate.retired && gate.waiting.is_empty();
            if over || self.stop.load(Ordering::Acquire) {
                break;
            }
        }
        {
            let mut gate = self.gate();
            gate.retired = true;
            gate.producer = None;
        }
        producer.purge(PurgeConfig::default().queue().inflight());
        if let Err(error) = producer.flush(FLUSH) {
            tracing::warn!(%error, "some appends were not reported when their producer ended");
        }
        drop(producer);
        self.ended.store(true, Ordering::Release);
    }

    fn look_after(&self, producer: &BaseProducer<Reports>) {
        let reports = producer.context();
        let mut gate = self.gate();
        if reports.all_down() {
            // Ask again before anything more is sent: it would only wait.
            gate.known.clear();
        }
        if reports.failed() {
            gate.known.clear();
            if let Some((code, reason)) = producer.client().fatal_error() {
                tracing::warn!(%code, reason, "the producer failed and is made anew");
                gate.retired = true;
            }
        }
        let now = self.clock.uptime();
        let mut given_up = Vec::new();
        gate.waiting.retain(|(deadline, pending)| {
            let Some(pending) = pending.upgrade() else { return false };
            if pending.answered() {
                return false;
            }
            if *deadline > now {
                return true;
            }
            if pending.give_up(&format!("no answer within {:?}", self.patience)) {
                given_up.push(pending.topic.clone());
            }
            false
        });
        for topic in given_up {
            gate.retire(&topic);
        }
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().expect("nothing panics while it holds the gate")
    }
}

impl Gate {
    fn retire(&mut self, topic: &Topic) {
        if !self.retired {
            tracing::warn!(%topic, "an append was given up: its producer is made anew");
        }
        self.retired = true;
        self.broken.insert(topic.clone());
    }
}
