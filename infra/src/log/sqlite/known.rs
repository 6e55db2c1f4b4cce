//! What is known of the log without reading its file: its topics, their ends, the newest records.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use schemas::time::LogTime;
use schemas::topic::{Cleanup, Offset, Topic};
use tokio::sync::watch;
use uuid::Uuid;

use super::recent::Recent;
use super::stored::{self, Bound, StoredTopic};
use crate::log::{Error, Find, Position, Record, Result};
use crate::sqlite::{Failure, Readers};

/// A topic whose ends move on.
#[derive(Debug)]
pub(super) struct KnownTopic {
    pub(super) number: i64,
    pub(super) id: Uuid,
    pub(super) cleanup: Cleanup,
    start: AtomicU64,
    end: AtomicU64,
}

impl KnownTopic {
    fn new(topic: StoredTopic) -> Arc<Self> {
        Arc::new(Self {
            number: topic.number,
            id: topic.id,
            cleanup: topic.cleanup,
            start: AtomicU64::new(topic.start),
            end: AtomicU64::new(topic.end),
        })
    }

    /// Where the next record goes: all before it are durable.
    pub(super) fn end(&self) -> Offset {
        self.end.load(Ordering::Acquire)
    }

    /// Whether a reader may begin there: it is this very topic, and the records are.
    pub(super) fn admits(&self, from: Position) -> bool {
        let same = from.topic_id.is_nil() || from.topic_id == self.id;
        let kept =
            self.cleanup == Cleanup::Compact || from.next >= self.start.load(Ordering::Acquire);
        same && kept && from.next <= self.end()
    }
}

/// All that is known, shared by the writer and every reader.
#[derive(Debug)]
pub(super) struct Known {
    topics: RwLock<HashMap<Topic, Arc<KnownTopic>>>,
    recent: Mutex<Recent>,
    /// Changes with every commit.
    news: watch::Sender<u64>,
    /// Whether the file may have more than is known here.
    uncertain: AtomicBool,
    readers: Arc<Readers>,
}

const HELD: &str = "nothing panics while holding it";

impl Known {
    pub(super) fn new(
        topics: Vec<StoredTopic>,
        recent: Recent,
        readers: Arc<Readers>,
    ) -> Arc<Self> {
        let named = |topic: StoredTopic| (topic.name.clone(), KnownTopic::new(topic));
        let topics = RwLock::new(topics.into_iter().map(named).collect());
        let (recent, news) = (Mutex::new(recent), watch::Sender::new(0));
        Arc::new(Self { topics, recent, news, uncertain: AtomicBool::new(false), readers })
    }

    /// Told of every commit.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    pub(super) fn topic(&self, name: &Topic) -> Option<Arc<KnownTopic>> {
        self.topics.read().expect(HELD).get(name).cloned()
    }

    /// A commit made these topics.
    pub(super) fn made(&self, topics: Vec<StoredTopic>) {
        let mut known = self.topics.write().expect(HELD);
        known.extend(topics.into_iter().map(|topic| (topic.name.clone(), KnownTopic::new(topic))));
    }

    /// A commit appended these records, with no gap to those before.
    pub(super) fn appended(&self, records: Vec<(Arc<KnownTopic>, Record)>) {
        let mut recent = self.recent.lock().expect(HELD);
        for (topic, record) in records {
            let end = record.offset + 1;
            recent.push(topic.number, record);
            topic.end.store(end, Ordering::Release);
        }
        drop(recent);
        self.news.send_modify(|count| *count += 1);
    }

    /// Whether the file must be looked at before an end can be told.
    pub(super) fn uncertain(&self) -> bool {
        self.uncertain.load(Ordering::Acquire)
    }

    /// It is not known whether a commit went through.
    pub(super) fn set_uncertain(&self) {
        self.uncertain.store(true, Ordering::Release);
    }

    /// The file was looked at anew: another process writes it, or it is not known whether a commit
    /// of this one went through.
    pub(super) fn looked_at(&self, topics: Vec<StoredTopic>) {
        let mut known = self.topics.write().expect(HELD);
        self.recent.lock().expect(HELD).clear();
        for topic in topics {
            if let Some(known) = known.get(&topic.name)
                && known.id == topic.id
            {
                known.start.store(topic.start, Ordering::Release);
                known.end.store(topic.end, Ordering::Release);
            } else {
                known.insert(topic.name.clone(), KnownTopic::new(topic));
            }
        }
        drop(known);
        self.uncertain.store(false, Ordering::Release);
        self.news.send_modify(|count| *count += 1);
    }

    /// Records in `within` if they are still in memory.
    pub(super) fn recent(
        &self,
        topic: i64,
        within: Range<Offset>,
        bound: Bound,
    ) -> Option<Vec<Record>> {
        self.recent.lock().expect(HELD).read(topic, within, bound)
    }

    /// Records in `within` from the file. The future owns all it needs.
    pub(super) fn read(
        &self,
        topic: i64,
        within: Range<Offset>,
        bound: Bound,
    ) -> impl Future<Output = Result<Vec<Record>, Failure>> + use<> {
        self.readers.read(move |file| stored::records(file, topic, within, bound))
    }

    /// Finds a place in a topic.
    pub(super) async fn find(&self, name: &Topic, at: Find) -> Result<Position> {
        let topic = self.topic(name).ok_or_else(|| Error::NoTopic(name.clone()))?;
        let (number, end) = (topic.number, topic.end());
        let next = match at {
            Find::End => Ok(end),
            Find::Start if topic.cleanup == Cleanup::Keep => {
                Ok(topic.start.load(Ordering::Acquire))
            }
            Find::Start => {
                let first = self.readers.read(move |file| stored::first(file, number, 0)).await;
                first.map(|first| first.map_or(end, |first| first.min(end)))
            }
            Find::At(time) => self.first_since(number, end, time).await,
        };
        let next = next.map_err(|failure| super::refused(&failure))?;
        Ok(Position { topic_id: topic.id, next })
    }

    async fn first_since(
        &self,
        number: i64,
        end: Offset,
        time: LogTime,
    ) -> Result<Offset, Failure> {
        self.readers.read(move |file| stored::first_since(file, number, 0..end, time)).await
    }
}
