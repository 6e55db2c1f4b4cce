//! Reading many topics, and topics that are not what they were.

use std::collections::HashMap;

use futures_util::StreamExt;
use futures_util::stream;
use infra::log::{Append, Error, Find, Position, Read};
use rdkafka::admin::AdminOptions;
use rdkafka::{Offset, TopicPartitionList};
use schemas::topic::Topic;
use uuid::Uuid;

use crate::rig::{self, draft, fill, filled, soon};

#[tokio::test(flavor = "multi_thread")]
async fn one_tail_watches_two_hundred_topics() {
    const TOPICS: usize = 200;
    const BEFORE: usize = 20;
    const AFTER: usize = 5;
    let Some(address) = rig::broker("one tail watches two hundred topics") else { return };
    let log = rig::open(&address);
    let making = (0..TOPICS).map(|_| filled(&log, "many", BEFORE));
    let topics: Vec<Topic> = stream::iter(making).buffer_unordered(8).collect().await;
    let mut tail = log.tail(1 << 20).await.unwrap();
    let mut seen: HashMap<Topic, Vec<String>> = HashMap::new();
    for topic in &topics {
        tail.watch(topic, Some(soon(log.find(topic, Find::Start)).await.unwrap()));
        seen.insert(topic.clone(), Vec::new());
    }
    let saying = async {
        for n in 0..AFTER {
            let said = topics.iter().map(|topic| log.append(topic, vec![draft(format!("+{n}"))]));
            for appended in soon(futures_util::future::join_all(said)).await {
                appended.unwrap();
            }
        }
    };
    let reading = async {
        let mut left = TOPICS * (BEFORE + AFTER);
        while left > 0 {
            let chunk = soon(tail.next()).await.unwrap();
            left -= chunk.records.len();
            let said = seen.get_mut(&chunk.topic).unwrap();
            assert_eq!(chunk.records[0].offset, said.len() as u64);
            let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
            said.extend(chunk.records.iter().map(|record| text(&record.value)));
        }
    };
    tokio::join!(saying, reading);
    let expected: Vec<String> =
        (0..BEFORE).map(|n| n.to_string()).chain((0..AFTER).map(|n| format!("+{n}"))).collect();
    for (topic, said) in seen {
        assert_eq!(said, expected, "{topic}");
    }
    drop(tail);
    assert!(log.close(rig::SOON).await, "its threads end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_again_is_a_gap_even_when_it_has_outgrown_the_old_one() {
    let Some(address) = rig::broker("a topic made again is a gap") else { return };
    let log = rig::open(&address);
    let (topic, other) = (filled(&log, "again", 10).await, filled(&log, "stays", 1).await);
    let end = soon(log.find(&topic, Find::End)).await.unwrap();
    let other_end = soon(log.find(&other, Find::End)).await.unwrap();
    let behind = Position { next: 5, ..end };
    assert!(!end.topic_id.is_nil());
    let mut waiting = log.tail(1 << 20).await.unwrap();
    waiting.watch(&topic, Some(behind));
    rig::take_to(&mut *waiting, 10).await;
    waiting.watch(&other, Some(other_end));

    rig::delete(&address, &topic).await;
    let remade = rig::open(&address);
    remade.ensure(&topic).await.unwrap();
    fill(&remade, &topic, 0..100).await;

    let gap = Err(Error::Gap(topic.clone()));
    assert_eq!(soon(waiting.next()).await, gap, "one that waits");
    let mut later = log.tail(1 << 20).await.unwrap();
    later.watch(&topic, Some(behind));
    assert_eq!(soon(later.next()).await, gap, "one that begins");
    waiting.watch(&topic, Some(behind));
    assert_eq!(soon(waiting.next()).await, gap, "one that begins again");

    let now = soon(log.find(&topic, Find::Start)).await.unwrap();
    assert_ne!(now.topic_id, end.topic_id);
    waiting.watch(&topic, Some(now));
    assert_eq!(rig::take_to(&mut *waiting, 100).await.len(), 100, "the new one can be read");
    fill(&log, &other, 1..2).await;
    assert_eq!(soon(waiting.next()).await.unwrap().topic, other, "the others go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_again_with_fewer_records_is_a_gap() {
    let Some(address) = rig::broker("a shorter topic made again is a gap") else { return };
    let log = rig::open(&address);
    let topic = filled(&log, "shorter", 10).await;
    let end = soon(log.find(&topic, Find::End)).await.unwrap();
    let mut tail = log.tail(1 << 20).await.unwrap();
    tail.watch(&topic, Some(end));
    rig::delete(&address, &topic).await;
    log.ensure(&topic).await.unwrap();
    assert_eq!(soon(tail.next()).await, Err(Error::Gap(topic.clone())));
    // Whoever does not know the id is told all the same: the place is beyond the end.
    tail.watch(&topic, Some(Position { topic_id: Uuid::nil(), next: 10 }));
    assert_eq!(soon(tail.next()).await, Err(Error::Gap(topic)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_topic_is_a_gap_for_who_reads_it_and_unknown_to_who_asks() {
    let Some(address) = rig::broker("a deleted topic is a gap") else { return };
    let log = rig::open(&address);
    let topic = filled(&log, "deleted", 3).await;
    let mut tail = log.tail(1 << 20).await.unwrap();
    tail.watch(&topic, Some(soon(log.find(&topic, Find::Start)).await.unwrap()));
    rig::take_to(&mut *tail, 3).await;
    rig::delete(&address, &topic).await;
    assert_eq!(soon(tail.next()).await, Err(Error::Gap(topic.clone())));
    assert_eq!(soon(log.find(&topic, Find::End)).await, Err(Error::NoTopic(topic.clone())));
    // A producer that knew the topic learns of its end: at worst it cannot tell.
    let answer = soon(log.append(&topic, vec![draft("x")])).await;
    assert!(matches!(answer, Err(Error::NoTopic(_) | Error::Unknown(_))), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_cut_short_is_a_gap_for_who_is_behind() {
    let Some(address) = rig::broker("a topic cut short is a gap") else { return };
    let log = rig::open(&address);
    let topic = filled(&log, "cut", 10).await;
    let start = soon(log.find(&topic, Find::Start)).await.unwrap();
    let mut upto = TopicPartitionList::new();
    upto.add_partition_offset(topic.name(), 0, Offset::Offset(6)).unwrap();
    let cut = rig::admin(&address).delete_records(&upto, &AdminOptions::new()).await.unwrap();
    assert_eq!(cut.elements()[0].offset(), Offset::Offset(6));
    let mut tail = log.tail(1 << 20).await.unwrap();
    for next in [0, 5] {
        tail.watch(&topic, Some(Position { next, ..start }));
        assert_eq!(soon(tail.next()).await, Err(Error::Gap(topic.clone())), "from {next}");
    }
    tail.watch(&topic, Some(Position { next: 6, ..start }));
    assert_eq!(rig::take_to(&mut *tail, 10).await[0].offset, 6);
    assert_eq!(soon(log.find(&topic, Find::Start)).await.unwrap(), Position { next: 6, ..start });
}
