//! The loop: owns shards, reads the events of their pools, folds, writes what follows, and says
//! when a timer is due. One task for all pools; every wait is on all of them at once.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use infra::directory::{Change, Ours};
use infra::faults;
use infra::log::{Chunk, Error, Group, Result, Tail};
use schemas::name::PoolName;
use schemas::time::Wall;
use schemas::topic::{Offset, Topic};
use tokio_util::sync::CancellationToken;

use crate::Deps;
use crate::folding::{Folding, Halt};
use crate::lane::{Unloaded, unload};
use crate::metrics::BatcherMetrics;
use crate::open::{Opened, Topics, open};

/// Bytes of events read ahead of the fold.
const AHEAD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long after an error a pool is opened again.
const OPEN_AGAIN: Duration = Duration::from_millis(200);

/// Where a pool is.
enum Phase {
    /// Its snapshot and ends are being found.
    Opening,
    /// What was written before is being looked through, up to there.
    Looking { folding: Box<Folding>, upto: Offset },
    /// Its events are folded.
    Folding { folding: Box<Folding>, paused: bool },
    /// Somebody has to look.
    Halted,
}

struct Slot {
    /// Tells answers meant for this slot from those meant for one before it.
    generation: u64,
    phase: Phase,
}

/// What came of something that was begun for a pool.
enum Done {
    Opened(Result<Box<Opened>>),
    Unloaded(Result<Unloaded>),
    Asked(Result<Offset>),
}

type Work = BoxFuture<'static, (PoolName, u64, Done)>;

/// The batcher of this process.
struct Batcher {
    deps: Deps,
    metrics: Arc<BatcherMetrics>,
    ours: Ours,
    tail: Box<dyn Tail>,
    pools: HashMap<PoolName, Slot>,
    by_topic: HashMap<Topic, PoolName>,
    work: FuturesUnordered<Work>,
    timers: BTreeSet<(Wall, PoolName)>,
    armed: HashMap<PoolName, Wall>,
    generation: u64,
}

/// Folds the pools of the shards this process owns, until `token` says to stop.
pub async fn run(deps: Deps, metrics: Arc<BatcherMetrics>, token: CancellationToken) -> Result<()> {
    let ours = Ours::join(deps.read.as_ref(), Group::Batchers, &deps.directory).await?;
    let tail = deps.read.tail(AHEAD_BYTES_MAX).await?;
    let mut batcher = Batcher {
        deps,
        metrics,
        ours,
        tail,
        pools: HashMap::new(),
        by_topic: HashMap::new(),
        work: FuturesUnordered::new(),
        timers: BTreeSet::new(),
        armed: HashMap::new(),
        generation: 0,
    };
    tokio::select! {
        () = token.cancelled() => Ok(()),
        outcome = batcher.go_on() => outcome,
    }
}

impl Batcher {
    async fn go_on(&mut self) -> Result<()> {
        let clock = Arc::clone(&self.deps.clock);
        self.work.push(std::future::pending().boxed());
        loop {
            let wake_at = self.timers.first().map_or(Wall::from_millis(i64::MAX), |(at, _)| *at);
            tokio::select! {
                change = self.ours.next() => match change.transpose()? {
                    Some(change) => self.own(change),
                    None => return Ok(()),
                },
                done = self.work.next() => {
                    if let Some((name, generation, done)) = done {
                        self.done(&name, generation, done);
                    }
                }
                chunk = self.tail.next() => self.read(chunk).await,
                () = clock.sleep_until(wake_at) => self.ask(),
            }
        }
    }

    /// Opens the pools that are ours from now on, drops those that are so no longer.
    fn own(&mut self, change: Change) {
        match change {
            Change::Ours(pools) => {
                for name in pools {
                    if !self.pools.contains_key(&name) {
                        self.open(name, Duration::ZERO);
                    }
                }
            }
            Change::Lost => {
                let lost = |name: &&PoolName| !self.ours.owns(name);
                let lost: Vec<_> = self.pools.keys().filter(lost).cloned().collect();
                for name in lost {
                    self.drop_pool(&name);
                }
            }
        }
    }

