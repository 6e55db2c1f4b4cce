//! Tiny doors in memory, and an installation on them, for this crate's own tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use schemas::event::Directory as Body;
use schemas::limit::Limits;
use schemas::time::{LogTime, Wall};
use schemas::topic::Topic;
use tokio::sync::watch;
use uuid::Uuid;

use crate::clock::ManualClock;
use crate::directory::{Directory, draft, said};
use crate::identity::{External, KeyRing, LocalIdentity, LocalParts};
use crate::kept::{self, Cells, Kept};
use crate::log::{
    self, Append, Appended, Chunk, Draft, Error, Find, Group, Owned, Position, Read, Record, Tail,
};
use crate::supervise::{OnError, Stage, Supervisor};
use crate::table::{Cell, Page, Scan, Table};
use crate::telemetry::Metrics;

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// What a fake does instead of what it is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It does as asked.
    #[default]
    Well,
    /// It refuses, and does nothing.
    Refuses,
    /// It does as asked and says that it does not know.
    Forgets,
    /// It does not answer.
    Hangs,
}

impl Mood {
    async fn before(self) -> log::Result<()> {
        match self {
            Self::Refuses => Err(refused()),
            Self::Hangs => std::future::pending().await,
            Self::Well | Self::Forgets => Ok(()),
        }
    }
}

fn refused() -> Error {
    Error::Refused { reason: "in a mood".into(), retry_after: Duration::from_millis(1) }
}

#[derive(Debug, Default)]
struct State {
    topics: BTreeMap<Topic, (Uuid, Vec<Record>)>,
    appending: Mood,
    finding: Mood,
}

/// A log in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeLog {
    state: Arc<Mutex<State>>,
    changed: Arc<watch::Sender<u64>>,
}

impl FakeLog {
    pub(crate) fn appending(&self, mood: Mood) {
        self.state.lock().unwrap().appending = mood;
    }

    pub(crate) fn finding(&self, mood: Mood) {
        self.state.lock().unwrap().finding = mood;
    }

    /// Appends bytes that are no record.
    pub(crate) fn put_bytes(&self, to: &Topic, value: &'static [u8]) {
        self.push(to, value.into());
    }

    /// Deletes the topic and makes it again.
    pub(crate) fn make_again(&self, topic: &Topic) {
        self.state.lock().unwrap().topics.insert(topic.clone(), (Uuid::now_v7(), Vec::new()));
        self.changed.send_modify(|n| *n += 1);
    }

    pub(crate) fn len(&self, topic: &Topic) -> usize {
        self.state.lock().unwrap().topics.get(topic).map_or(0, |(_, records)| records.len())
    }

    /// What stands in a topic.
    pub(crate) fn values(&self, topic: &Topic) -> Vec<bytes::Bytes> {
        let state = self.state.lock().unwrap();
        let records = state.topics.get(topic).map(|(_, records)| records);
        records.into_iter().flatten().map(|record| record.value.clone()).collect()
    }

    fn push(&self, to: &Topic, value: bytes::Bytes) -> u64 {
        let mut state = self.state.lock().unwrap();
        let (_, records) = state.topics.get_mut(to).unwrap();
        let offset = records.len() as u64;
        records.push(Record { offset, at: LogTime::from_millis(0), value });
        drop(state);
        self.changed.send_modify(|n| *n += 1);
        offset
    }
}

#[async_trait]
impl Append for FakeLog {
    async fn append(&self, to: &Topic, drafts: Vec<Draft>) -> log::Result<Appended> {
        let mood = self.state.lock().unwrap().appending;
        mood.before().await?;
        let last = drafts.into_iter().map(|draft| self.push(to, draft.value)).last().unwrap();
        if mood == Mood::Forgets {
            return Err(Error::Unknown("in a mood".into()));
        }
        Ok(Appended { last, at: LogTime::from_millis(0) })
    }

    async fn ensure(&self, topic: &Topic) -> log::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.topics.entry(topic.clone()).or_insert_with(|| (Uuid::now_v7(), Vec::new()));
        Ok(())
    }
}

#[async_trait]
impl Read for FakeLog {
    async fn find(&self, topic: &Topic, at: Find) -> log::Result<Position> {
        let mood = self.state.lock().unwrap().finding;
        mood.before().await?;
        let state = self.state.lock().unwrap();
        let (topic_id, records) =
            state.topics.get(topic).ok_or_else(|| Error::NoTopic(topic.clone()))?;
        let next = if at == Find::Start { 0 } else { records.len() as u64 };
        Ok(Position { topic_id: *topic_id, next })
    }

    async fn tail(&self, _: usize) -> log::Result<Box<dyn Tail>> {
        Ok(Box::new(FakeTail { log: self.clone(), watched: BTreeMap::new() }))
    }

    async fn own(&self, _: Group) -> log::Result<BoxStream<'static, log::Result<Owned>>> {
        Err(refused())
    }
}

#[derive(Debug)]
struct FakeTail {
    log: FakeLog,
    watched: BTreeMap<Topic, Position>,
}

