//! Duties of finding a place, and of beginning there.

use std::collections::BTreeSet;

use futures_util::StreamExt;
use uuid::Uuid;

use super::*;
use crate::log::{Group, Owned};

pub(super) async fn start_end_and_times(rig: &mut dyn Rig) {
    let topic = made(rig, "find").await;
    for at in [Find::Start, Find::End, Find::At(LogTime::from_millis(0))] {
        assert_eq!(find(rig, &topic, at).await.next, 0, "{at:?} of an empty topic");
    }
    // Until the log's clock has gone on four times.
    let mut times = BTreeSet::new();
    while times.len() < 5 {
        times.insert(rig.append().append(&topic, drafts("x", 2)).await.unwrap().at);
    }
    let records = all(rig, &topic).await;
    let end = records.len() as u64;
    assert_eq!(find(rig, &topic, Find::Start).await.next, 0);
    assert_eq!(find(rig, &topic, Find::End).await.next, end);
    let (first, last) = (*times.first().unwrap(), *times.last().unwrap());
    times.extend([first.minus(1), last.plus(1), LogTime::from_millis(0), last.plus(999_999)]);
    for at in times {
        let expected = records.iter().find(|record| record.at >= at).map_or(end, |r| r.offset);
        assert_eq!(find(rig, &topic, Find::At(at)).await.next, expected, "at {at}");
    }
}

pub(super) async fn a_tail_begins_where_it_is_told(rig: &mut dyn Rig) {
    let topic = filled(rig, "from", 1_000).await;
    let start = find(rig, &topic, Find::Start).await;
    for next in [0, 1, 499, 500, 999] {
        for topic_id in [start.topic_id, Uuid::nil()] {
            let mut tail = rig.read().tail(10_000).await.unwrap();
            tail.watch(&topic, Some(Position { topic_id, next }));
            let records = take_to(&mut *tail, &topic, 1_000).await;
            let expected: Vec<_> = (next..1_000).map(|n| format!("from {n}")).collect();
            assert_eq!(records.iter().map(text).collect::<Vec<_>>(), expected, "from {next}");
        }
    }
    let mut tail = rig.read().tail(10_000).await.unwrap();
    tail.watch(&topic, Some(find(rig, &topic, Find::End).await));
    assert!(futures_util::poll!(tail.next()).is_pending(), "nothing is beyond the end");
    rig.append().append(&topic, drafts("later", 1)).await.unwrap();
    assert_eq!(text(&take_to(&mut *tail, &topic, 1_001).await[0]), "later 0");
}

pub(super) async fn a_place_that_is_not_in_the_topic_is_a_gap(rig: &mut dyn Rig) {
    let (topic, other) = (filled(rig, "gap", 10).await, filled(rig, "whole", 10).await);
    let end = find(rig, &topic, Find::End).await;
    let foreign = Uuid::from_u128(0xdead);
    let mut tail = rig.read().tail(10_000).await.unwrap();
    for bad in [
        Position { topic_id: foreign, next: 0 },
        Position { topic_id: foreign, next: 10 },
        Position { next: 11, ..end },
        Position { topic_id: Uuid::nil(), next: 1_000 },
    ] {
        tail.watch(&topic, Some(bad));
        assert_eq!(soon(tail.next()).await, Err(Error::Gap(topic.clone())), "{bad:?}");
        rig.append().append(&other, drafts("x", 1)).await.unwrap();
    }
    // The topic is not watched any more, and another goes on.
    tail.watch(&other, Some(find(rig, &other, Find::Start).await));
    assert_eq!(take_to(&mut *tail, &other, 14).await.len(), 14);
    tail.watch(&topic, Some(end));
    rig.append().append(&topic, drafts("later", 1)).await.unwrap();
    assert_eq!(take_to(&mut *tail, &topic, 11).await.len(), 1);
}

pub(super) async fn one_process_owns_every_shard(rig: &mut dyn Rig) {
    let mut owned = soon(rig.read().own(Group::Batchers)).await.unwrap();
    let mut shards = BTreeSet::new();
    while shards.len() < usize::from(schemas::topic::SHARDS) {
        match soon(owned.next()).await.unwrap().unwrap() {
            Owned::Gained(shard) => assert!(shards.insert(shard), "gained twice: {shard}"),
            Owned::Lost(shard) => assert!(shards.remove(&shard), "never gained: {shard}"),
        }
    }
    assert!(futures_util::poll!(owned.next()).is_pending(), "it goes on for ever");
}
