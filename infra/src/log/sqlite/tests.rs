//! The embedded log passes the suite, and what only it can promise.

use std::sync::Mutex;

use schemas::time::Wall;
use tempfile::TempDir;

use super::*;
use crate::clock::{ManualClock, SystemClock};
use crate::log::suite::{self, Rig};

struct SqliteRig {
    folder: TempDir,
    options: Options,
    log: Arc<SqliteLog>,
    named: u32,
}

impl SqliteRig {
    async fn new(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = open(&folder, options).await;
        Self { folder, options, log, named: 0 }
    }
}

async fn open(folder: &TempDir, options: Options) -> Arc<SqliteLog> {
    let path = folder.path().join("log.sqlite");
    Arc::new(SqliteLog::open(&path, options, SystemClock::new()).await.unwrap())
}

/// With the default options.
pub(super) async fn open_in(folder: &Path) -> Arc<SqliteLog> {
    let path = folder.join("log.sqlite");
    Arc::new(SqliteLog::open(&path, Options::default(), SystemClock::new()).await.unwrap())
}

#[async_trait]
impl Rig for SqliteRig {
    fn append(&self) -> Arc<dyn Append> {
        Arc::clone(&self.log) as Arc<dyn Append>
    }

    fn read(&self) -> Arc<dyn Read> {
        Arc::clone(&self.log) as Arc<dyn Read>
    }

    fn fresh(&mut self, what: &str) -> Topic {
        self.named += 1;
        Topic::named(&format!("suite.{what}.{}", self.named))
    }

    fn record_bytes_max(&self) -> usize {
        self.options.record_bytes_max
    }

