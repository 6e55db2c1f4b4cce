//! What was answered survives the end of the process, wherever it ends.

use super::tests::{draft, open_in, said};
use super::*;
use crate::killed;

const CHILD: &str = "log::sqlite::killed_tests::child";

/// Four appenders that say each record once it is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the tests below"]
async fn child() {
    let Some(folder) = killed::begin() else { return };
    let log = open_in(&folder).await;
    let topic = Topic::named("t");
    log.ensure(&topic).await.unwrap();
    let append = |task: usize| {
        let (log, topic) = (&log, &topic);
        async move {
            for n in 0..25 {
                let value = format!("{task}.{n}");
                let appended = log.append(topic, vec![draft("k", &value)]).await.unwrap();
                killed::say(format_args!("{} {value}", appended.last));
            }
        }
    };
    futures_util::future::join_all((0..4).map(append)).await;
    log.close().await;
}

/// What was said and is not in the log.
async fn lost(faults: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let ended = killed::run(CHILD, folder.path(), faults);
    assert_eq!(ended.crashed, faults.contains("crash="), "{faults}");
    let topic = Topic::named("t");
    // First as `replay` does, which finds what the last process left and must not write.
    let reader = SqliteLogReader::open(&folder.path().join("log.sqlite")).await.unwrap();
    let read = said(&reader, &topic).await;
    let log = open_in(folder.path()).await;
    log.ensure(&topic).await.unwrap();
    let values = said(&*log, &topic).await.unwrap();
    assert_eq!(read.unwrap_or_default(), values);
    let numbered: Vec<_> = values.iter().enumerate().map(|(n, v)| format!("{n} {v}")).collect();
    let next = log.append(&topic, vec![draft("k", "after")]).await.unwrap().last;
    assert_eq!(next, values.len() as u64, "it goes on");
    ended.said.into_iter().filter(|said| !numbered.contains(said)).collect()
}

#[tokio::test]
async fn what_was_answered_survives_every_crash_point() {
    for point in ["log.before-insert", "log.before-commit", "log.after-commit"] {
        for nth in [1, 2, 12] {
            let lost = lost(&format!("crash={point}:{nth}")).await;
            assert!(lost.is_empty(), "{point}:{nth} lost {lost:?}");
        }
    }
    assert!(lost("").await.is_empty());
}

#[tokio::test]
async fn an_answer_before_the_commit_is_seen_as_a_loss() {
    assert!(!lost("bug=ack-before-commit crash=log.before-commit:12").await.is_empty());
    assert!(lost("bug=ack-before-commit").await.is_empty(), "the commit comes");
}
