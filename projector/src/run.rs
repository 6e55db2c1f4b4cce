//! The loop: reads derived records, folds them into writes, applies those with their checkpoints.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use infra::directory::{Change, Directory, Ours};
use infra::log::{self, Chunk, Group, Position, Read, Tail};
use infra::views::{self, Views};
use schemas::name::PoolName;
use schemas::topic::Topic;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::follow::{Folded, Followed};
use crate::metrics::ProjectorMetrics;
use crate::progress::Progress;
use crate::project::{self, Source};

/// Bytes of records read ahead.
const AHEAD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Records applied in one go, so that many share the price of a commit.
const RECORDS_MAX: usize = 5_000;
/// Topics opened at once: each asks for the place of every view.
const OPENING_MAX: usize = 16;
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

/// Where a topic is.
enum Phase {
    /// How far the views have got in it is being found.
    Opening,
    /// Its records are folded.
    Following(Box<Followed>),
    /// Somebody has to look.
    Halted,
}

struct Slot {
    /// Tells an answer meant for this slot from one meant for a slot before it.
    generation: u64,
    pool: PoolName,
    source: Source,
    phase: Phase,
}

/// What came of opening a topic, and which slot asked for it.
type Opened = (Topic, u64, Result<(Followed, Position), Error>);

struct Projector {
    deps: Deps,
    metrics: Arc<ProjectorMetrics>,
    ours: Ours,
    tail: Box<dyn Tail>,
    topics: HashMap<Topic, Slot>,
    opening: FuturesUnordered<BoxFuture<'static, Opened>>,
    at_once: Arc<Semaphore>,
    generation: u64,
}

