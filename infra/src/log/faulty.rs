//! A log that fails as planned.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use schemas::topic::Topic;
use std::time::Duration;

use super::{
    Append, Appended, Chunk, Draft, Error, Find, Group, Owned, Position, Read, Result, Tail,
};
use crate::faulty::{Fate, Fault, Faults, Faulty, REASON};

impl Fault for Error {
    fn refused() -> Self {
        Self::Refused { reason: REASON.to_owned(), retry_after: Duration::ZERO }
    }

    fn unknown() -> Self {
        Self::Unknown(REASON.to_owned())
    }
}

#[async_trait]
impl Append for Faulty<dyn Append> {
    /// Of an append whose outcome is not told, a prefix happens.
    async fn append(&self, to: &Topic, mut drafts: Vec<Draft>) -> Result<Appended> {
        match self.faults.fate().await {
            Fate::Made => self.inner.append(to, drafts).await,
            Fate::Refused => Err(Error::refused()),
            Fate::NotMadeUnknown => Err(Error::unknown()),
            Fate::MadeUnknown => {
                let cut = self.faults.below(drafts.len() as u64);
                drafts.truncate(drafts.len() - usize::try_from(cut).unwrap_or(0));
                self.inner.append(to, drafts).await?;
                Err(Error::unknown())
            }
        }
    }

    async fn ensure(&self, topic: &Topic) -> Result<()> {
        self.faults.write(self.inner.ensure(topic)).await
    }
}

#[async_trait]
impl Read for Faulty<dyn Read> {
    async fn find(&self, topic: &Topic, at: Find) -> Result<Position> {
        self.faults.read(self.inner.find(topic, at)).await
    }

    async fn tail(&self, ahead_bytes_max: usize) -> Result<Box<dyn Tail>> {
        let inner = self.faults.read(self.inner.tail(ahead_bytes_max)).await?;
        Ok(Box::new(FaultyTail { inner, faults: Arc::clone(&self.faults) }))
    }

    async fn own(&self, group: Group) -> Result<BoxStream<'static, Result<Owned>>> {
        self.faults.read(self.inner.own(group)).await
    }
}

#[derive(Debug)]
struct FaultyTail {
    inner: Box<dyn Tail>,
    faults: Arc<Faults>,
}

#[async_trait]
impl Tail for FaultyTail {
    fn watch(&mut self, topic: &Topic, from: Option<Position>) {
        self.inner.watch(topic, from);
    }

    async fn next(&mut self) -> Result<Chunk> {
        self.faults.read(self.inner.next()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::faulty::Plan;
    use crate::log::{Options, SqliteLog};
    use bytes::Bytes;
    use schemas::id::EventId;
    use schemas::time::LogTime;
    use schemas::wire::Attributes;
    use std::collections::HashSet;

    fn drafts(n: u32) -> Vec<Draft> {
        let attributes = Attributes {
            id: EventId::from_bits(1),
            source: "/test".into(),
            time: LogTime::from_millis(1),
            subject: None,
            cause: None,
        };
        let draft = |part: u32| Draft {
            key: "k".into(),
            type_name: "sluice.test.said.v1",
            attributes: attributes.clone(),
            value: Bytes::from(format!("{n}.{part}")),
        };
        (0..3).map(draft).collect()
    }

    #[tokio::test]
    async fn what_is_told_is_true_and_of_the_unknown_a_prefix_may_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.sqlite");
        let log = SqliteLog::open(&path, Options::default(), SystemClock::new()).await.unwrap();
        let log = Arc::new(log);
        let topic = Topic::named("t");
        let plan = Plan { seed: 1, refused_percent: 20, unknown_percent: 40, ..Plan::default() };
        let append = Faulty::<dyn Append>::new(log.clone(), plan.clone());
        while append.ensure(&topic).await.is_err() {}
        let mut told = Vec::new();
        for n in 0..300 {
            told.push(append.append(&topic, drafts(n)).await);
        }
        let read = Faulty::<dyn Read>::new(log.clone(), plan);
        let start = Position { topic_id: uuid::Uuid::nil(), next: 0 };
        let end = log.find(&topic, Find::End).await.unwrap().next;
        let mut tail = loop {
            if let Ok(tail) = read.tail(1 << 20).await {
                break tail;
            }
        };
        tail.watch(&topic, Some(start));
        let mut found = HashSet::new();
        while (found.len() as u64) < end {
            match tail.next().await {
                Ok(chunk) => found.extend(chunk.records.into_iter().map(|r| r.value.to_vec())),
                Err(error) => assert!(error.retryable()),
            }
        }
        let mut prefixes = HashSet::new();
        for (n, told) in (0..).zip(told) {
            let there = drafts(n).iter().filter(|draft| found.contains(&*draft.value)).count();
            match told {
                Ok(_) => assert_eq!(there, 3, "{n}"),
                Err(Error::Refused { .. }) => assert_eq!(there, 0, "{n}"),
                Err(Error::Unknown(_)) => _ = prefixes.insert(there),
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(prefixes, HashSet::from([0, 1, 2, 3]));
        let mut finds = Vec::new();
        for _ in 0..100 {
            finds.push(read.find(&topic, Find::End).await.is_ok());
        }
        assert!(finds.contains(&true) && finds.contains(&false));
        read.stop();
        read.find(&topic, Find::End).await.expect("nothing fails any more");
    }
}
