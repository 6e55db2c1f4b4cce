//! How the Kafka log is set up, and what each of its clients is told.

use std::fmt;
use std::time::Duration;

use infra::log::{Error, Group};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

/// Where Kafka is and how the log is to be kept there.
#[derive(Clone)]
pub struct KafkaConfig {
    /// Addresses to begin with: `host:port`, separated by commas.
    pub bootstrap: String,
    /// Settings of librdkafka for all clients, such as `security.protocol`, `sasl.mechanism`,
    /// `sasl.username`, `sasl.password`, `ssl.ca.location`. What the log's promises rest on
    /// (`acks`, `enable.idempotence`, `isolation.level` …) cannot be changed here.
    pub options: Vec<(String, String)>,
    /// Copies of each topic that is made.
    pub replication: u16,
    /// Copies that must have a record before its append returns.
    pub min_isr: u16,
    /// Largest value of a record. Its key and headers may take 32 KiB more.
    pub record_bytes_max: usize,
    /// How long an append may take before its outcome is called unknown. It should outlast the
    /// election of a new leader: about 10 s with the broker's own settings.
    pub patience: Duration,
    /// Bytes of appends under way in each lane; more are refused.
    pub queue_bytes_max: usize,
    /// Producers that share the topics among them. A broker works off the requests of a connection
    /// one by one, so this is how many topics are appended to at once.
    pub lanes: usize,
}

/// What a topic takes beside a record's value: its key and headers, and the head of its batch.
pub(super) const HEAD_BYTES_MAX: usize = 65_536;
/// How often the group hears from a member. A third of the session is usual; it is less here, since
/// this is how long the others take to notice that a member has left.
const HEARTBEAT_MS: u32 = 1_000;
/// How long a silent member keeps its shards: the least that brokers allow by default.
pub(super) const SESSION_MS: u32 = 6_000;

