//! Topics are made here, with every setting that the log's promises rest on written out.

use std::sync::Arc;
use std::time::Duration;

use infra::log::{Error, Result};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::FromClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use schemas::topic::{Cleanup, Topic};

use super::config::KafkaConfig;
use super::refusal::{refusal, refusal_of, refused};
use super::threads::aside;

/// How long one request to the controller may take.
const ASK: Duration = Duration::from_secs(10);
/// How often a new topic is looked for until the brokers show it.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long they may take.
const LOOK_MAX: Duration = Duration::from_secs(10);

/// A client that is made for one errand: nobody listens to an idle one, and its log would grow.
struct Errand(Option<AdminClient<rdkafka::client::DefaultClientContext>>);

impl Errand {
    fn begin(config: &KafkaConfig) -> Result<Self> {
        let admin = AdminClient::from_config(&config.client("admin"))
            .map_err(|error| Error::Misconfigured(error.to_string()))?;
        Ok(Self(Some(admin)))
    }

    fn admin(&self) -> &AdminClient<rdkafka::client::DefaultClientContext> {
        self.0.as_ref().expect("it is there until the errand ends")
    }
}

/// Its thread is waited for, up to 100 ms: not on a thread of the runtime.
impl Drop for Errand {
    fn drop(&mut self) {
        let admin = self.0.take();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn_blocking(move || drop(admin)));
        }
    }
}

/// Makes the topic with so many partitions, unless it is there; then its settings must fit.
pub(super) async fn ensure(config: &KafkaConfig, topic: &Topic, partitions: u8) -> Result<()> {
    let errand = Errand::begin(config)?;
    let settings = settings(config, topic);
    let options = AdminOptions::new().request_timeout(Some(ASK)).operation_timeout(Some(ASK));
    let replication = TopicReplication::Fixed(i32::from(config.replication));
    let mut wanted = NewTopic::new(topic.name(), i32::from(partitions), replication);
    for (name, value) in &settings {
        wanted = wanted.set(name, value);
    }
    let made = errand.admin().create_topics([&wanted], &options);
    let made = made.await.map_err(|error| refusal(&error, topic))?;
    let existed = match made.first() {
        None => return Err(refused(format!("{topic}: no answer about making it"))),
        Some(Ok(_)) => false,
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => true,
        Some(Err((_, code))) => return Err(refusal_of(*code, topic)),
    };
    let errand = Arc::new(errand);
    match tokio::time::timeout(LOOK_MAX, seen(&errand, topic, existed, &settings)).await {
        Ok(Ok(count)) if count == usize::from(partitions) => Ok(()),
        Ok(Ok(count)) => Err(Error::Misconfigured(format!(
            "topic {topic} has {count} partitions, not {partitions}"
        ))),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(refused(format!("{topic} was made but is not there yet"))),
    }
}

