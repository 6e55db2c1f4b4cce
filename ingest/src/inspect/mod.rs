//! Inspections: what a pool wants looked at in its files before they are grouped.
//!
//! Whoever owns a pool inspects its files: those that its `.batches` tells of as they come, and
//! those that the tables know of when it becomes its owner. A run is announced to the fold before
//! it begins and its verdict is an event; the first counts. So nothing is remembered here: what a
//! process that ended had in hand, the next finds again. Where no inspection is declared, and none
//! is waited for, nothing is read.

mod csv;
mod run;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use infra::directory::{Change, Ours};
use infra::log::{self, Chunk, Find, Group, Position, Read, Tail};
use schemas::event::{Derived, Placement};
use schemas::file::FileRef;
use schemas::id::UploadId;
use schemas::name::PoolName;
use schemas::topic::Topic;
use schemas::wire;
use tokio_util::sync::CancellationToken;

use self::run::Ended;
use crate::ask::Topics;
use crate::state::State;

/// Runs at once.
const RUNS_MAX: usize = 4;
/// Pools that are asked for what waits, at once.
const LISTINGS_MAX: usize = 8;
/// Files of one pool that wait here; what else waits is found when these are done.
const QUEUE_MAX: usize = 1_000;
/// Bytes of records read ahead.
const AHEAD_BYTES_MAX: usize = 1024 * 1024;
/// The wait after an error.
const AGAIN: Duration = Duration::from_millis(200);
/// How long runs may go on when the process ends.
const LAST_MAX: Duration = Duration::from_secs(5);

/// A pool of ours.
#[derive(Debug)]
struct Watched {
    topics: Topics,
    /// Tells answers meant for it from those meant for one before it.
    generation: u64,
    queue: VecDeque<Arc<FileRef>>,
    /// Those that wait here or are being inspected.
    here: HashSet<UploadId>,
    /// More may wait than are here.
    behind: bool,
    listing: bool,
    /// Whether its `.batches` is read.
    heard: bool,
}

/// What came of something that was begun for a pool.
enum Done {
    /// Where its `.batches` ended, and what waited then; none when that cannot be told now.
    Listed(Option<(Position, Vec<FileRef>)>),
    Ended(Arc<FileRef>, Ended),
}

type Work = BoxFuture<'static, (PoolName, u64, Done)>;

struct Inspector {
    state: State,
    read: Arc<dyn Read>,
    ours: Ours,
    tail: Box<dyn Tail>,
    pools: HashMap<PoolName, Watched>,
    by_topic: HashMap<Topic, PoolName>,
    runs: FuturesUnordered<Work>,
    listings: FuturesUnordered<Work>,
    /// Pools that want to be listed, and those with files that wait, by turns.
    to_list: VecDeque<PoolName>,
    turns: VecDeque<PoolName>,
    generation: u64,
}

/// Inspects the files of the pools that this process owns, until `token` says to stop.
pub async fn inspect(
    state: State,
    read: Arc<dyn Read>,
    token: CancellationToken,
) -> log::Result<()> {
    let ours = Ours::join(read.as_ref(), Group::Inspectors, state.directory()).await?;
    let tail = read.tail(AHEAD_BYTES_MAX).await?;
    let mut inspector = Inspector {
        state,
        read,
        ours,
        tail,
        pools: HashMap::new(),
        by_topic: HashMap::new(),
        runs: FuturesUnordered::new(),
        listings: FuturesUnordered::new(),
        to_list: VecDeque::new(),
        turns: VecDeque::new(),
        generation: 0,
    };
    tokio::select! {
        () = token.cancelled() => {}
        outcome = inspector.go_on() => return outcome,
    }
    // A run that ends counts; one that is cut off would count as an attempt that failed.
    let last = async { while inspector.runs.next().await.is_some() {} };
    _ = tokio::time::timeout(LAST_MAX, last).await;
    Ok(())
}

impl Inspector {
    async fn go_on(&mut self) -> log::Result<()> {
        loop {
            self.begin_listings();
            self.begin_runs();
            tokio::select! {
                change = self.ours.next() => match change.transpose()? {
                    Some(change) => self.own(change),
                    None => return Ok(()),
                },
                chunk = self.tail.next() => self.read(chunk).await,
                Some((pool, generation, done)) = self.runs.next() => {
                    self.done(&pool, generation, done);
                }
                Some((pool, generation, done)) = self.listings.next() => {
                    self.done(&pool, generation, done);
                }
            }
        }
    }

    /// Asks once for each pool that is ours, and again when it begins to inspect.
    fn own(&mut self, change: Change) {
        match change {
            Change::Ours(pools) => {
                for name in pools {
                    let known = self.pools.get(&name);
                    if known.is_none_or(|it| !it.heard && self.inspects(&name)) {
                        self.watch(name);
                    }
                }
            }
            Change::Lost => {
                let lost = |name: &&PoolName| !self.ours.owns(name);
                let lost: Vec<_> = self.pools.keys().filter(lost).cloned().collect();
                for name in &lost {
                    self.forget(name);
                }
            }
        }
    }

