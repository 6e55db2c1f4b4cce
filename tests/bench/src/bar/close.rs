//! From the word that a window shall close to its batch being there to be read, under load.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use batcher::{BatcherMetrics, Deps};
use infra::blobs::Folder;
use infra::clock::{Clock, SystemClock};
use infra::directory::{Directory, draft, said};
use infra::log::{Append as _, Draft, Find, Options, Read as _, SqliteLog, Tail};
use infra::supervise::{OnError, Stage, Supervisor};
use infra::telemetry::Metrics;
use schemas::event::{Derived, Event, PoolLocated, UploadReceived};
use schemas::limit::Limits;
use schemas::policy::PolicyAsk;
use schemas::time::{EffectiveAt, LogTime, StoredAt};
use schemas::topic::Topic;
use schemas::wire;
use tokio::task::JoinSet;

use super::{append, tale};
use crate::Plan;
use crate::floor::log::Bare;
use crate::pairs::{pairs, quantile};
use crate::stopwatch::Stopwatch;
use crate::table::{Asked, Row};

/// Others that append to the same log all the while.
const LOADERS: usize = 16;
/// Longest that anything may take.
const SOON: Duration = Duration::from_secs(20);

pub(super) fn measure(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let closes = plan.size(500, 5);
    let measured = pairs(
        plan.pairs,
        |_| plan.runtime.block_on(commits(plan, closes)),
        |_| plan.runtime.block_on(Scene::play(plan, closes)),
    )?;
    let row = |name: &str, asked, share: f64| {
        let what = format!("{name} from close to batch, ms; floor: two bare commits, same load");
        Row::paired(what, asked, &measured, |waits| quantile(&mut waits.clone(), share))
    };
    Ok(vec![row("p50", Asked::Nothing, 0.5), row("p99", Asked::RatioAtMost(3.0), 0.99)])
}

/// Two commits, one after the other, so many times.
async fn commits(plan: &Plan, times: usize) -> anyhow::Result<Vec<f64>> {
    let bare = Arc::new(Bare::sqlite(&plan.fresh("close")?.join("bare.sqlite"))?);
    let mut load = JoinSet::new();
    for number in 0..LOADERS {
        let (bare, value) = (Arc::clone(&bare), append::value());
        load.spawn(async move {
            let topic = i64::try_from(number).unwrap_or_default() + 2;
            while bare.append(topic, value.clone()).await.is_ok() {}
        });
    }
    let (mut waits, value) = (Vec::new(), append::value());
    for _ in 0..times {
        let watch = Stopwatch::begin();
        bare.append(0, value.clone()).await?;
        bare.append(1, value.clone()).await?;
        waits.push(watch.millis());
    }
    load.shutdown().await;
    Arc::into_inner(bare).context("the load has ended")?.end()?;
    Ok(waits)
}

/// A log, a batcher, and a pool in it.
struct Scene {
    log: Arc<SqliteLog>,
    clock: Arc<dyn Clock>,
    supervisor: Supervisor,
    tail: Box<dyn Tail>,
}

impl Scene {
    async fn play(plan: &Plan, closes: usize) -> anyhow::Result<Vec<f64>> {
        let mut scene = Self::begin(plan).await?;
        let mut load = JoinSet::new();
        for number in 0..LOADERS {
            let topic = Topic::named(&format!("sluice.load{number}"));
            scene.log.ensure(&topic).await?;
            let log = Arc::clone(&scene.log);
            load.spawn(async move {
                let event = append::event(number as u64);
                while log.append(&topic, vec![append::draft(&event)]).await.is_ok() {}
            });
        }
        let mut waits = Vec::new();
        for number in 0..closes {
            let now = scene.clock.now();
            let stored_at = StoredAt::from_millis(now.millis());
            let mut file = tale::file(number as u64, LogTime::from_millis(now.millis()));
            file.client = tale::contributor(0);
            file.effective_at = EffectiveAt::from_millis(now.millis());
            scene.say(UploadReceived { file, stored_at }).await?;
            scene.until(|said| matches!(said, Derived::FilePlaced(_))).await?;
            let watch = Stopwatch::begin();
            scene.say(tale::close_asked()).await?;
            scene.until(|said| matches!(said, Derived::BatchReady(_))).await?;
            waits.push(watch.millis());
        }
        load.shutdown().await;
        scene.supervisor.drain(SOON).await;
        scene.log.close().await;
        Ok(waits)
    }