    /// Begins to open a pool, dropping what was known of it.
    fn open(&mut self, name: PoolName, wait: Duration) {
        self.drop_pool(&name);
        let located = self.deps.directory.pool(&name);
        let Some(topics) = located.as_ref().and_then(Topics::of) else { return };
        self.generation += 1;
        let generation = self.generation;
        for topic in [&topics.events, &topics.batches] {
            self.by_topic.insert(topic.clone(), name.clone());
        }
        self.pools.insert(name.clone(), Slot { generation, phase: Phase::Opening });
        self.count_pools();
        let deps = self.deps.clone();
        let opening = async move {
            tokio::time::sleep(wait).await;
            let opened = open(deps, name.clone(), topics).await.map(Box::new);
            (name, generation, Done::Opened(opened))
        };
        self.work.push(opening.boxed());
    }

    fn count_pools(&self) {
        self.metrics.pools.set(self.pools.len().try_into().unwrap_or(i64::MAX));
    }

    fn drop_pool(&mut self, name: &PoolName) {
        self.disarm(name);
        if self.pools.remove(name).is_some() {
            self.count_pools();
            for (topic, _) in self.by_topic.extract_if(|_, of| of == name) {
                self.tail.watch(&topic, None);
            }
        }
    }

    fn halt(&mut self, name: &PoolName, halt: &Halt) {
        tracing::error!(pool = %name, %halt, "pool halted");
        self.metrics.halted.inc();
        self.drop_pool(name);
        self.generation += 1;
        let slot = Slot { generation: self.generation, phase: Phase::Halted };
        self.pools.insert(name.clone(), slot);
    }

    /// The log failed for a pool: opened again, or halted when that cannot help.
    fn failed(&mut self, name: &PoolName, error: Error) {
        match error {
            Error::Gap(_) => self.halt(name, &Halt::Gap),
            error => {
                tracing::warn!(pool = %name, %error, "pool is opened again");
                self.open(name.clone(), OPEN_AGAIN);
            }
        }
    }

    fn done(&mut self, name: &PoolName, generation: u64, done: Done) {
        let Some(slot) = self.pools.get_mut(name).filter(|slot| slot.generation == generation)
        else {
            return;
        };
        match (done, &mut slot.phase) {
            (Done::Opened(Ok(opened)), _) => self.opened(name, *opened),
            (Done::Opened(Err(error)) | Done::Unloaded(Err(error)), _) => self.failed(name, error),
            (Done::Unloaded(Ok(unloaded)), Phase::Folding { folding, .. }) => {
                folding.unloaded(&unloaded);
                self.metrics.written.inc_by(unloaded.written);
                self.metrics.snapshots.inc_by(u64::from(unloaded.snapshot));
                self.go_on_with(name);
            }
            (Done::Asked(asked), Phase::Folding { folding, .. }) => {
                if let Err(error) = &asked {
                    tracing::warn!(pool = %name, %error, "timer not recorded; tried again");
                }
                folding.was_asked(asked.ok(), self.deps.clock.now());
                self.arm(name);
            }
            _ => (),
        }
    }

    fn opened(&mut self, name: &PoolName, opened: Opened) {
        let (from, upto) = (opened.batches, opened.batches_end);
        let batches = opened.topics.batches.clone();
        let folding = Box::new(Folding::new(name.clone(), opened));
        if from.next >= upto {
            return self.begin_folding(name, folding);
        }
        self.tail.watch(&batches, Some(from));
        if let Some(slot) = self.pools.get_mut(name) {
            slot.phase = Phase::Looking { folding, upto };
        }
    }