    fn inspects(&self, pool: &PoolName) -> bool {
        let policy = self.state.directory().pool(pool).and_then(|pool| pool.policy);
        policy.is_some_and(|copied| !copied.policy.inspections.is_empty())
    }

    fn watch(&mut self, name: PoolName) {
        let pool = self.state.directory().pool(&name);
        let Some(Ok(topics)) = pool.map(|pool| Topics::of(&pool)) else { return };
        self.forget(&name);
        self.generation += 1;
        self.by_topic.insert(topics.batches.clone(), name.clone());
        let watched = Watched {
            topics,
            generation: self.generation,
            queue: VecDeque::new(),
            here: HashSet::new(),
            behind: true,
            listing: false,
            heard: false,
        };
        self.pools.insert(name.clone(), watched);
        self.to_list.push_back(name);
    }

    fn forget(&mut self, name: &PoolName) {
        if let Some(watched) = self.pools.remove(name) {
            self.tail.watch(&watched.topics.batches, None);
            self.by_topic.remove(&watched.topics.batches);
        }
    }

    fn begin_listings(&mut self) {
        while self.listings.len() < LISTINGS_MAX
            && let Some(name) = self.to_list.pop_front()
        {
            let Some(watched) = self.pools.get_mut(&name).filter(|it| it.behind && !it.listing)
            else {
                continue;
            };
            (watched.listing, watched.behind) = (true, false);
            let (generation, topic) = (watched.generation, watched.topics.batches.clone());
            let (read, known) = (Arc::clone(&self.read), Arc::clone(&self.state.known));
            let listing = async move {
                let listed = async {
                    let end = read.find(&topic, Find::End).await.ok()?;
                    let files = known.inspecting(&name, end.next, QUEUE_MAX).await.ok()??;
                    Some((end, files))
                };
                let listed = listed.await;
                if listed.is_none() {
                    tokio::time::sleep(AGAIN).await;
                }
                (name, generation, Done::Listed(listed))
            };
            self.listings.push(listing.boxed());
        }
    }

    /// One file of each pool in turn.
    fn begin_runs(&mut self) {
        while self.runs.len() < RUNS_MAX
            && let Some(name) = self.turns.pop_front()
        {
            let Some(watched) = self.pools.get_mut(&name) else { continue };
            let Some(file) = watched.queue.pop_front() else { continue };
            self.turns.push_back(name.clone());
            let (generation, topics) = (watched.generation, watched.topics.clone());
            let state = self.state.clone();
            let run = async move {
                let ended = state.inspect(&name, &topics, &file).await;
                (name, generation, Done::Ended(file, ended))
            };
            self.runs.push(run.boxed());
        }
    }

    fn done(&mut self, name: &PoolName, generation: u64, done: Done) {
        let inspects = self.inspects(name);
        let Some(watched) = self.pools.get_mut(name).filter(|it| it.generation == generation)
        else {
            return;
        };
        match done {
            Done::Listed(None) => {
                (watched.listing, watched.behind) = (false, true);
                self.to_list.push_back(name.clone());
            }
            Done::Listed(Some((end, files))) => {
                watched.listing = false;
                watched.behind |= files.len() >= QUEUE_MAX;
                if !watched.heard && (inspects || !files.is_empty()) {
                    watched.heard = true;
                    self.tail.watch(&watched.topics.batches, Some(end));
                }
                for file in files {
                    self.wait(name, Arc::new(file));
                }
            }
            Done::Ended(file, ended) => {
                watched.here.remove(&file.upload);
                let idle = watched.here.is_empty() && watched.behind;
                match ended {
                    Ended::Again => self.wait(name, file),
                    Ended::Done if idle => self.to_list.push_back(name.clone()),
                    Ended::Done => {}
                }
            }
        }
    }

    /// A file is to be inspected.
    fn wait(&mut self, name: &PoolName, file: Arc<FileRef>) {
        let Some(watched) = self.pools.get_mut(name) else { return };
        if watched.queue.len() >= QUEUE_MAX {
            watched.behind = true;
        } else if watched.here.insert(file.upload) {
            watched.queue.push_back(file);
            if !self.turns.contains(name) {
                self.turns.push_back(name.clone());
            }
        }
    }

    async fn read(&mut self, chunk: log::Result<Chunk>) {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(log::Error::Gap(topic) | log::Error::NoTopic(topic)) => {
                if let Some(name) = self.by_topic.get(&topic).cloned() {
                    tracing::error!(pool = %name, "files are inspected no longer: its log is another");
                    self.forget(&name);
                }
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "what is to be inspected cannot be read; tried again");
                return tokio::time::sleep(AGAIN).await;
            }
        };
        let Some(name) = self.by_topic.get(&chunk.topic).cloned() else { return };
        for record in &chunk.records {
            // What this program does not know is nothing that it inspects.
            match wire::body::<Derived>(&record.value) {
                Ok(Derived::FilePlaced(said))
                    if matches!(said.placed, Placement::Inspecting { .. }) =>
                {
                    self.wait(&name, said.file);
                }
                Ok(Derived::FileRetried(said)) => self.wait(&name, said.file),
                _ => (),
            }
        }
    }
}
