//! The loop that keeps the directory up: tail the topic, and ask again and again where it ends.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, OptionFuture};
use schemas::event::Directory as Body;
use schemas::topic::Topic;
use schemas::wire;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{Confirmed, Directory};
use crate::log::{self, Chunk, Error, Find, Position, Read, Record};

/// How often the log is asked where the topic ends.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// How long its answer is waited for.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// How long the follower waits after an error that may go away.
const RETRY_WAIT: Duration = Duration::from_millis(200);
/// Bytes the reader may hold ahead.
const AHEAD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// An end of the topic, and what is confirmed once it is reached.
struct Goal {
    end: Position,
    confirms: Confirmed,
}

struct Follower {
    directory: Arc<Directory>,
    log: Arc<dyn Read>,
    topic: Topic,
    position: Option<Position>,
    /// Whether the log's last answer was an error: it is logged once.
    silent: bool,
}

impl Directory {
    /// Reads the topic until `stop`. Errors that may go away are waited out; the directory is stale
    /// meanwhile. Any other means that what was folded is not what the log says: the process must
    /// end.
    pub async fn follow(
        self: Arc<Self>,
        log: Arc<dyn Read>,
        stop: CancellationToken,
    ) -> log::Result<()> {
        let topic = Topic::directory();
        let mut follower = Follower { directory: self, log, topic, position: None, silent: false };
        loop {
            let failed = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                failed = follower.run() => failed,
            };
            match failed {
                Error::Refused { .. } | Error::Unknown(_) | Error::NoTopic(_) => {
                    tracing::warn!(error = %failed, "the directory cannot be read now");
                }
                Error::Gap(_) | Error::TooLarge(_) | Error::Misconfigured(_) => {
                    return Err(failed);
                }
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(RETRY_WAIT) => {}
            }
        }
    }

    /// Takes records in, all at once for those who look.
    fn take(&self, records: &[Record]) {
        let bodies: Vec<Body> = records.iter().filter_map(|record| self.decode(record)).collect();
        self.records.inc_by(records.len() as u64);
        let mut fold = self.fold.write().unwrap_or_else(PoisonError::into_inner);
        for body in bodies {
            fold.apply(body);
        }
        let version = fold.version();
        drop(fold);
        self.version.send_replace(version);
    }

    /// What a record says. They are copies: one that cannot be read is skipped, aloud.
    fn decode(&self, record: &Record) -> Option<Body> {
        match wire::decode(&record.value) {
            Ok((body, _)) => Some(body),
            Err(error) => {
                self.unreadable.inc();
                tracing::warn!(offset = record.offset, %error, "skipped a record of the directory");
                None
            }
        }
    }

    fn confirm(&self, confirms: Confirmed) {
        let now = self.clock.now();
        if self.read(|fold| fold.has_to_forget(now)) {
            self.fold.write().unwrap_or_else(PoisonError::into_inner).forget(now);
        }
        self.confirmed.send_replace(confirms);
    }
}

impl Follower {
    /// Reads on until something fails.
    async fn run(&mut self) -> Error {
        match self.read_on().await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    async fn read_on(&mut self) -> log::Result<Infallible> {
        let mut tail = self.log.tail(AHEAD_BYTES_MAX).await?;
        let start = match self.position {
            Some(position) => position,
            None => self.log.find(&self.topic, Find::Start).await?,
        };
        self.position = Some(start);
        tail.watch(&self.topic, Some(start));

        let mut tickets = self.directory.tickets.subscribe();
        let mut ticks = tokio::time::interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asking: Option<BoxFuture<'static, log::Result<Goal>>> = None;
        let mut goal: Option<Goal> = None;
        loop {
            let idle = asking.is_none() && goal.is_none();
            tokio::select! {
                chunk = tail.next() => self.take(&chunk?),
                () = due(&mut ticks, &mut tickets), if idle => {
                    let ticket = *tickets.borrow_and_update();
                    asking = Some(self.ask(ticket));
                }
                Some(answer) = OptionFuture::from(asking.as_mut()) => {
                    asking = None;
                    goal = self.heard(answer)?;
                }
            }
            if let Some(reached) = &goal
                && self.has_reached(reached.end)?
            {
                self.directory.confirm(reached.confirms);
                goal = None;
            }
        }
    }

    fn take(&mut self, chunk: &Chunk) {
        self.directory.take(&chunk.records);
        self.position = Some(Position { topic_id: chunk.topic_id, next: chunk.end });
    }

    /// Asks where the topic ends; the answer covers what was appended before now.
    fn ask(&self, ticket: u64) -> BoxFuture<'static, log::Result<Goal>> {
        let confirms = Confirmed { ticket, at: Some(self.directory.clock.uptime()) };
        let (log, topic) = (Arc::clone(&self.log), self.topic.clone());
        async move {
            let asked = tokio::time::timeout(ANSWER_WAIT, log.find(&topic, Find::End)).await;
            let silent = |_| Error::Refused {
                reason: "it does not say where the topic ends".into(),
                retry_after: RETRY_WAIT,
            };
            Ok(Goal { end: asked.map_err(silent)??, confirms })
        }
        .boxed()
    }