/// Projects the pools of the shards this process owns, until `token` says to stop.
pub async fn run(
    deps: Deps,
    metrics: Arc<ProjectorMetrics>,
    token: CancellationToken,
) -> Result<(), Error> {
    prepare(deps.views.as_ref()).await?;
    let ours = Ours::join(deps.read.as_ref(), Group::Projectors, &deps.directory).await?;
    let tail = deps.read.tail(AHEAD_BYTES_MAX).await?;
    let mut projector = Projector {
        deps,
        metrics,
        ours,
        tail,
        topics: HashMap::new(),
        opening: FuturesUnordered::new(),
        at_once: Arc::new(Semaphore::new(OPENING_MAX)),
        generation: 0,
    };
    tokio::select! {
        () = token.cancelled() => Ok(()),
        outcome = projector.go_on() => outcome,
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
    async fn go_on(&mut self) -> Result<(), Error> {
        self.opening.push(std::future::pending().boxed());
        loop {
            tokio::select! {
                change = self.ours.next() => match change.transpose()? {
                    Some(change) => self.own(change),
                    None => return Ok(()),
                },
                opened = self.opening.next() => {
                    if let Some((topic, generation, opened)) = opened {
                        self.opened(topic, generation, opened);
                    }
                }
                chunk = self.tail.next() => {
                    let (chunks, read) = self.gather(chunk);
                    self.project(chunks).await;
                    if let Err(error) = read {
                        tracing::warn!(%error, "records cannot be read; tried again");
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
        }
    }

    fn own(&mut self, change: Change) {
        // The audit log goes with the shard that a pool of this name would be in.
        let (topic, shared) = (Topic::audit(), shared_by_all());
        if self.ours.owns(&shared) && !self.topics.contains_key(&topic) {
            self.open(topic, shared, Source::Audit, Duration::ZERO);
        }
        match change {
            Change::Ours(pools) => {
                for pool in pools {
                    self.open_new(&pool);
                }
            }
            Change::Lost => {
                for (topic, _) in self.topics.extract_if(|_, slot| !self.ours.owns(&slot.pool)) {
                    self.tail.watch(&topic, None);
                }
            }
        }
    }

    /// Opens the topics of a pool that are not known yet.
    fn open_new(&mut self, pool: &PoolName) {
        let Some(located) = self.deps.directory.pool(pool).and_then(|pool| pool.located) else {
            return;
        };
        let topics =
            [(&located.batches, Source::Batches), (&located.deliveries, Source::Deliveries)];
        for (topic, source) in topics {
            let topic = Topic::named(topic);
            if !self.topics.contains_key(&topic) {
                self.open(topic, pool.clone(), source, Duration::ZERO);
            }
        }
    }

    /// Begins to find how far the views have got in a topic.
    fn open(&mut self, topic: Topic, pool: PoolName, source: Source, wait: Duration) {
        self.tail.watch(&topic, None);
        self.generation += 1;
        let generation = self.generation;
        let slot = Slot { generation, pool: pool.clone(), source, phase: Phase::Opening };
        self.topics.insert(topic.clone(), slot);
        let Deps { read, views, .. } = self.deps.clone();
        let at_once = Arc::clone(&self.at_once);
        let opening = async move {
            tokio::time::sleep(wait).await;
            let _turn = at_once.acquire().await;
            let opened = Followed::open(read.as_ref(), views.as_ref(), &topic, pool, source).await;
            (topic, generation, opened)
        };
        self.opening.push(opening.boxed());
    }

    fn opened(
        &mut self,
        topic: Topic,
        generation: u64,
        opened: Result<(Followed, Position), Error>,
    ) {
        let Some(slot) = self.topics.get_mut(&topic).filter(|slot| slot.generation == generation)
        else {
            return;
        };
        match opened {
            Ok((followed, from)) => {
                self.tail.watch(&topic, Some(from));
                tell(&self.deps.progress, &followed);
                slot.phase = Phase::Following(Box::new(followed));
            }
            Err(error) => {
                tracing::warn!(%topic, %error, "topic cannot be opened; tried again");
                let (pool, source) = (slot.pool.clone(), slot.source);
                self.open(topic, pool, source, AGAIN);
            }
        }
    }

    /// This chunk, and those that are there already; and what ended that, if it was an error.
    fn gather(&mut self, first: log::Result<Chunk>) -> (Vec<Chunk>, log::Result<()>) {
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
                Err(error) => return (chunks, Err(error)),
            }
            next = if records < RECORDS_MAX { self.tail.next().now_or_never() } else { None };
        }
        (chunks, Ok(()))
    }

    fn halt(&mut self, topic: &Topic) {
        let Some(slot) = self.topics.get_mut(topic) else { return };
        tracing::error!(%topic, "topic halted: made again, cut short or unreadable");
        self.metrics.halted.inc();
        self.tail.watch(topic, None);
        slot.phase = Phase::Halted;
    }

    /// Folds the chunks and applies what follows, all views at once. After an error the topics are
    /// opened again at their checkpoints: applying twice is harmless.
    async fn project(&mut self, chunks: Vec<Chunk>) {
        let mut folded = Folded::new();
        for chunk in &chunks {
            let Some(Slot { phase: Phase::Following(followed), .. }) =
                self.topics.get_mut(&chunk.topic)
            else {
                continue;
            };
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
                self.open_again(&chunks);
            }
        }
    }

    fn tell(&self, chunks: &[Chunk]) {
        for chunk in chunks {
            if let Some(Slot { phase: Phase::Following(followed), .. }) =
                self.topics.get(&chunk.topic)
            {
                tell(&self.deps.progress, followed);
            }
        }
    }

    fn open_again(&mut self, chunks: &[Chunk]) {
        for chunk in chunks {
            let Some(slot) = self.topics.get(&chunk.topic) else { continue };
            if matches!(slot.phase, Phase::Following(_)) {
                let (pool, source) = (slot.pool.clone(), slot.source);
                self.open(chunk.topic.clone(), pool, source, AGAIN);
            }
        }
    }
}

/// Whose shard what is no pool's goes with. A pool of this name has no more to do with it.
pub(crate) fn shared_by_all() -> PoolName {
    "sluice".parse().expect("it is a name as it should be")
}

/// Those who wait learn how far the tables have got.
fn tell(progress: &Progress, followed: &Followed) {
    match followed.source {
        Source::Batches => progress.reached(&followed.pool, followed.next(), followed.cause()),
        Source::Audit => progress.reached_audit(followed.next()),
        Source::Deliveries => {}
    }
}
