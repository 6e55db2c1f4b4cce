//! Who listens to which pool, and the one tail that hears for them.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use infra::clock::Clock;
use infra::directory::Directory;
use infra::http::Refused;
use infra::identity::Caller;
use infra::log::{Chunk, Error, Find, Position, Read, Result, Tail};
use schemas::api::Notice;
use schemas::id::AccountId;
use schemas::limit::Limits;
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::topic::{Offset, Topic};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::catch_up;
use super::event::{Event, Word};
use super::lease::Lease;
use super::say::{Audience, Told, said};
use crate::metrics::ProjectorMetrics;
use crate::progress::Progress;

/// Events that may wait for one listener; one that is slower is let go.
const WAITING_MAX: usize = 64;
/// Bytes of records read ahead of those who listen.
const AHEAD_BYTES_MAX: usize = 1024 * 1024;
/// How often sessions are looked at, and, every so many times, listeners are told that we live.
const TICK_MS: u64 = 500;
const TICKS_PER_SIGN: u64 = 30;
/// How long the tables are waited for before an event is told: what one hears one can read.
const TABLES_WAIT: Duration = Duration::from_secs(2);
/// Groups of events that may wait for the tables; beyond, they are told at once.
const UNTOLD_MAX: usize = 1_000;
/// Listeners that read what they missed at once.
const CATCHING_UP_MAX: usize = 16;

/// One open stream.
#[derive(Debug)]
struct Listener {
    member: AccountId,
    staff: bool,
    lease: Arc<Lease>,
    to: mpsc::Sender<Word>,
}

/// What one hears from now on.
#[derive(Debug)]
pub(super) struct Ear {
    /// The first record that will be heard.
    pub(super) from: Offset,
    /// How long it is heard.
    pub(super) lease: Arc<Lease>,
    pub(super) heard: ReceiverStream<Word>,
}

/// A pool that somebody listens to.
#[derive(Debug)]
struct Heard {
    topic: Topic,
    /// The first record not read yet.
    from: Position,
    /// The first record not told yet: one who comes now hears from there on.
    told: Offset,
    listeners: Vec<Listener>,
    /// Events that wait for the tables, each group with where its records end.
    untold: VecDeque<(Offset, Vec<Told>)>,
    waiting: bool,
}

#[derive(Debug, Default)]
struct State {
    pools: HashMap<PoolName, Heard>,
    /// Pools whose watch the tail must set anew.
    changed: Vec<PoolName>,
    count: usize,
}

/// Who listens.
pub struct Hub {
    read: Arc<dyn Read>,
    clock: Arc<dyn Clock>,
    directory: Arc<Directory>,
    progress: Arc<Progress>,
    metrics: Arc<ProjectorMetrics>,
    listeners_max: usize,
    state: Mutex<State>,
    todo: Notify,
    catching_up: Arc<Semaphore>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hub {{ listeners: {} }}", self.state().count)
    }
}

/// What a hub works with.
#[derive(Clone, Debug)]
pub struct HubParts {
    /// Where derived records are read.
    pub read: Arc<dyn Read>,
    /// When sessions end.
    pub clock: Arc<dyn Clock>,
    /// Which sessions were signed out.
    pub directory: Arc<Directory>,
    /// How far the tables have got.
    pub progress: Arc<Progress>,
    /// Where it counts.
    pub metrics: Arc<ProjectorMetrics>,
}

impl Listener {
    /// Sends it what it is to hear. False when it is to be let go: it belongs no longer, or it is
    /// so slow that it would miss something. It comes back with the last id it heard.
    fn hears(&self, told: &Told) -> bool {
        if !told.is_for(self.member, self.staff) {
            return true;
        }
        self.to.try_send(Word::Notice(told.event.clone())).is_ok() && !told.event.farewell
    }
}

/// A pool, and the record before which the tables are to have everything.
type Waited = (PoolName, Offset);