impl FakeTail {
    fn take(&mut self) -> log::Result<Option<Chunk>> {
        let state = self.log.state.lock().unwrap();
        for (topic, position) in &mut self.watched {
            let (topic_id, records) = &state.topics[topic];
            if *topic_id != position.topic_id {
                return Err(Error::Gap(topic.clone()));
            }
            let from = usize::try_from(position.next).unwrap();
            let records: Vec<_> = records[from..].iter().take(2).cloned().collect();
            if !records.is_empty() {
                position.next += records.len() as u64;
                let (topic, end) = (topic.clone(), position.next);
                return Ok(Some(Chunk { topic, topic_id: *topic_id, records, end }));
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl Tail for FakeTail {
    fn watch(&mut self, topic: &Topic, from: Option<Position>) {
        match from {
            Some(position) => _ = self.watched.insert(topic.clone(), position),
            None => _ = self.watched.remove(topic),
        }
    }

    async fn next(&mut self) -> log::Result<Chunk> {
        let mut changed = self.log.changed.subscribe();
        loop {
            // Reading takes its time, as it does from a real log: others get their turn.
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            if let Some(chunk) = self.take()? {
                return Ok(chunk);
            }
            changed.changed().await.unwrap();
        }
    }
}

type Rows = BTreeMap<(&'static str, Vec<Cell>), Vec<Cell>>;

/// Kept rows in memory; a scan must name the whole key.
#[derive(Debug, Default)]
pub(crate) struct FakeKept(Mutex<Rows>);

fn key_of(row: &Cells) -> (&'static str, Vec<Cell>) {
    (row.table.name, row.cells[..row.table.key_len()].to_vec())
}

#[async_trait]
impl Kept for FakeKept {
    async fn create(&self, _: &[&'static Table]) -> kept::Result<()> {
        Ok(())
    }

    async fn insert_new(&self, row: Cells) -> kept::Result<bool> {
        let mut rows = self.0.lock().unwrap();
        if rows.contains_key(&key_of(&row)) {
            return Ok(false);
        }
        rows.insert(key_of(&row), row.cells);
        Ok(true)
    }

    async fn put(&self, row: Cells) -> kept::Result<()> {
        self.0.lock().unwrap().insert(key_of(&row), row.cells);
        Ok(())
    }

    async fn delete(&self, table: &'static Table, key: Vec<Cell>) -> kept::Result<()> {
        self.0.lock().unwrap().remove(&(table.name, key));
        Ok(())
    }

    async fn page(&self, scan: Scan) -> kept::Result<Page> {
        let rows = self.0.lock().unwrap();
        let cells = rows.get(&(scan.table.name, scan.key)).cloned().unwrap_or_default();
        Ok(Page { cells, more: false })
    }
}

/// One installation; instances share its log, its kept rows and its clock.
#[derive(Debug)]
pub(crate) struct Installation {
    pub(crate) log: FakeLog,
    pub(crate) kept: Arc<FakeKept>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    pub(crate) supervisor: Supervisor,
}

impl Installation {
    pub(crate) async fn new() -> Self {
        let log = FakeLog::default();
        log.ensure(&Topic::directory()).await.unwrap();
        let clock = ManualClock::at(Wall::from_millis(1_700_000_000_000));
        Self {
            log,
            kept: Arc::default(),
            metrics: Metrics::new(clock.clone(), "test"),
            clock,
            limits: Limits { position_wait_ms_max: 300, answer_ms_max: 300, ..Limits::default() },
            supervisor: Supervisor::new(),
        }
    }

    /// The directory of one instance, followed.
    pub(crate) async fn directory(&self) -> Arc<Directory> {
        self.directory_over(Arc::new(self.log.clone())).await
    }

    pub(crate) async fn directory_over(&self, log: Arc<dyn Read>) -> Arc<Directory> {
        let directory = Directory::new(self.clock.clone(), &self.limits, &self.metrics);
        let tasks = self.supervisor.stage(Stage::Ground);
        let follow = Arc::clone(&directory).follow(log, tasks.token());
        tasks.spawn("directory", OnError::Stop, follow);
        directory.catch_up().await.unwrap();
        directory
    }

    /// The identity of one instance, on a directory of its own.
    pub(crate) async fn identity(&self) -> Arc<LocalIdentity> {
        self.identity_on(self.directory().await).await
    }

    pub(crate) async fn identity_on(&self, directory: Arc<Directory>) -> Arc<LocalIdentity> {
        self.identity_over(directory, self.kept.clone(), Arc::new(self.log.clone())).await
    }

    pub(crate) async fn identity_over(
        &self,
        directory: Arc<Directory>,
        kept: Arc<dyn Kept>,
        log: Arc<dyn Append>,
    ) -> Arc<LocalIdentity> {
        LocalIdentity::open(self.parts(directory, kept, log), &self.limits).await.unwrap()
    }

    /// The identity of one instance that lets the people of an issuer in.
    pub(crate) async fn identity_with(&self, external: Option<External>) -> Arc<LocalIdentity> {
        let directory = self.directory().await;
        let parts = self.parts(directory, self.kept.clone(), Arc::new(self.log.clone()));
        LocalIdentity::open(LocalParts { external, ..parts }, &self.limits).await.unwrap()
    }

    fn parts(
        &self,
        directory: Arc<Directory>,
        kept: Arc<dyn Kept>,
        log: Arc<dyn Append>,
    ) -> LocalParts {
        LocalParts {
            kept,
            log,
            directory,
            clock: self.clock.clone(),
            keys: Arc::new(KeyRing::from_seed([3; 32]).unwrap()),
            issuer: "https://sluice.test".into(),
            audience: "sluice".into(),
            external: None,
        }
    }

    /// Appends to the directory as others do.
    pub(crate) async fn say(&self, body: impl Into<Body>) {
        let draft = draft(body, said("/sluice/test", crate::clock::Clock::now(&*self.clock)));
        self.log.append(&Topic::directory(), vec![draft]).await.unwrap();
    }

    /// Records of the directory.
    pub(crate) fn said(&self) -> usize {
        self.log.len(&Topic::directory())
    }
}