/// Waits until the topic is there for use, and counts its partitions.
async fn seen(
    errand: &Arc<Errand>,
    topic: &Topic,
    existed: bool,
    settings: &[(&'static str, String)],
) -> Result<usize> {
    loop {
        let (looking, asked) = (errand.clone(), topic.clone());
        let seen = match aside(move || look(&looking, &asked)).await {
            Ok(count) if existed => check(errand.admin(), topic, settings).await.map(|()| count),
            other => other,
        };
        match seen {
            // Brokers hear of a new topic one after the other, and show it before they lead it.
            Err(Error::NoTopic(_) | Error::Refused { .. }) => tokio::time::sleep(LOOK_EVERY).await,
            other => return other,
        }
    }
}

/// How many partitions the topic has, once they have leaders and the first answers.
fn look(errand: &Errand, topic: &Topic) -> Result<usize> {
    let client = errand.admin().inner();
    let refuse = |error: KafkaError| refusal(&error, topic);
    let metadata = client.fetch_metadata(Some(topic.name()), ASK).map_err(refuse)?;
    let Some(seen) = metadata.topics().first() else {
        return Err(Error::NoTopic(topic.clone()));
    };
    if let Some(error) = seen.error() {
        return Err(refusal_of(RDKafkaErrorCode::from(error), topic));
    }
    let partitions = seen.partitions();
    if partitions.is_empty() || partitions.iter().any(|partition| partition.leader() < 0) {
        return Err(refused(format!("{topic} has no leader")));
    }
    client.fetch_watermarks(topic.name(), 0, ASK).map_err(refuse)?;
    Ok(partitions.len())
}

fn settings(config: &KafkaConfig, topic: &Topic) -> Vec<(&'static str, String)> {
    let cleanup = match topic.cleanup() {
        Cleanup::Keep => "delete",
        Cleanup::Compact => "compact",
    };
    vec![
        ("message.timestamp.type", "LogAppendTime".to_owned()),
        ("cleanup.policy", cleanup.to_owned()),
        ("retention.ms", "-1".to_owned()),
        ("retention.bytes", "-1".to_owned()),
        ("min.insync.replicas", config.min_isr.to_string()),
        ("max.message.bytes", config.batch_bytes_max().to_string()),
    ]
}

/// Whether a setting as it is serves for what it should be: more is better where it is a bound.
fn serves(name: &str, is: &str, should: &str) -> bool {
    match name {
        "min.insync.replicas" | "max.message.bytes" => {
            matches!((is.parse::<u64>(), should.parse::<u64>()), (Ok(is), Ok(should)) if is >= should)
        }
        _ => is == should,
    }
}

async fn check(
    admin: &AdminClient<rdkafka::client::DefaultClientContext>,
    topic: &Topic,
    settings: &[(&'static str, String)],
) -> Result<()> {
    let options = AdminOptions::new().request_timeout(Some(ASK));
    let asked = ResourceSpecifier::Topic(topic.name());
    let described = admin.describe_configs([&asked], &options);
    let described = described.await.map_err(|error| refusal(&error, topic))?;
    let found = match described.first() {
        Some(Ok(found)) => found.entry_map(),
        Some(Err(code)) => return Err(refusal_of(*code, topic)),
        None => return Err(refused(format!("{topic}: no answer about its settings"))),
    };
    let mut wrong = Vec::new();
    for (name, should) in settings {
        let is = found.get(name).and_then(|entry| entry.value.as_deref()).unwrap_or("nothing");
        if !serves(name, is, should) {
            wrong.push(format!("{name} is {is}, not {should}"));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Error::Misconfigured(format!("topic {topic}: {}", wrong.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_keep_everything_or_the_newest_of_each_key() {
        let config = KafkaConfig { min_isr: 2, replication: 3, ..KafkaConfig::new("x:1") };
        let of = |topic: &Topic, name: &str| {
            let settings = settings(&config, topic);
            settings.iter().find(|(known, _)| *known == name).unwrap().1.clone()
        };
        let (kept, compacted) = (Topic::named("sluice.pool.a-b.events"), Topic::directory());
        assert_eq!([of(&kept, "cleanup.policy"), of(&kept, "retention.ms")], ["delete", "-1"]);
        assert_eq!(of(&compacted, "cleanup.policy"), "compact");
        assert_eq!(of(&kept, "message.timestamp.type"), "LogAppendTime");
        assert_eq!(of(&kept, "max.message.bytes"), "965536");
    }

    #[test]
    fn a_stronger_setting_serves() {
        for (name, is, should, good) in [
            ("retention.ms", "-1", "-1", true),
            ("retention.ms", "604800000", "-1", false),
            ("min.insync.replicas", "2", "1", true),
            ("min.insync.replicas", "1", "2", false),
            ("max.message.bytes", "1048588", "965536", true),
            ("max.message.bytes", "nothing", "965536", false),
        ] {
            assert_eq!(serves(name, is, should), good, "{name} {is} {should}");
        }
    }
}