impl Hub {
    /// Nobody listens yet, and nothing is heard until [`run`](Self::run) runs.
    pub fn new(parts: HubParts, limits: &Limits) -> Arc<Self> {
        let HubParts { read, clock, directory, progress, metrics } = parts;
        Arc::new(Self {
            read,
            clock,
            directory,
            progress,
            metrics,
            listeners_max: usize::try_from(limits.listeners_max).unwrap_or(usize::MAX),
            state: Mutex::default(),
            todo: Notify::new(),
            catching_up: Arc::new(Semaphore::new(CATCHING_UP_MAX)),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens to a pool. By then the tables have all records before the first that will be heard:
    /// what is not heard can be read.
    pub(super) async fn listen(
        &self,
        pool: &PoolName,
        topic: &Topic,
        caller: &Caller,
        staff: bool,
    ) -> Result<Ear, Refused> {
        let ear = self.join(pool, topic, caller, staff).await?;
        // What comes meanwhile waits in the stream.
        if self.progress.wait_batches(pool, ear.from, TABLES_WAIT).await {
            Ok(ear)
        } else {
            Err(Code::PositionNotReached.into())
        }
    }

    async fn join(
        &self,
        pool: &PoolName,
        topic: &Topic,
        caller: &Caller,
        staff: bool,
    ) -> Result<Ear, Refused> {
        let (to, events) = mpsc::channel(WAITING_MAX);
        let lease = Arc::new(Lease::of(caller));
        let listener = Listener { member: caller.account, staff, lease: Arc::clone(&lease), to };
        let known = self.state().pools.contains_key(pool);
        let end = if known { None } else { Some(self.read.find(topic, Find::End).await?) };
        let State { pools, changed, count } = &mut *self.state();
        if *count >= self.listeners_max {
            return Err(Code::TooBusy.into());
        }
        if let (false, Some(from)) = (pools.contains_key(pool), end) {
            let heard = Heard {
                topic: topic.clone(),
                from,
                told: from.next,
                listeners: Vec::new(),
                untold: VecDeque::new(),
                waiting: false,
            };
            pools.insert(pool.clone(), heard);
            changed.push(pool.clone());
            self.todo.notify_one();
        }
        // Gone between the two looks: everybody else left. The client asks again.
        let heard = pools.get_mut(pool).ok_or(Code::TooBusy)?;
        heard.listeners.push(listener);
        *count += 1;
        self.metrics.listeners.inc();
        Ok(Ear { from: heard.told, lease, heard: ReceiverStream::new(events) })
    }

    /// What a member missed of these records.
    pub(super) fn missed(
        self: Arc<Self>,
        pool: &PoolName,
        topic: &Topic,
        records: Range<Offset>,
        member: AccountId,
        staff: bool,
    ) -> impl Stream<Item = std::io::Result<Event>> + use<> {
        let told = catch_up::told(
            Arc::clone(&self.read),
            Arc::clone(&self.catching_up),
            (pool.clone(), topic.clone()),
            records,
            said,
        );
        told.filter_map(move |told| {
            std::future::ready(match told {
                Ok(told) => told.is_for(member, staff).then_some(Ok(told.event)),
                Err(error) => Some(Err(error)),
            })
        })
    }

    /// Whether the token of a stream is dead.
    pub(super) fn has_ended(&self, lease: &Lease) -> bool {
        lease.ended(&self.directory, self.clock.now())
    }

    /// Hears what there is to hear, until cancelled. Only one may run at a time.
    pub async fn run(self: Arc<Self>, token: CancellationToken) -> Result<()> {
        tokio::select! {
            () = token.cancelled() => Ok(()),
            outcome = self.hear() => outcome,
        }
    }

    async fn hear(&self) -> Result<()> {
        let mut tail = self.read.tail(AHEAD_BYTES_MAX).await?;
        let mut waits: FuturesUnordered<BoxFuture<'_, Waited>> = FuturesUnordered::new();
        waits.push(std::future::pending().boxed());
        let mut tick_at = self.clock.now().plus(TICK_MS);
        let mut ticks = 0;
        loop {
            self.set_watches(&mut *tail);
            tokio::select! {
                () = self.todo.notified() => {}
                () = self.clock.sleep_until(tick_at) => {
                    tick_at = self.clock.now().plus(TICK_MS);
                    ticks += 1;
                    self.look_at_listeners(ticks % TICKS_PER_SIGN == 0);
                }
                chunk = tail.next() => match chunk {
                    Ok(chunk) => waits.extend(self.take(&chunk).map(|wait| self.wait(wait))),
                    Err(Error::Gap(topic) | Error::NoTopic(topic)) => self.drop_topic(&topic),
                    Err(error) => {
                        tracing::warn!(%error, "notices cannot be read; tried again");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                },
                waited = waits.next() => {
                    let again = waited.and_then(|waited| self.tell(waited));
                    waits.extend(again.map(|wait| self.wait(wait)));
                }
            }
        }
    }

    fn set_watches(&self, tail: &mut dyn Tail) {
        let state = &mut *self.state();
        for pool in std::mem::take(&mut state.changed) {
            if let Some(heard) = state.pools.get(&pool) {
                if heard.listeners.is_empty() {
                    tail.watch(&heard.topic, None);
                    state.pools.remove(&pool);
                } else {
                    tail.watch(&heard.topic, Some(heard.from));
                }
            }
        }
    }

    /// Keeps the events of a chunk until the tables have what they are about. Tells what to wait
    /// for, unless somebody waits for that pool already.
    fn take(&self, chunk: &Chunk) -> Option<Waited> {
        let state = &mut *self.state();
        let mut pools = state.pools.iter_mut();
        let (pool, heard) = pools.find(|(_, heard)| heard.topic == chunk.topic)?;
        let all = chunk.records.iter().filter_map(|record| said(pool, record)).collect();
        heard.untold.push_back((chunk.end, all));
        heard.from = Position { topic_id: chunk.topic_id, next: chunk.end };
        let first = !std::mem::replace(&mut heard.waiting, true);
        first.then(|| (pool.clone(), chunk.end))
    }

    fn wait(&self, (pool, end): Waited) -> BoxFuture<'_, Waited> {
        async move {
            self.progress.wait_batches(&pool, end, TABLES_WAIT).await;
            (pool, end)
        }
        .boxed()
    }

    /// Tells what the tables have by now. Tells what to wait for next, when more has come
    /// meanwhile.
    fn tell(&self, (pool, end): Waited) -> Option<Waited> {
        let state = &mut *self.state();
        let heard = state.pools.get_mut(&pool)?;
        while let Some((upto, all)) = heard.untold.front()
            && (*upto <= end || heard.untold.len() > UNTOLD_MAX)
        {
            for told in all {
                heard.listeners.retain(|listener| listener.hears(told));
            }
            heard.told = *upto;
            heard.untold.pop_front();
        }
        let next = heard.untold.back().map(|(end, _)| (pool, *end));
        heard.waiting = next.is_some();
        next
    }

    /// Lets go of listeners that are gone, signed out or expired; tells the others, now and
    /// then, that we live.
    fn look_at_listeners(&self, sign: bool) {
        let now = self.clock.now();
        let state = &mut *self.state();
        let mut count = 0;
        for (pool, heard) in &mut state.pools {
            heard.listeners.retain(|listener| {
                let ended = listener.to.is_closed() || listener.lease.ended(&self.directory, now);
                if sign && !ended {
                    _ = listener.to.try_send(Word::Alive);
                }
                !ended
            });
            count += heard.listeners.len();
            if heard.listeners.is_empty() {
                state.changed.push(pool.clone());
            }
        }
        state.count = count;
        self.metrics.listeners.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Tells owners, admins and processors who listen now what is in no record. It has the id of the
    /// last one that is: whoever comes back after it misses nothing else.
    pub(crate) fn announce(&self, pool: &PoolName, name: &str, notice: Notice) {
        let state = &mut *self.state();
        let Some(heard) = state.pools.get_mut(pool) else { return };
        let id = heard.told.saturating_sub(1);
        let event = Event::new(id, format!("{pool}:0"), name, notice);
        let told = Told { audience: Audience::Staff, event };
        heard.listeners.retain(|listener| listener.hears(&told));
    }

    fn drop_topic(&self, topic: &Topic) {
        self.state().pools.retain(|_, heard| heard.topic != *topic);
    }
}