    /// An error that may go away is waited out with the reader kept: at the next tick it is asked
    /// again.
    fn heard(&mut self, answer: log::Result<Goal>) -> log::Result<Option<Goal>> {
        match answer {
            Ok(goal) => {
                self.silent = false;
                Ok(Some(goal))
            }
            Err(error) if error.retryable() => {
                if !std::mem::replace(&mut self.silent, true) {
                    tracing::warn!(%error, "the log does not say where the directory ends");
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn has_reached(&self, end: Position) -> log::Result<bool> {
        let Some(position) = self.position else { return Ok(false) };
        let known = !position.topic_id.is_nil() && !end.topic_id.is_nil();
        if known && position.topic_id != end.topic_id {
            return Err(Error::Gap(self.topic.clone()));
        }
        Ok(position.next >= end.next)
    }
}

/// Returns when the log is to be asked again: it is time, or somebody wants to know.
async fn due(ticks: &mut Interval, tickets: &mut watch::Receiver<u64>) {
    tokio::select! {
        _ = ticks.tick() => {}
        Ok(()) = tickets.changed() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::directory::{Fold, NotSeen, Stale, draft, said};
    use crate::fakes::{FakeLog, Mood};
    use crate::log::Append;
    use crate::supervise::{OnError, Stage, Supervisor};
    use crate::telemetry::Metrics;
    use schemas::event::{AccountCreated, SessionRevoked};
    use schemas::id::{AccountId, SessionId};
    use schemas::limit::Limits;
    use schemas::time::Wall;

    const LONG: Duration = Duration::from_secs(30);

    struct Scene {
        log: FakeLog,
        clock: Arc<ManualClock>,
        directory: Arc<Directory>,
        metrics: Metrics,
        supervisor: Supervisor,
    }

    /// A directory that is followed; waits 200 ms at most to catch up.
    async fn scene() -> Scene {
        let clock = ManualClock::at(Wall::from_millis(1_000_000));
        let metrics = Metrics::new(clock.clone(), "test");
        let limits = Limits { position_wait_ms_max: 200, ..Limits::default() };
        let directory = Directory::new(clock.clone(), &limits, &metrics);
        let log = FakeLog::default();
        log.ensure(&Topic::directory()).await.unwrap();
        let supervisor = Supervisor::new();
        Scene { log, clock, directory, metrics, supervisor }
    }

    impl Scene {
        fn follow(&self) {
            let tasks = self.supervisor.stage(Stage::Ground);
            let log = Arc::new(self.log.clone());
            let follow = Arc::clone(&self.directory).follow(log, tasks.token());
            tasks.spawn("directory", OnError::Stop, follow);
        }

        async fn append(&self, body: impl Into<Body>) {
            let draft = draft(body, said("/sluice/test", self.clock.now()));
            self.log.append(&Topic::directory(), vec![draft]).await.unwrap();
        }

        async fn account(&self, bits: u128) {
            let account = AccountId::from_bits(bits);
            let name = format!("a{bits}").parse().unwrap();
            self.append(AccountCreated { account, name, platform_admin: false, owner: None }).await;
        }

        async fn until_ready(&self) {
            let mut confirmed = self.directory.confirmed.subscribe();
            let ready = confirmed.wait_for(|confirmed| confirmed.at.is_some());
            tokio::time::timeout(LONG, ready).await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn what_was_there_is_read_before_it_is_ready() {
        let scene = scene().await;
        for bits in 1..=5 {
            scene.account(bits).await;
        }
        assert_eq!((scene.directory.ready(), scene.directory.fresh()), (false, Err(Stale)));
        scene.follow();
        scene.until_ready().await;
        assert_eq!(scene.directory.fresh(), Ok(()));
        assert_eq!(scene.directory.read(Fold::accounts), 5);
        scene.supervisor.drain(LONG).await;
    }

    #[tokio::test]
    async fn caught_up_means_all_that_was_appended_before() {
        let scene = scene().await;
        scene.follow();
        for bits in 1..=50 {
            scene.account(bits).await;
            scene.directory.catch_up().await.unwrap();
            assert!(scene.directory.account(AccountId::from_bits(bits)).is_some());
        }
        scene.supervisor.drain(LONG).await;
    }

    #[tokio::test]
    async fn a_log_that_does_not_answer_makes_it_stale_until_it_does() {
        for mood in [Mood::Refuses, Mood::Hangs] {
            let scene = scene().await;
            scene.follow();
            scene.until_ready().await;
            scene.log.finding(mood);
            // One answer may have been on its way.
            while scene.directory.catch_up().await.is_ok() {}
            scene.clock.advance(751);
            assert_eq!(scene.directory.fresh(), Err(Stale), "{mood:?}");
            assert_eq!(scene.directory.refresh().await, Err(Stale), "{mood:?}");
            assert!(scene.directory.ready());
            scene.log.finding(Mood::Well);
            while scene.directory.catch_up().await.is_err() {}
            assert_eq!(scene.directory.fresh(), Ok(()), "{mood:?}");
            scene.supervisor.drain(LONG).await;
        }
    }

    #[tokio::test]
    async fn a_jump_of_the_clock_is_healed_by_asking() {
        let scene = scene().await;
        scene.follow();
        scene.until_ready().await;
        for _ in 0..20 {
            scene.clock.advance(86_400_000);
            assert_eq!(scene.directory.refresh().await, Ok(()));
        }
        scene.supervisor.drain(LONG).await;
    }

    #[tokio::test]
    async fn records_that_cannot_be_read_are_skipped_and_counted() {
        let scene = scene().await;
        scene.log.put_bytes(&Topic::directory(), b"{}");
        scene.account(1).await;
        scene.follow();
        let shown = |fold: &Fold| fold.accounts() == 1;
        scene.directory.wait_for(shown, LONG).await.unwrap();
        assert!(scene.metrics.render().contains("directory_unreadable_records_total 1"));
        scene.supervisor.drain(LONG).await;
    }

    #[tokio::test]
    async fn waiting_for_something_ends_when_it_is_shown_or_in_time() {
        let scene = scene().await;
        scene.follow();
        let session = SessionId::from_bits(1);
        let revoked = |fold: &Fold| fold.is_revoked(session);
        let wait = scene.directory.wait_for(revoked, Duration::from_millis(10));
        assert_eq!(wait.await, Err(NotSeen));
        let mut version = scene.directory.subscribe();
        let (waited, ()) = tokio::join!(
            scene.directory.wait_for(revoked, LONG),
            scene.append(SessionRevoked { session, until: scene.clock.now() })
        );
        assert_eq!(waited, Ok(()));
        assert!(version.has_changed().unwrap() && *version.borrow_and_update() == 1);
        scene.clock.advance(86_400_000);
        scene.directory.catch_up().await.unwrap();
        assert!(!scene.directory.is_revoked(session), "its tokens are long dead");
        scene.supervisor.drain(LONG).await;
    }

    #[tokio::test]
    async fn a_topic_made_again_ends_the_process() {
        let scene = scene().await;
        scene.account(1).await;
        scene.follow();
        scene.until_ready().await;
        scene.log.make_again(&Topic::directory());
        tokio::time::timeout(LONG, scene.supervisor.stopping()).await.unwrap();
        let failure = scene.supervisor.drain(LONG).await.failure.unwrap();
        assert!(failure.reason.contains("gap"), "{failure}");
    }
}
