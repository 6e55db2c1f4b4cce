//! Duties of the half that writes.

use std::collections::HashMap;

use tokio::task::JoinSet;

use super::*;

pub(super) async fn records_come_back_in_order_and_without_gaps(rig: &mut dyn Rig) {
    let topic = made(rig, "order").await;
    assert_eq!(find(rig, &topic, Find::End).await.next, 0, "offsets count from 0");
    let mut expected = Vec::new();
    for count in [1, 3, 1, 250] {
        let what = format!("of {count}");
        let appended = rig.append().append(&topic, drafts(&what, count)).await.unwrap();
        expected.extend((0..count).map(|n| format!("{what} {n}")));
        assert_eq!(appended.last, expected.len() as u64 - 1, "the offset of the last draft");
        let end = find(rig, &topic, Find::End).await;
        assert_eq!(end.next, expected.len() as u64, "what was appended is before the end");
        assert_eq!(all(rig, &topic).await.last().unwrap().at, appended.at, "its time");
    }
    expect_texts(rig, &topic, &expected).await;
}

pub(super) async fn many_appenders_at_once_lose_nothing(rig: &mut dyn Rig) {
    const TASKS: usize = 8;
    const APPENDS: usize = 30;
    let topics = [made(rig, "busy-a").await, made(rig, "busy-b").await];
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (append, topics) = (rig.append(), topics.clone());
        tasks.spawn(async move {
            let mut told = Vec::new();
            for n in 0..APPENDS {
                let topic = topics[n % 2].clone();
                let what = format!("{task} {n}");
                let appended = append.append(&topic, drafts(&what, 3)).await.unwrap();
                told.push((topic, appended, format!("{what} 2")));
            }
            told
        });
    }
    let told = soon(tasks.join_all()).await;
    for topic in &topics {
        let records = all(rig, topic).await;
        assert_eq!(records.len(), TASKS * APPENDS / 2 * 3, "none lost, none twice");
        for (_, appended, last) in told.iter().flatten().filter(|(to, ..)| to == topic) {
            let record = &records[usize::try_from(appended.last).unwrap()];
            assert_eq!((record.offset, record.at), (appended.last, appended.at));
            assert_eq!(text(record), last, "the answer names the last draft");
        }
        for task in 0..TASKS {
            let own = format!("{task} ");
            let own = records.iter().map(text).filter(|text| text.starts_with(&own));
            let order: Vec<(usize, usize)> = own
                .map(|text| {
                    let mut words = text.split(' ').skip(1).map(|word| word.parse().unwrap());
                    (words.next().unwrap(), words.next().unwrap())
                })
                .collect();
            assert!(order.is_sorted(), "each task's own are in order: {order:?}");
        }
    }
}

pub(super) async fn a_topic_is_made_once(rig: &mut dyn Rig) {
    let topic = rig.fresh("once");
    let mut tasks = JoinSet::new();
    for n in 0..8 {
        let (append, topic) = (rig.append(), topic.clone());
        tasks.spawn(async move {
            append.ensure(&topic).await.unwrap();
            append.append(&topic, vec![draft("k", format!("{n}"))]).await.unwrap();
            append.ensure(&topic).await.unwrap();
        });
    }
    soon(tasks.join_all()).await;
    let mut said: Vec<_> = all(rig, &topic).await.iter().map(|r| text(r).to_owned()).collect();
    said.sort();
    assert_eq!(said, (0..8).map(|n| n.to_string()).collect::<Vec<_>>());
    let other = made(rig, "other").await;
    let ids = [&topic, &topic, &other].map(|topic| (topic, Find::Start));
    let mut found = Vec::new();
    for (topic, at) in ids {
        found.push(find(rig, topic, at).await.topic_id);
    }
    assert_eq!(found[0], found[1], "a topic's id stays");
    assert_ne!(found[0], found[2], "each has its own");
}

pub(super) async fn what_was_not_made_is_told(rig: &mut dyn Rig) {
    let (gone, there) = (rig.fresh("gone"), filled(rig, "there", 1).await);
    let no_topic = Error::NoTopic(gone.clone());
    let append = rig.append();
    assert_eq!(soon(append.append(&gone, drafts("x", 1))).await, Err(no_topic.clone()));
    assert_eq!(soon(rig.read().find(&gone, Find::Start)).await, Err(no_topic.clone()));
    let mut tail = rig.read().tail(1_000).await.unwrap();
    let nowhere = Position { topic_id: uuid::Uuid::nil(), next: 0 };
    tail.watch(&gone, Some(nowhere));
    assert_eq!(soon(tail.next()).await, Err(no_topic));
    tail.watch(&there, Some(nowhere));
    assert_eq!(take_to(&mut *tail, &there, 1).await.len(), 1, "the others go on");
}

pub(super) async fn what_is_too_large_appends_nothing(rig: &mut dyn Rig) {
    let topic = filled(rig, "large", 1).await;
    let append = rig.append();
    let large = rig.record_bytes_max() + 1;
    let with = vec![draft("k", "a"), draft("k", vec![b'x'; large]), draft("k", "b")];
    assert_eq!(soon(append.append(&topic, with)).await, Err(Error::TooLarge(large)));
    expect_texts(rig, &topic, &["large 0".to_owned()]).await;
    let just = vec![draft("k", vec![b'x'; large - 1])];
    assert_eq!(soon(append.append(&topic, just)).await.map(|appended| appended.last), Ok(1));
}

pub(super) async fn the_newest_of_a_key_stays(rig: &mut dyn Rig) {
    let topic = Topic::directory();
    rig.append().ensure(&topic).await.unwrap();
    let run = rig.fresh("compacted").to_string();
    let key = |n: usize| format!("{run}/{n}");
    let mut newest = HashMap::new();
    for round in 0..5 {
        let said = (0..20).filter(|n| round == 0 || n % round == 0).map(|n| {
            newest.insert(key(n), format!("{} in {round}", key(n)));
            draft(&key(n), format!("{} in {round}", key(n)))
        });
        // The last one twice in one append.
        let mut said: Vec<_> = said.collect();
        let twice = said.last().unwrap().key.clone();
        said.insert(0, draft(&twice, format!("{twice} in an older one")));
        rig.append().append(&topic, said).await.unwrap();
    }
    for reopened in [false, true] {
        if reopened {
            rig.reopen().await;
        }
        let mut seen = HashMap::new();
        for record in all(rig, &topic).await {
            let (key, _) = text(&record).split_once(" in ").unwrap_or_default();
            seen.insert(key.to_owned(), text(&record).to_owned());
        }
        seen.retain(|key, _| key.starts_with(&run));
        assert_eq!(seen, newest, "of each key the newest comes last");
    }
}

pub(super) async fn what_was_appended_survives(rig: &mut dyn Rig) {
    let (full, empty) = (filled(rig, "kept", 1_200).await, made(rig, "kept-empty").await);
    let before = all(rig, &full).await;
    let middle = Position { next: 700, ..find(rig, &full, Find::End).await };
    rig.reopen().await;
    assert_eq!(all(rig, &full).await, before, "the same records with the same times");
    assert_eq!(find(rig, &empty, Find::End).await.next, 0);
    let appended = rig.append().append(&full, drafts("later", 1)).await.unwrap();
    assert_eq!(appended.last, 1_200, "offsets go on");
    assert!(appended.at >= before.last().unwrap().at, "and times");
    let mut tail = rig.read().tail(1 << 20).await.unwrap();
    tail.watch(&full, Some(middle));
    let rest = take_to(&mut *tail, &full, 1_201).await;
    assert_eq!((rest[0].offset, rest.len()), (700, 501), "a place is good over a restart");
}
