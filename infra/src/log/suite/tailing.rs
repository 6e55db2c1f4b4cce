//! Duties of a tail that follows many topics.

use futures_util::poll;
use tokio::task::JoinSet;

use super::*;

pub(super) async fn a_tail_that_waits_is_woken(rig: &mut dyn Rig) {
    let topics = [made(rig, "wake-a").await, made(rig, "wake-b").await];
    let mut tail = rig.read().tail(10_000).await.unwrap();
    for topic in &topics {
        tail.watch(topic, Some(find(rig, topic, Find::End).await));
    }
    for round in 0..20_u64 {
        let topic = &topics[usize::try_from(round % 2).unwrap()];
        let (append, to) = (rig.append(), topic.clone());
        // It waits before there is something, as a reader does.
        let (appended, chunk) = tokio::join!(
            async { append.append(&to, drafts(&format!("round {round}"), 1)).await.unwrap() },
            soon(tail.next())
        );
        let chunk = chunk.unwrap();
        assert_eq!((&chunk.topic, chunk.records.len()), (topic, 1));
        assert_eq!(chunk.records[0].offset, appended.last);
        assert_eq!(text(&chunk.records[0]), format!("round {round} 0"));
        assert_eq!(chunk.end, appended.last + 1);
        assert_eq!(chunk.topic_id, find(rig, topic, Find::End).await.topic_id);
    }
}

pub(super) async fn a_chunk_is_bounded(rig: &mut dyn Rig) {
    let topic = made(rig, "bound").await;
    let sizes = [400, 400, 400, 5_000, 100, 100, 1_000];
    let said = sizes.iter().map(|size| draft("k", vec![b'x'; *size])).collect();
    rig.append().append(&topic, said).await.unwrap();
    let mut tail = tail_of(rig, &topic, 1_000).await;
    let mut seen = Vec::new();
    while seen.len() < sizes.len() {
        let chunk = soon(tail.next()).await.unwrap();
        let bytes: usize = chunk.records.iter().map(|record| record.value.len()).sum();
        assert!(bytes <= 1_000 || chunk.records.len() == 1, "{bytes} bytes");
        seen.extend(chunk.records.iter().map(|record| record.value.len()));
    }
    assert_eq!(seen, sizes);
}

pub(super) async fn a_busy_topic_does_not_starve_a_quiet_one(rig: &mut dyn Rig) {
    const BUSY: usize = 50_000;
    let (busy, quiet) = (filled(rig, "busy", BUSY).await, made(rig, "quiet").await);
    let mut tail = tail_of(rig, &busy, 20_000).await;
    tail.watch(&quiet, Some(find(rig, &quiet, Find::End).await));
    let mut taken = soon(tail.next()).await.unwrap().records.len();
    assert!(taken < BUSY / 4, "a chunk is a part of it");
    rig.append().append(&quiet, drafts("heard", 1)).await.unwrap();
    let mut heard_after = None;
    while taken < BUSY {
        let chunk = soon(tail.next()).await.unwrap();
        if chunk.topic == quiet {
            assert!(heard_after.replace(taken).is_none(), "once");
        } else {
            taken += chunk.records.len();
        }
    }
    assert!(heard_after.is_some_and(|after| after < BUSY / 2), "heard after {heard_after:?}");
}

pub(super) async fn a_topic_that_is_stopped_or_moved_is_not_heard_from_before(rig: &mut dyn Rig) {
    let (topic, other) = (filled(rig, "moved", 1_000).await, made(rig, "other").await);
    let start = find(rig, &topic, Find::Start).await;
    let mut tail = tail_of(rig, &topic, 500).await;
    for next in (0..1_000).step_by(37).chain([0, 999, 1]) {
        // What is read ahead now must not come after the move.
        _ = poll!(tail.next());
        tail.watch(&topic, Some(Position { next, ..start }));
        let chunk = soon(tail.next()).await.unwrap();
        assert_eq!(chunk.records[0].offset, next, "moved to {next}");
    }
    for stopped in [false, true] {
        tail.watch(&topic, Some(start));
        _ = poll!(tail.next());
        tail.watch(&topic, (!stopped).then_some(Position { next: 1_000, ..start }));
        let end = find(rig, &other, Find::End).await;
        tail.watch(&other, Some(end));
        rig.append().append(&other, drafts("x", 3)).await.unwrap();
        take_to(&mut *tail, &other, end.next + 3).await;
        assert!(poll!(tail.next()).is_pending(), "stopped: {stopped}");
    }
    rig.append().append(&topic, drafts("unheard", 1)).await.unwrap();
    let end = rig.append().append(&other, drafts("heard", 1)).await.unwrap().last + 1;
    assert_eq!(take_to(&mut *tail, &other, end).await.len(), 1);
    tail.watch(&other, None);
    tail.watch(&other, None);
    assert!(poll!(tail.next()).is_pending(), "nothing is watched");
}

pub(super) async fn next_may_be_dropped_at_any_time(rig: &mut dyn Rig) {
    const RECORDS: usize = 600;
    let topics = [filled(rig, "old", 300).await, made(rig, "new").await];
    let mut tail = tail_of(rig, &topics[0], 300).await;
    tail.watch(&topics[1], Some(find(rig, &topics[1], Find::End).await));
    let mut tasks = JoinSet::new();
    let (append, to) = (rig.append(), topics[1].clone());
    tasks.spawn(async move {
        for n in 0..RECORDS / 2 {
            let said = vec![draft("k", format!("{}", 2 * n)), draft("k", format!("{}", 2 * n + 1))];
            append.append(&to, said).await.unwrap();
        }
    });
    let mut seen = [Vec::new(), Vec::new()];
    let reading = async {
        let mut polls = 0;
        while seen[0].len() < 300 || seen[1].len() < RECORDS {
            // Dropped after a poll or two, unless it is ready.
            polls += 1;
            let dropped = async {
                if polls % 3 > 0 {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                biased;
                chunk = tail.next() => {
                    let chunk = chunk.unwrap();
                    let which = usize::from(chunk.topic == topics[1]);
                    seen[which].extend(chunk.records.iter().map(|record| record.offset));
                }
                () = dropped => tokio::task::yield_now().await,
            }
        }
    };
    soon(reading).await;
    soon(tasks.join_all()).await;
    for (seen, count) in seen.iter().zip([300, RECORDS]) {
        assert_eq!(*seen, (0..count as u64).collect::<Vec<_>>(), "none lost, none twice");
    }
    assert!(poll!(tail.next()).is_pending());
}
