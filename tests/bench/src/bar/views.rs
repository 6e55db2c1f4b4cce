//! The tables: kept up with the log, and made again from it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use batcher::fold::{State, step};
use infra::clock::{Clock, SystemClock};
use infra::directory::{Directory, draft, said};
use infra::log::{Append as _, Options, SqliteLog};
use infra::supervise::{OnError, Stage, Supervisor};
use infra::table::{Cell, Table};
use infra::telemetry::Metrics;
use infra::views::{SqliteViews, Writes};
use projector::project::{ALL, Projection, Said, Seen, Source};
use projector::{Progress, ProjectorMetrics};
use rusqlite::{Connection, Statement, params_from_iter};
use schemas::event::Derived;
use schemas::id::PoolId;
use schemas::limit::Limits;
use schemas::time::LogTime;
use schemas::topic::{Offset, Topic};

use super::close::located;
use super::tale::{self, Tale};
use crate::Plan;
use crate::pairs::pairs;
use crate::stopwatch::Stopwatch;
use crate::table::{Asked, Row};

/// Records applied in one transaction.
const BATCH: usize = 5_000;
const SOON: Duration = Duration::from_mins(5);

pub(super) fn measure(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let folder = plan.fresh("views")?;
    let scene = plan.runtime.block_on(Scene::new(&folder, plan.size(100_000, 1_000) as u64))?;
    let fresh = |name: &str| anyhow::Ok(plan.fresh(name)?.join("views.sqlite"));
    let live = pairs(
        plan.pairs,
        |_| scene.bare(plan, &fresh("bare")?, ["WAL", "NORMAL"]),
        |_| plan.runtime.block_on(scene.live(fresh("live")?)),
    )?;
    let rebuilt = pairs(
        plan.pairs,
        |_| scene.bare(plan, &fresh("bare")?, ["OFF", "OFF"]),
        |_| plan.runtime.block_on(scene.rebuilt(fresh("rebuilt")?)),
    )?;
    Ok(vec![
        Row::paired(
            "live, records/s; floor: the same rows, batches of 5,000, nothing decoded",
            Asked::RatioAtLeast(0.5),
            &live,
            |rate| *rate,
        ),
        Row::paired(
            "rebuilt into a fresh file, records/s; floor: the same rows, no journal, no sync",
            Asked::RatioAtLeast(0.4),
            &rebuilt,
            |rate| *rate,
        ),
    ])
}

/// A log of derived records, and what they do to the tables.
struct Scene {
    log: Arc<SqliteLog>,
    clock: Arc<dyn Clock>,
    records: Offset,
    /// What each batch of records writes.
    writes: Vec<Writes>,
}