    fn begin_folding(&mut self, name: &PoolName, folding: Box<Folding>) {
        self.tail.watch(&folding.topics.batches, None);
        self.tail.watch(&folding.topics.events, Some(folding.events()));
        if let Some(slot) = self.pools.get_mut(name) {
            slot.phase = Phase::Folding { folding, paused: false };
        }
        self.arm(name);
    }

    async fn read(&mut self, chunk: Result<Chunk>) {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(Error::Gap(topic) | Error::NoTopic(topic)) => {
                if let Some(name) = self.by_topic.get(&topic).cloned() {
                    self.halt(&name, &Halt::Gap);
                }
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "events cannot be read; tried again");
                return tokio::time::sleep(OPEN_AGAIN).await;
            }
        };
        let Some(name) = self.by_topic.get(&chunk.topic).cloned() else { return };
        let Some(slot) = self.pools.get_mut(&name) else { return };
        match &mut slot.phase {
            Phase::Looking { folding, upto } => {
                chunk.records.iter().for_each(|record| folding.was_written(&record.value));
                if chunk.end >= *upto {
                    let looking = std::mem::replace(&mut slot.phase, Phase::Opening);
                    if let Phase::Looking { folding, .. } = looking {
                        self.begin_folding(&name, folding);
                    }
                }
            }
            Phase::Folding { folding, .. } if chunk.topic == folding.topics.events => {
                self.metrics.folded.inc_by(chunk.records.len() as u64);
                match folding.fold(&self.deps, &chunk) {
                    Ok(()) => self.go_on_with(&name),
                    Err(halt) => self.halt(&name, &halt),
                }
            }
            _ => (),
        }
    }

    /// Writes what waits, reads on or pauses as the lane allows, and arms the next timer.
    fn go_on_with(&mut self, name: &PoolName) {
        let Some(Slot { generation, phase: Phase::Folding { folding, paused } }) =
            self.pools.get_mut(name)
        else {
            return;
        };
        let generation = *generation;
        if let Some(load) = folding.lane.take() {
            let (deps, name, next) = (self.deps.clone(), name.clone(), folding.batches);
            let batches = folding.topics.batches.clone();
            let unloading = async move {
                let unloaded = unload(deps, name.clone(), batches, next, load).await;
                (name, generation, Done::Unloaded(unloaded))
            };
            self.work.push(unloading.boxed());
        }
        let full = folding.lane.is_full();
        if full != *paused {
            *paused = full;
            let from = (!full).then(|| folding.events());
            self.tail.watch(&folding.topics.events, from);
        }
        self.arm(name);
    }

    fn disarm(&mut self, name: &PoolName) {
        if let Some(at) = self.armed.remove(name) {
            self.timers.remove(&(at, name.clone()));
        }
    }

    fn arm(&mut self, name: &PoolName) {
        self.disarm(name);
        let Some(Slot { phase: Phase::Folding { folding, .. }, .. }) = self.pools.get(name) else {
            return;
        };
        if let Some(at) = folding.wake_at() {
            self.armed.insert(name.clone(), at);
            self.timers.insert((at, name.clone()));
        }
    }

    /// Says of the pools whose time has come that their next timer is due.
    fn ask(&mut self) {
        let now = self.deps.clock.now();
        while let Some((at, name)) = self.timers.first().cloned()
            && at <= now
        {
            self.disarm(&name);
            let Some(Slot { generation, phase: Phase::Folding { folding, .. } }) =
                self.pools.get_mut(&name)
            else {
                continue;
            };
            let Some(draft) = folding.ask(now) else { continue };
            let (append, generation) = (Arc::clone(&self.deps.append), *generation);
            let events = folding.topics.events.clone();
            let asking = async move {
                faults::crash_point("batcher.before-timer");
                let asked = append.append(&events, vec![draft]).await;
                (name, generation, Done::Asked(asked.map(|appended| appended.last)))
            };
            self.work.push(asking.boxed());
        }
    }
}