impl KafkaConfig {
    /// Kafka at these addresses, set up for a single broker without security.
    pub fn new(bootstrap: impl Into<String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            options: Vec::new(),
            replication: 1,
            min_isr: 1,
            record_bytes_max: 900_000,
            patience: Duration::from_secs(10),
            queue_bytes_max: 64 << 20,
            lanes: 2,
        }
    }

    /// `max.message.bytes` of the topics: a batch of one of the largest records fits.
    pub(super) fn batch_bytes_max(&self) -> usize {
        self.record_bytes_max + HEAD_BYTES_MAX
    }

    /// What all clients have in common.
    pub(super) fn client(&self, role: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in &self.options {
            config.set(name, value);
        }
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", format!("sluice-{role}"))
            .set("allow.auto.create.topics", "false")
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("log.thread.name", "false")
            .set_log_level(RDKafkaLogLevel::Warning);
        config
    }

    /// Lets a client say which topic of a name it sees: see [`super::told`].
    fn telling(config: &mut ClientConfig) {
        config.set("debug", "topic,metadata").set_log_level(RDKafkaLogLevel::Debug);
    }

    /// Appends. Nothing times out by itself: a record that is given up while a later one of the
    /// same append goes on would leave a hole. The line ends as a whole instead (see `line`).
    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.client("append");
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("enable.gapless.guarantee", "true")
            .set("message.timeout.ms", "0")
            .set("request.timeout.ms", self.patience.as_millis().max(1).to_string())
            .set("socket.timeout.ms", self.patience.as_millis().clamp(1_000, 60_000).to_string())
            // What comes while five requests are under way goes together with the next.
            .set("linger.ms", "0")
            .set("compression.codec", "lz4")
            .set("message.max.bytes", self.batch_bytes_max().to_string())
            .set("batch.size", self.batch_bytes_max().min(512 << 10).to_string())
            .set("retry.backoff.ms", "50")
            .set("retry.backoff.max.ms", "500")
            .set("topic.metadata.propagation.max.ms", "5000")
            // Our own bounds are smaller, and known before the first record of an append is sent.
            .set("queue.buffering.max.messages", "10000000")
            .set("queue.buffering.max.kbytes", "2147483647");
        config
    }

    /// Looks places up. Without a group, so that its events come from the main queue.
    pub(super) fn places(&self) -> ClientConfig {
        let mut config = self.client("find");
        config.set("isolation.level", "read_committed");
        Self::telling(&mut config);
        config
    }

    /// Reads many topics, holding about `ahead_bytes_max` bytes.
    ///
    /// librdkafka stops asking at `queued.max.messages.kbytes`, of which it counts keys and values
    /// only (with headers and its own a record takes about twice that), and one answer, which
    /// counts compressed bytes, may still come on top: so a quarter of what is allowed.
    pub(super) fn tail(&self, ahead_bytes_max: usize) -> ClientConfig {
        let answer_bytes = (ahead_bytes_max / 16).clamp(16 << 10, 4 << 20);
        let queued_kib = (ahead_bytes_max / 4 / 1_024).clamp(1, 1 << 20);
        let mut config = self.client("tail");
        config
            .set("group.id", "sluice-tail") // never joined: it makes the one queue
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("check.crcs", "true")
            .set("message.max.bytes", answer_bytes.to_string())
            .set("fetch.max.bytes", answer_bytes.to_string())
            .set("max.partition.fetch.bytes", (answer_bytes / 2).to_string())
            .set("queued.max.messages.kbytes", queued_kib.to_string())
            .set("fetch.queue.backoff.ms", "2")
            .set("fetch.error.backoff.ms", "100")
            // A newly watched topic waits for the fetch under way.
            .set("fetch.wait.max.ms", "100")
            .set("topic.metadata.propagation.max.ms", "3000");
        Self::telling(&mut config);
        config
    }

    /// Shares shards out: the classic protocol, since the newer one cannot tell in less than 45 s
    /// that a member died; cooperative, so that only the shards that move are lost.
    pub(super) fn member(&self, group: Group) -> ClientConfig {
        let (role, id) = match group {
            Group::Batchers => ("batcher", "sluice-batchers"),
            Group::Projectors => ("projector", "sluice-projectors"),
            Group::Inspectors => ("inspector", "sluice-inspectors"),
        };
        let mut config = self.client(role);
        config
            .set("group.id", id)
            .set("group.protocol", "classic")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", SESSION_MS.to_string())
            .set("heartbeat.interval.ms", HEARTBEAT_MS.to_string())
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "latest");
        config
    }

    /// Whether it makes sense at all, and this build can do it.
    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |what: String| Err(Error::Misconfigured(what));
        if self.bootstrap.trim().is_empty() {
            return wrong("Kafka's bootstrap address is empty".into());
        }
        if self.lanes == 0 || self.replication == 0 || self.min_isr == 0 {
            return wrong("lanes, replication and min_isr start at 1".into());
        }
        if self.min_isr > self.replication {
            return wrong(format!("min_isr {} of {} copies", self.min_isr, self.replication));
        }
        // The largest that fits `message.max.bytes` of librdkafka.
        if !(1_000..=900_000_000).contains(&self.record_bytes_max) {
            return wrong(format!("record_bytes_max {}", self.record_bytes_max));
        }
        Ok(())
    }
}

/// The values of options may be secrets: only their names are shown.
impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options: Vec<&str> = self.options.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("KafkaConfig")
            .field("bootstrap", &self.bootstrap)
            .field("options", &options)
            .field("replication", &self.replication)
            .field("min_isr", &self.min_isr)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_said() {
        let good = KafkaConfig::new("127.0.0.1:1");
        assert_eq!(good.check(), Ok(()));
        let bad = [
            KafkaConfig { bootstrap: " ".into(), ..good.clone() },
            KafkaConfig { lanes: 0, ..good.clone() },
            KafkaConfig { min_isr: 2, ..good.clone() },
            KafkaConfig { record_bytes_max: 10, ..good },
        ];
        for config in bad {
            assert!(matches!(config.check(), Err(Error::Misconfigured(_))), "{config:?}");
        }
    }

    #[test]
    fn promises_cannot_be_configured_away_and_secrets_are_not_shown() {
        let mut config = KafkaConfig::new("127.0.0.1:1");
        for (name, value) in [("acks", "0"), ("isolation.level", "read_uncommitted")] {
            config.options.push((name.into(), value.into()));
        }
        config.options.push(("sasl.password".into(), "hunter2".into()));
        assert_eq!(config.producer().get("acks"), Some("all"));
        assert_eq!(config.tail(1 << 20).get("isolation.level"), Some("read_committed"));
        assert_eq!(config.producer().get("sasl.password"), Some("hunter2"));
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