    async fn reopen(&mut self) {
        self.log.close().await;
        self.log = open(&self.folder, self.options).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite() {
    suite::run(&mut SqliteRig::new(Options::default()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite_with_nothing_kept_in_memory() {
    let options = Options { recent_bytes_max: 0, ..Options::default() };
    suite::run(&mut SqliteRig::new(options).await).await;
}

#[tokio::test]
async fn passes_the_suite_on_one_thread_with_little_memory() {
    let options = Options { recent_bytes_max: 10_000, ..Options::default() };
    suite::run(&mut SqliteRig::new(options).await).await;
}

pub(super) fn draft(key: &str, value: &str) -> Draft {
    let attributes = schemas::wire::Attributes {
        id: schemas::id::EventId::from_bits(1),
        source: "/test".into(),
        time: schemas::time::LogTime::from_millis(1),
        subject: None,
        cause: None,
    };
    let value = bytes::Bytes::copy_from_slice(value.as_bytes());
    Draft { key: key.into(), type_name: "sluice.test.said.v1", attributes, value }
}

async fn say(log: &SqliteLog, topic: &Topic, value: &str) -> Result<Appended> {
    log.append(topic, vec![draft("k", value)]).await
}

/// All values of a topic, by a tail of its own.
pub(super) async fn said(log: &dyn Read, topic: &Topic) -> Result<Vec<String>> {
    let end = log.find(topic, Find::End).await?.next;
    let mut tail = log.tail(1_000_000).await?;
    tail.watch(topic, Some(log.find(topic, Find::Start).await?));
    let mut said = Vec::new();
    let mut at = 0;
    while at < end {
        let chunk = tail.next().await?;
        at = chunk.end;
        said.extend(chunk.records.iter().map(|r| String::from_utf8(r.value.to_vec()).unwrap()));
    }
    Ok(said)
}

fn by_hand(folder: &TempDir) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.path().join("log.sqlite")).unwrap()
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_turn_the_logs_time_back() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(Wall::from_millis(5_000));
    let path = folder.path().join("log.sqlite");
    let [a, b] = ["a", "b"].map(Topic::named);
    let open = || SqliteLog::open(&path, Options::default(), clock.clone());
    let log = open().await.unwrap();
    for topic in [&a, &b] {
        log.ensure(topic).await.unwrap();
    }
    assert_eq!(say(&log, &a, "1").await.unwrap().at.millis(), 5_000);
    clock.set(Wall::from_millis(3_000));
    assert_eq!(say(&log, &b, "2").await.unwrap().at.millis(), 5_000);
    log.close().await;
    let log = open().await.unwrap();
    assert_eq!(say(&log, &b, "3").await.unwrap().at.millis(), 5_000, "also over a restart");
    clock.set(Wall::from_millis(6_000));
    assert_eq!(say(&log, &a, "4").await.unwrap().at.millis(), 6_000);
}

#[tokio::test]
async fn compaction_leaves_one_record_of_a_key_in_its_topic() {
    let rig = SqliteRig::new(Options::default()).await;
    let (directory, other) = (Topic::directory(), Topic::named("other"));
    for topic in [&directory, &other] {
        rig.log.ensure(topic).await.unwrap();
        let drafts = [("a", "1"), ("b", "2"), ("a", "3"), ("b", "4"), ("a", "5")];
        let drafts = drafts.map(|(key, value)| draft(key, value));
        rig.log.append(topic, drafts.into()).await.unwrap();
    }
    rig.log.close().await;
    let log = open_in(rig.folder.path()).await;
    assert_eq!(said(&*log, &directory).await.unwrap(), ["4", "5"]);
    assert_eq!(log.find(&directory, Find::Start).await.unwrap().next, 3);
    assert_eq!(said(&*log, &other).await.unwrap(), ["1", "2", "3", "4", "5"]);
    assert_eq!(say(&log, &directory, "6").await.unwrap().last, 5, "offsets go on");
}

#[tokio::test]
async fn a_topic_cut_short_at_its_start_or_in_its_middle_is_a_gap() {
    for (cut, start) in [("id & 7 < 2", 2), ("id & 7 = 2", 0)] {
        let rig = SqliteRig::new(Options::default()).await;
        let topic = Topic::named("cut");
        rig.log.ensure(&topic).await.unwrap();
        let drafts = (0..5).map(|n| draft("k", &n.to_string())).collect();
        rig.log.append(&topic, drafts).await.unwrap();
        rig.log.close().await;
        by_hand(&rig.folder).execute(&format!("DELETE FROM records WHERE {cut}"), []).unwrap();
        let log = open_in(rig.folder.path()).await;
        assert_eq!(log.find(&topic, Find::Start).await.unwrap().next, start);
        let mut tail = log.tail(1_000).await.unwrap();
        tail.watch(&topic, Some(Position { topic_id: uuid::Uuid::nil(), next: 1 }));
        assert_eq!(tail.next().await, Err(Error::Gap(topic.clone())), "{cut}");
    }
}

#[tokio::test]
async fn what_cannot_be_inserted_is_refused_and_the_log_goes_on() {
    let rig = SqliteRig::new(Options::default()).await;
    let topic = Topic::named("t");
    rig.log.ensure(&topic).await.unwrap();
    let hand = by_hand(&rig.folder);
    hand.execute_batch(
        "CREATE TRIGGER no BEFORE INSERT ON records WHEN NEW.value = x'32'
         BEGIN SELECT RAISE(ABORT, 'no twos'); END",
    )
    .unwrap();
    let one_and_two = rig.log.append(&topic, vec![draft("k", "1"), draft("k", "2")]).await;
    assert!(matches!(one_and_two, Err(Error::Refused { .. })), "{one_and_two:?}");
    assert_eq!(say(&rig.log, &topic, "3").await.map(|appended| appended.last), Ok(0));
    hand.execute_batch("DROP TRIGGER no").unwrap();
    assert_eq!(say(&rig.log, &topic, "2").await.map(|appended| appended.last), Ok(1));
    assert_eq!(said(&*rig.log, &topic).await.unwrap(), ["3", "2"]);
    let nothing = rig.log.append(&topic, Vec::new()).await;
    assert!(matches!(nothing, Err(Error::Refused { .. })));
}

/// A log whose commits fail with `code` when told to: with the effect or without.
async fn failing(
    folder: &TempDir,
    code: i32,
    fails: Arc<Mutex<Option<bool>>>,
) -> (SqliteLog, Topic) {
    let commit: Commit = Box::new(move |transaction| {
        let fail = fails.lock().unwrap().take();
        match fail {
            None => return transaction.commit(),
            Some(true) => transaction.commit()?,
            Some(false) => drop(transaction),
        }
        Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None))
    });
    let path = folder.path().join("log.sqlite");
    let log = SqliteLog::open_with(&path, Options::default(), SystemClock::new(), commit).await;
    let (log, topic) = (log.unwrap(), Topic::named("t"));
    log.ensure(&topic).await.unwrap();
    (log, topic)
}

#[tokio::test]
async fn after_a_failed_sync_what_is_known_is_what_the_file_has() {
    for happened in [false, true] {
        let (folder, fail) = (tempfile::tempdir().unwrap(), Arc::default());
        let code = rusqlite::ffi::SQLITE_IOERR_FSYNC;
        let (log, topic) = failing(&folder, code, Arc::clone(&fail)).await;
        say(&log, &topic, "1").await.unwrap();
        *fail.lock().unwrap() = Some(happened);
        let unknown = say(&log, &topic, "2").await;
        assert!(matches!(unknown, Err(Error::Unknown(_))), "{unknown:?}");
        let expected = if happened { &["1", "2"][..] } else { &["1"] };
        let end = log.find(&topic, Find::End).await.unwrap().next;
        assert_eq!(end, expected.len() as u64, "told at once, before the next append");
        assert_eq!(said(&log, &topic).await.unwrap(), expected);
        assert_eq!(say(&log, &topic, "3").await.unwrap().last, end);
        assert_eq!(said(&log, &topic).await.unwrap(), [expected, &["3"]].concat());
    }
}

#[tokio::test]
async fn while_the_file_cannot_be_looked_at_no_end_is_told() {
    let (folder, fail) = (tempfile::tempdir().unwrap(), Arc::default());
    let code = rusqlite::ffi::SQLITE_IOERR;
    let (log, topic) = failing(&folder, code, Arc::clone(&fail)).await;
    let [here, away] = ["log.sqlite", "away"].map(|name| folder.path().join(name));
    std::fs::rename(&here, &away).unwrap();
    *fail.lock().unwrap() = Some(true);
    assert!(matches!(say(&log, &topic, "1").await, Err(Error::Unknown(_))));
    let find = log.find(&topic, Find::End).await;
    assert!(matches!(find, Err(Error::Refused { .. })), "{find:?}");
    assert!(!here.exists(), "no empty log takes its place");
    std::fs::rename(&away, &here).unwrap();
    assert_eq!(log.find(&topic, Find::End).await.unwrap().next, 1);
}

#[tokio::test]
async fn a_full_disk_refuses_and_loses_nothing() {
    let (folder, fail) = (tempfile::tempdir().unwrap(), Arc::default());
    let code = rusqlite::ffi::SQLITE_FULL;
    let (log, topic) = failing(&folder, code, Arc::clone(&fail)).await;
    say(&log, &topic, "1").await.unwrap();
    *fail.lock().unwrap() = Some(false);
    let full = say(&log, &topic, "2").await;
    assert!(matches!(full, Err(Error::Refused { .. })), "{full:?}");
    assert_eq!(say(&log, &topic, "3").await.unwrap().last, 1);
    assert_eq!(said(&log, &topic).await.unwrap(), ["1", "3"]);
}

#[tokio::test]
async fn another_process_can_read_while_this_one_writes() {
    let rig = SqliteRig::new(Options::default()).await;
    let [old, new] = ["old", "new"].map(Topic::named);
    rig.log.ensure(&old).await.unwrap();
    say(&rig.log, &old, "1").await.unwrap();
    let path = rig.folder.path().join("log.sqlite");
    let reader = SqliteLogReader::open(&path).await.unwrap();
    assert_eq!(said(&reader, &old).await.unwrap(), ["1"]);
    let mut tail = reader.tail(1_000).await.unwrap();
    tail.watch(&old, Some(reader.find(&old, Find::End).await.unwrap()));
    say(&rig.log, &old, "2").await.unwrap();
    assert_eq!(&*tail.next().await.unwrap().records[0].value, b"2");
    rig.log.ensure(&new).await.unwrap();
    say(&rig.log, &new, "3").await.unwrap();
    tail.watch(&new, Some(Position { topic_id: uuid::Uuid::nil(), next: 0 }));
    assert_eq!(tail.next().await.unwrap().topic, new);
    assert_eq!(reader.find(&new, Find::End).await.unwrap().next, 1);
    let mut owned = reader.own(Group::Batchers).await.unwrap();
    assert!(futures_util::poll!(owned.next()).is_pending());
    // And when nobody writes.
    drop((tail, reader));
    rig.log.close().await;
    let reader = SqliteLogReader::open(&path).await.unwrap();
    assert_eq!(said(&reader, &old).await.unwrap(), ["1", "2"]);
}