impl Scene {
    async fn new(folder: &Path, files: u64) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = SystemClock::new();
        let path = folder.join("log.sqlite");
        let log = SqliteLog::open(&path, Options::default(), Arc::clone(&clock)).await?;
        let [pool, directory] = [Topic::batches(&tale::pool_name()), Topic::directory()];
        for topic in [&pool, &directory, &Topic::deliveries(&tale::pool_name())] {
            log.ensure(topic).await?;
        }
        log.append(&directory, vec![draft(located(), said("/bench", clock.now()))]).await?;
        let (tale, mut state, mut out) = (Tale::of(files)?, State::default(), Vec::new());
        for input in tale.setting.into_iter().chain(tale.inputs) {
            step(&mut state, input, &mut out);
        }
        for group in out.chunks(500) {
            let name = tale::pool_name();
            let id = Some(PoolId::from_bits(1));
            let drafts = group.iter().map(|output| batcher::record::draft(&name, id, output));
            log.append(&pool, drafts.collect()).await?;
        }
        let writes = out.chunks(BATCH).enumerate().map(|(number, group)| {
            folded(
                (number * BATCH) as Offset,
                group.iter().map(|output| (output.time, &output.body)),
            )
        });
        let (records, writes) = (out.len() as Offset, writes.collect());
        // Opened anew, so that records are read from the file.
        log.close().await;
        let log = SqliteLog::open(&path, Options::default(), Arc::clone(&clock)).await?;
        Ok(Self { log: Arc::new(log), clock, records, writes })
    }

    /// Records a second, through the projector's loop.
    async fn live(&self, path: PathBuf) -> anyhow::Result<f64> {
        let metrics = Metrics::new(Arc::clone(&self.clock), "bench");
        let directory = Directory::new(Arc::clone(&self.clock), &Limits::default(), &metrics);
        let supervisor = Supervisor::new();
        let tasks = supervisor.stage(Stage::Work);
        let (followed, read, token) =
            (Arc::clone(&directory), Arc::clone(&self.log), tasks.token());
        tasks.spawn("directory", OnError::Stop, async move { followed.follow(read, token).await });
        directory.catch_up().await.map_err(|stale| anyhow::anyhow!("{stale:?}"))?;
        let views = Arc::new(SqliteViews::open(&path).await?);
        let progress = Progress::new();
        let deps = projector::Deps {
            read: Arc::<SqliteLog>::clone(&self.log),
            views: Arc::<SqliteViews>::clone(&views),
            directory,
            progress: Arc::clone(&progress),
        };
        let metrics = Arc::new(ProjectorMetrics::new(&metrics));
        let watch = Stopwatch::begin();
        tasks.spawn("projector", OnError::Stop, projector::run(deps, metrics, tasks.token()));
        let there = progress.wait_batches(&tale::pool_name(), self.records, SOON).await;
        let rate = self.records as f64 / watch.seconds();
        anyhow::ensure!(there, "the tables do not get there");
        supervisor.drain(SOON).await;
        views.close().await;
        Ok(rate)
    }

    /// Records a second, into a file that nobody reads yet, until that is durable.
    async fn rebuilt(&self, path: PathBuf) -> anyhow::Result<f64> {
        let watch = Stopwatch::begin();
        let views = SqliteViews::open_fresh(&path).await?;
        let records = projector::rebuild(self.log.as_ref(), &views, &[located()], None).await?;
        views.finish(&path).await?;
        anyhow::ensure!(records == self.records, "{records} of {}", self.records);
        Ok(self.records as f64 / watch.seconds())
    }

    /// Records a second of a loop that only writes.
    fn bare(&self, plan: &Plan, path: &Path, pragmas: [&str; 2]) -> anyhow::Result<f64> {
        // The same tables.
        plan.runtime.block_on(async {
            let views = SqliteViews::open(path).await?;
            projector::prepare(&views).await?;
            views.close().await;
            anyhow::Ok(())
        })?;
        let file = Connection::open(path)?;
        let [journal, synchronous] = pragmas;
        file.pragma_update_and_check(None, "journal_mode", journal, |_| Ok(()))?;
        file.pragma_update(None, "synchronous", synchronous)?;
        file.pragma_update(None, "cache_size", -64 * 1_024)?;
        let watch = Stopwatch::begin();
        let mut statements: BTreeMap<&str, Statement<'_>> = BTreeMap::new();
        for writes in &self.writes {
            file.execute_batch("BEGIN")?;
            for (op, cells) in writes.iter().filter(|(op, _)| !op.delete) {
                let statement = match statements.entry(op.table.name) {
                    Entry::Occupied(there) => there.into_mut(),
                    Entry::Vacant(new) => new.insert(file.prepare(&replace(op.table))?),
                };
                let stamp = Cell::Int(op.stamp_us);
                statement.execute(params_from_iter(cells.iter().chain([&stamp])))?;
            }
            file.execute_batch("COMMIT")?;
        }
        Ok(self.records as f64 / watch.seconds())
    }
}

/// What the records do to all tables, without their checkpoints.
fn folded<'a>(from: Offset, records: impl Iterator<Item = (LogTime, &'a Derived)>) -> Writes {
    let (mut writes, pool) = (Writes::default(), tale::pool_name());
    for (offset, (at, said)) in (from..).zip(records) {
        let stamp_us = at.millis() * 1_000;
        let seen =
            Seen { pool: &pool, offset, at, event: None, stamp_us, said: Said::Derived(said) };
        for projection in ALL.iter().filter(|projection| projection.source == Source::Batches) {
            (projection.fold)(&seen, &mut writes);
        }
    }
    writes
}

/// The plainest statement that puts a row.
fn replace(table: &Table) -> String {
    let marks = vec!["?"; table.columns.len() + 1].join(", ");
    let has = |of: &&Projection| of.tables.iter().any(|known| known.name == table.name);
    let version = ALL.iter().find(has).map_or(0, |of| of.view.version);
    format!("INSERT OR REPLACE INTO {}_{version} VALUES ({marks})", table.name)
}
