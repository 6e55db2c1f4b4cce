//! Sharing out: owning partition k of `sluice.shards` is owning every pool whose shard is k.
//!
//! The topic has no data. Its consumer group is what tells who is there, and the brokers see that
//! each partition has one owner: a member that they have not heard of for a session has none, and it
//! notices by itself when it has not heard of them for as long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt};
use infra::log::{Error, Group, Owned, Result};
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::{Message as _, TopicPartitionList};
use schemas::topic::{SHARDS, Topic};
use tokio::sync::mpsc;

use super::config::KafkaConfig;
use super::refusal::refused;
use super::threads::Threads;
use super::told::{name_of, pass_on};

/// How long a poll waits: how long leaving takes to begin.
const POLL: Duration = Duration::from_millis(50);
/// Changes that wait to be taken: all shards gained and lost twice.
const CHANGES_MAX: usize = 4 * SHARDS as usize;

/// The topic that is shared out.
pub(super) fn topic() -> Topic {
    Topic::named("sluice.shards")
}

/// Hears of what was gained and lost.
struct Member {
    changes: mpsc::Sender<Result<Owned>>,
}

impl Member {
    fn say(&self, partitions: &TopicPartitionList, change: fn(u8) -> Owned) {
        for partition in partitions.elements() {
            if let Ok(shard) = u8::try_from(partition.partition()) {
                // Nobody listens any more while it leaves.
                _ = self.changes.blocking_send(Ok(change(shard)));
            }
        }
    }
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        pass_on(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
    }
}

impl ConsumerContext for Member {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            self.say(partitions, Owned::Lost);
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            // There is nothing to fetch.
            if let Err(error) = consumer.pause(partitions) {
                tracing::debug!(%error, "shards could not be paused");
            }
            self.say(partitions, Owned::Gained);
        }
    }
}

/// Leaves the group when it is dropped.
struct Membership(Arc<AtomicBool>);

impl Drop for Membership {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Joins the group. Dropping the stream leaves it.
pub(super) fn join(
    config: &KafkaConfig,
    threads: &Threads,
    group: Group,
) -> Result<BoxStream<'static, Result<Owned>>> {
    let (changes, news) = mpsc::channel(CHANGES_MAX);
    let last_word = changes.clone();
    let member: BaseConsumer<Member> =
        BaseConsumer::from_config_and_context(&config.member(group), Member { changes })
            .map_err(|error| Error::Misconfigured(error.to_string()))?;
    member.subscribe(&[topic().name()]).map_err(|error| refused(error.to_string()))?;
    let leave = Arc::new(AtomicBool::new(false));
    let leaving = leave.clone();
    threads.start(name_of(group), move || {
        while !leaving.load(Ordering::Acquire) {
            match member.poll(POLL) {
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    let over = refused(format!("{} failed: {code}", name_of(group)));
                    _ = last_word.blocking_send(Err(over));
                    break;
                }
                Some(Err(error)) => tracing::debug!(%error, group = name_of(group), "sharing"),
                Some(Ok(record)) => {
                    tracing::warn!(offset = record.offset(), "a record in sluice.shards");
                }
                None => {}
            }
        }
        // Dropping the consumer tells the group.
    })?;
    let changes = stream::unfold((news, Membership(leave)), |(mut news, membership)| async {
        let change = news.recv().await?;
        Some((change, (news, membership)))
    });
    Ok(changes.boxed())
}
