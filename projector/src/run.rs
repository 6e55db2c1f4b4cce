//! The loop: reads derived records, folds them into writes, applies those with their checkpoints.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};
use infra::directory::Directory;
use infra::log::{self, Chunk, Group, Owned, Read, Tail};
use infra::views::{self, Views};
use schemas::name::PoolName;
use schemas::topic::{Topic, shard_of};
use tokio_util::sync::CancellationToken;

use crate::follow::{Folded, Followed};
use crate::metrics::ProjectorMetrics;
use crate::progress::Progress;
use crate::project::{self, Source};

/// Bytes of records read ahead.
const AHEAD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Records applied in one go, so that many share the price of a commit.
const RECORDS_MAX: usize = 5_000;
/// How long after an error it is tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// What the projector's loop works with.
#[derive(Clone, Debug)]
pub struct Deps {
    /// Where derived records are read.
    pub read: Arc<dyn Read>,
    /// Where the tables are.
    pub views: Arc<dyn Views>,
    /// Which pools there are.
    pub directory: Arc<Directory>,
    /// Told how far the tables have got.
    pub progress: Arc<Progress>,
}

/// Why the loop ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] log::Error),
    /// The tables cannot be used.
    #[error(transparent)]
    Views(#[from] views::Error),
    /// A record cannot be read.
    #[error(transparent)]
    Unreadable(#[from] schemas::wire::Unreadable),
}

struct Projector {
    deps: Deps,
    metrics: Arc<ProjectorMetrics>,
    tail: Box<dyn Tail>,
    shards: BTreeSet<u8>,
    topics: HashMap<Topic, Followed>,
    halted: BTreeSet<Topic>,
    /// Topics to be opened, each with its pool and what it holds.
    to_open: Vec<(Topic, PoolName, Source)>,
    seen: u64,
}

/// Projects the pools of the shards this process owns, until `token` says to stop.
pub async fn run(
    deps: Deps,
    metrics: Arc<ProjectorMetrics>,
    token: CancellationToken,
) -> Result<(), Error> {
    prepare(deps.views.as_ref()).await?;
    let owned = deps.read.own(Group::Projectors).await?;
    let tail = deps.read.tail(AHEAD_BYTES_MAX).await?;
    let mut projector = Projector {
        deps,
        metrics,
        tail,
        shards: BTreeSet::new(),
        topics: HashMap::new(),
        halted: BTreeSet::new(),
        to_open: Vec::new(),
        seen: 0,
    };
    tokio::select! {
        () = token.cancelled() => Ok(()),
        outcome = projector.go_on(owned) => outcome,
    }
}

/// Makes the tables, and lets them be read if nothing is read yet.
pub async fn prepare(views: &dyn Views) -> Result<(), views::Error> {
    for projection in project::ALL {
        views.create(projection.view, projection.tables).await?;
        let state = views.state(projection.view, &Topic::directory()).await?;
        if state.active.is_none() {
            views.activate(projection.view).await?;
        }
    }
    Ok(())
}

impl Projector {
    async fn go_on(
        &mut self,
        mut owned: BoxStream<'static, log::Result<Owned>>,
    ) -> Result<(), Error> {
        let mut directory = self.deps.directory.subscribe();
        loop {
            if let Some((topic, pool, source)) = self.to_open.pop() {
                self.open(topic, pool, source).await;
                continue;
            }
            tokio::select! {
                change = owned.next() => match change {
                    Some(change) => self.own(change?),
                    None => return Ok(()),
                },
                changed = directory.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    self.look_for_pools();
                }
                chunk = self.tail.next() => {
                    let chunks = self.gather(chunk);
                    self.project(chunks).await;
                }
            }
        }
    }

    fn own(&mut self, change: Owned) {
        match change {
            Owned::Gained(shard) => {
                self.shards.insert(shard);
                self.seen = 0;
                self.look_for_pools();
            }
            Owned::Lost(shard) => {
                self.shards.remove(&shard);
                let lost = |(_, followed): &(&Topic, &Followed)| shard_of(&followed.pool) == shard;
                let lost: Vec<_> =
                    self.topics.iter().filter(lost).map(|(t, _)| t.clone()).collect();
                for topic in lost {
                    self.tail.watch(&topic, None);
                    self.topics.remove(&topic);
                }
            }
        }
    }

    fn look_for_pools(&mut self) {
        let changes = self.deps.directory.changes_since(self.seen);
        self.seen = changes.upto;
        for name in changes.pools {
            let located = self.deps.directory.pool(&name).and_then(|pool| pool.located);
            let (Some(located), true) = (located, self.shards.contains(&shard_of(&name))) else {
                continue;
            };
            let topics =
                [(&located.batches, Source::Batches), (&located.deliveries, Source::Deliveries)];
            for (topic, source) in topics {
                let topic = Topic::named(topic);
                let waits = self.to_open.iter().any(|(other, _, _)| *other == topic);
                if !self.topics.contains_key(&topic) && !self.halted.contains(&topic) && !waits {
                    self.to_open.push((topic, name.clone(), source));
                }
            }
        }
    }

    /// Finds how far the views have got in a topic, and follows it from there.
    async fn open(&mut self, topic: Topic, pool: PoolName, source: Source) {
        let Deps { read, views, .. } = &self.deps;
        match Followed::open(read.as_ref(), views.as_ref(), &topic, pool.clone(), source).await {
            Ok((followed, from)) => {
                self.tail.watch(&topic, Some(from));
                if source == Source::Batches {
                    self.deps.progress.reached(&pool, followed.next(), followed.cause());
                }
                self.topics.insert(topic, followed);
            }
            Err(error) => {
                tracing::warn!(%topic, %error, "topic cannot be opened; tried again");
                tokio::time::sleep(AGAIN).await;
                self.to_open.push((topic, pool, source));
            }
        }
    }

    /// This chunk, and those that are there already.
    fn gather(&mut self, first: log::Result<Chunk>) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        let mut records = 0;
        let mut next = Some(first);
        while let Some(chunk) = next {
            match chunk {
                Ok(chunk) => {
                    records += chunk.records.len();
                    chunks.push(chunk);
                }
                Err(log::Error::Gap(topic) | log::Error::NoTopic(topic)) => self.halt(&topic),
                Err(error) => {
                    tracing::warn!(%error, "records cannot be read; tried again");
                    break;
                }
            }
            next = if records < RECORDS_MAX { self.tail.next().now_or_never() } else { None };
        }
        chunks
    }

    fn halt(&mut self, topic: &Topic) {
        tracing::error!(%topic, "topic halted: made again, cut short or unreadable");
        self.metrics.halted.inc();
        self.tail.watch(topic, None);
        self.topics.remove(topic);
        self.halted.insert(topic.clone());
    }

    /// Folds the chunks and applies what follows, all views at once. After an error the topics are
    /// opened again at their checkpoints: applying twice is harmless.
    async fn project(&mut self, chunks: Vec<Chunk>) {
        let mut folded = Folded::new();
        for chunk in &chunks {
            let Some(followed) = self.topics.get_mut(&chunk.topic) else { continue };
            if let Err(unreadable) = followed.fold(chunk, &mut folded) {
                tracing::error!(topic = %chunk.topic, %unreadable, "record cannot be read");
                self.halt(&chunk.topic);
            }
        }
        let records = chunks.iter().map(|chunk| chunk.records.len() as u64).sum();
        match folded.apply(self.deps.views.as_ref()).await {
            Ok(()) => {
                self.metrics.records.inc_by(records);
                self.tell(&chunks);
            }
            Err(error) => {
                tracing::warn!(%error, "tables cannot be written; tried again");
                tokio::time::sleep(AGAIN).await;
                self.open_again(&chunks);
            }
        }
    }

    fn tell(&self, chunks: &[Chunk]) {
        let batches = |topic| {
            let followed = self.topics.get(topic)?;
            (followed.source == Source::Batches).then_some(followed)
        };
        for followed in chunks.iter().filter_map(|chunk| batches(&chunk.topic)) {
            let cause = followed.cause();
            self.deps.progress.reached(&followed.pool, followed.next(), cause);
        }
    }

    fn open_again(&mut self, chunks: &[Chunk]) {
        for chunk in chunks {
            if let Some(followed) = self.topics.remove(&chunk.topic) {
                self.tail.watch(&chunk.topic, None);
                self.to_open.push((chunk.topic.clone(), followed.pool, followed.source));
            }
        }
    }
}
