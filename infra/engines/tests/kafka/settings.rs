//! What topics and records look like to others.

use engines::kafka::{KafkaConfig, KafkaLog};
use infra::log::{Append, Draft, Error};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message, Timestamp};
use rdkafka::{Offset, TopicPartitionList};
use schemas::wire::Cause;

use crate::rig::{self, SOON, draft, soon};

type Settings<'a> = &'a [(&'a str, &'a str)];

#[tokio::test(flavor = "multi_thread")]
async fn an_unfit_topic_is_told_in_words() {
    let Some(address) = rig::broker("an unfit topic is told in words") else { return };
    let log = rig::open(&address);
    let fit = [
        ("message.timestamp.type", "LogAppendTime"),
        ("retention.ms", "-1"),
        ("max.message.bytes", "2000000"),
    ];
    let cases: [(_, Settings<'_>, _); 5] = [
        (1, &[], "message.timestamp.type is CreateTime, not LogAppendTime"),
        (1, &fit[..1], "retention.ms is 604800000, not -1"),
        (2, &fit, "has 2 partitions, not 1"),
        (1, &[fit[0], fit[1], ("cleanup.policy", "compact")], "cleanup.policy is compact"),
        (1, &[fit[0], fit[1], ("max.message.bytes", "1000")], "max.message.bytes is 1000"),
    ];
    for (partitions, settings, expected) in cases {
        let topic = rig::fresh("unfit");
        rig::make(&address, &topic, partitions, settings).await;
        match soon(log.ensure(&topic)).await {
            Err(Error::Misconfigured(why)) => assert!(why.contains(expected), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    let topic = rig::fresh("fit");
    rig::make(&address, &topic, 1, &fit).await;
    assert_eq!(soon(log.ensure(&topic)).await, Ok(()), "stronger than asked for is fine");
    let many = KafkaConfig { replication: 3, ..KafkaConfig::new(address) };
    let refused = soon(KafkaLog::open(many).unwrap().ensure(&rig::fresh("three"))).await;
    assert!(matches!(refused, Err(Error::Misconfigured(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn others_see_a_cloud_event_with_its_attributes_as_headers() {
    let Some(address) = rig::broker("records are CloudEvents to others") else { return };
    let log = rig::open(&address);
    let topic = rig::fresh("seen");
    log.ensure(&topic).await.unwrap();
    let mut derived: Draft = draft("{}");
    derived.attributes.subject = Some("demo".into());
    derived.attributes.cause = Some(Cause { offset: 1 << 40, index: 2, last: false });
    let appended = soon(log.append(&topic, vec![derived])).await.unwrap();
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &address)
        .set("group.id", "test-others")
        .create()
        .unwrap();
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(topic.name(), 0, Offset::Beginning).unwrap();
    consumer.assign(&from).unwrap();
    let record = consumer.poll(SOON).unwrap().unwrap();
    assert_eq!((record.key(), record.payload()), (Some(&b"k"[..]), Some(&b"{}"[..])));
    assert_eq!(record.timestamp(), Timestamp::LogAppendTime(appended.at.millis()));
    let headers = record.headers().unwrap();
    let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap().to_vec()).unwrap();
    let seen: Vec<_> = headers.iter().map(|h| (h.key.to_owned(), text(h.value))).collect();
    let expected = [
        ("content-type", "application/cloudevents+json; charset=UTF-8"),
        ("ce_specversion", "1.0"),
        ("ce_id", "00000000-0000-0000-0000-000000000001"),
        ("ce_type", "sluice.test.said.v1"),
        ("ce_source", "/test"),
        ("ce_time", "1970-01-01T00:00:00.001Z"),
        ("ce_subject", "demo"),
        ("ce_causeoffset", "1099511627776"),
        ("ce_causeindex", "2"),
        ("ce_causelast", "false"),
    ];
    assert_eq!(seen, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn what_this_build_cannot_do_is_told_when_the_log_opens() {
    let mut config = KafkaConfig::new("127.0.0.1:1");
    config.options.push(("security.protocol".into(), "nonsense".into()));
    assert!(matches!(KafkaLog::open(config), Err(Error::Misconfigured(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_everything_is_refused_and_nothing_unknown() {
    // Nothing listens on the discard port.
    let log = rig::open("127.0.0.1:9");
    let topic = rig::fresh("nowhere");
    for _ in 0..2 {
        let refused = soon(log.append(&topic, vec![draft("x")])).await;
        assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    }
    assert!(log.close(SOON).await, "its threads end");
}