    async fn begin(plan: &Plan) -> anyhow::Result<Self> {
        let folder = plan.fresh("close")?;
        let clock: Arc<dyn Clock> = SystemClock::new();
        let path = folder.join("log.sqlite");
        let log = SqliteLog::open(&path, Options::default(), Arc::clone(&clock)).await?;
        let log = Arc::new(log);
        log.ensure(&Topic::directory()).await?;
        let supervisor = Supervisor::new();
        let metrics = Metrics::new(Arc::clone(&clock), "bench");
        let directory = Directory::new(Arc::clone(&clock), &Limits::default(), &metrics);
        let ground = supervisor.stage(Stage::Ground);
        let (followed, read) = (Arc::clone(&directory), Arc::<SqliteLog>::clone(&log));
        let token = ground.token();
        ground.spawn("directory", OnError::Stop, async move { followed.follow(read, token).await });
        directory.catch_up().await.map_err(|stale| anyhow::anyhow!("{stale:?}"))?;
        let deps = Deps {
            append: Arc::<SqliteLog>::clone(&log),
            read: Arc::<SqliteLog>::clone(&log),
            blobs: Arc::new(Folder::open(&folder.join("blobs")).await?),
            clock: Arc::clone(&clock),
            directory,
            limits: Arc::default(),
        };
        let work = supervisor.stage(Stage::Work);
        let run = batcher::run(deps, Arc::new(BatcherMetrics::default()), work.token());
        work.spawn("batcher", OnError::Stop, run);
        let pool = tale::pool_name();
        let topics = [Topic::events(&pool), Topic::batches(&pool), Topic::deliveries(&pool)];
        for topic in &topics {
            log.ensure(topic).await?;
        }
        let mut tail = log.tail(1024 * 1024).await?;
        let batches = Topic::batches(&pool);
        tail.watch(&batches, Some(log.find(&batches, Find::Start).await?));
        let attributes = said("/sluice/bench", clock.now());
        log.append(&Topic::directory(), vec![draft(located(), attributes)]).await?;
        let mut scene = Self { log, clock, supervisor, tail };
        let ask = PolicyAsk { update_every_ms: Some(3_600_000), ..PolicyAsk::default() };
        let policy = ask.resolve(&Limits::default());
        let policy = policy.map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
        scene.say(tale::created(policy)).await?;
        scene.say(tale::joined(0)).await?;
        let joined = |said: &Derived| matches!(said, Derived::MemberAdded(member) if member.account == tale::contributor(0));
        scene.until(joined).await?;
        Ok(scene)
    }

    async fn say(&mut self, event: impl Into<Event>) -> anyhow::Result<()> {
        let attributes = said("/sluice/ingest", self.clock.now());
        let draft = Draft::new("", &event.into(), attributes);
        self.log.append(&Topic::events(&tale::pool_name()), vec![draft]).await?;
        Ok(())
    }

    /// Returns once such a record is there.
    async fn until(&mut self, is_it: impl Fn(&Derived) -> bool) -> anyhow::Result<()> {
        let there = async {
            loop {
                for record in self.tail.next().await?.records {
                    if is_it(&wire::decode::<Derived>(&record.value)?.0) {
                        return anyhow::Ok(());
                    }
                }
            }
        };
        tokio::time::timeout(SOON, there).await.context("nothing follows")?
    }
}

/// Where the pool of the tales has its topics.
pub(super) fn located() -> PoolLocated {
    let pool = tale::pool_name();
    PoolLocated {
        events: Topic::events(&pool).name().into(),
        batches: Topic::batches(&pool).name().into(),
        deliveries: Topic::deliveries(&pool).name().into(),
        name: pool,
    }
}
