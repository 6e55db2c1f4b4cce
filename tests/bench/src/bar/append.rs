//! Appends to the log by many at once, each waiting for its own before the next.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use infra::clock::SystemClock;
use infra::directory::said;
use infra::log::{Append as _, Draft, Options, SqliteLog};
use schemas::event::{Event, UploadReceived};
use schemas::time::{LogTime, StoredAt, Wall};
use schemas::topic::Topic;
use tokio::task::JoinSet;

use super::tale;
use crate::Plan;
use crate::floor::log::Bare;
use crate::pairs::{Pair, pairs, quantile};
use crate::stopwatch::Stopwatch;
use crate::table::{Asked, Row};

const TOPICS: usize = 16;

/// What one run of appenders came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) per_s: f64,
    pub(super) p999_ms: f64,
    /// Bytes on disk for each byte of a record.
    pub(super) disk: f64,
}

pub(super) fn measure(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for appenders in [64, 256] {
        let lasts = Duration::from_millis(plan.size(2_000, 100) as u64);
        let load = Load { appenders, lasts };
        let mut files = Vec::new();
        let measured = pairs(
            plan.pairs,
            |_| {
                files.push(plan.runtime.block_on(load.on_file(plan))?);
                plan.runtime.block_on(load.on_bare_sqlite(plan))
            },
            |_| plan.runtime.block_on(load.on_log(plan)),
        )?;
        rows.push(Row::paired(
            format!("{appenders} appenders, events/s; floor: bare SQLite, group commit"),
            Asked::RatioAtLeast(0.7),
            &measured,
            |run| run.per_s,
        ));
        let beside_file = measured.iter().zip(files);
        let beside_file: Vec<_> =
            beside_file.map(|(pair, floor)| Pair { floor, ours: pair.ours }).collect();
        rows.push(Row::paired(
            format!("{appenders} appenders, p99.9 in ms; floor: plain file, group fdatasync"),
            Asked::RatioAtMost(2.5),
            &beside_file,
            |run| run.p999_ms,
        ));
        if appenders == 64 {
            rows.push(Row::alone(
                "disk bytes for each byte of a record",
                Asked::OursAtMost(1.2),
                measured.iter().map(|pair| pair.ours.disk),
            ));
        }
    }
    Ok(rows)
}

#[derive(Clone, Copy, Debug)]
struct Load {
    appenders: usize,
    lasts: Duration,
}

impl Load {
    async fn on_file(self, plan: &Plan) -> anyhow::Result<Run> {
        let path = plan.fresh("append")?.join("file");
        self.on_bare(Bare::file(&path)?).await
    }

    async fn on_bare_sqlite(self, plan: &Plan) -> anyhow::Result<Run> {
        let path = plan.fresh("append")?.join("bare.sqlite");
        self.on_bare(Bare::sqlite(&path)?).await
    }

    async fn on_bare(self, bare: Bare) -> anyhow::Result<Run> {
        let value = value();
        let bare = Arc::new(bare);
        let run = self.run(value.len(), |appender| {
            let (bare, value) = (Arc::clone(&bare), value.clone());
            move || {
                let (bare, value) = (Arc::clone(&bare), value.clone());
                async move { bare.append(i64::try_from(appender % TOPICS)?, value).await }
            }
        });
        let run = run.await?;
        Arc::into_inner(bare).expect("the appenders have ended").end()?;
        Ok(run)
    }

    async fn on_log(self, plan: &Plan) -> anyhow::Result<Run> {
        let path = plan.fresh("append")?.join("log.sqlite");
        let log = Arc::new(SqliteLog::open(&path, Options::default(), SystemClock::new()).await?);
        let topics: Vec<_> = (0..TOPICS).map(|n| Topic::named(&format!("sluice.t{n}"))).collect();
        for topic in &topics {
            log.ensure(topic).await?;
        }
        let run = self.run(value().len(), |appender| {
            let log = Arc::clone(&log);
            let topic = topics.get(appender % TOPICS).expect("it is one of them").clone();
            let event = Arc::new(event(appender as u64));
            move || {
                let (log, topic, event) = (Arc::clone(&log), topic.clone(), Arc::clone(&event));
                async move {
                    log.append(&topic, vec![draft(&event)]).await?;
                    Ok(())
                }
            }
        });
        let mut run = run.await?;
        log.close().await;
        run.disk *= std::fs::metadata(&path)?.len() as f64;
        Ok(run)
    }

    /// Runs the appenders. `disk` is left as one over the bytes of the records.
    async fn run<A, F>(
        self,
        record_bytes: usize,
        appender: impl Fn(usize) -> A,
    ) -> anyhow::Result<Run>
    where
        A: FnMut() -> F + Send + 'static,
        F: Future<Output = anyhow::Result<()>> + Send,
    {
        let lasts = self.lasts;
        let whole = Stopwatch::begin();
        let mut all = JoinSet::new();
        for number in 0..self.appenders {
            let mut append = appender(number);
            all.spawn(async move {
                let mut waits = Vec::new();
                while whole.elapsed() < lasts {
                    let watch = Stopwatch::begin();
                    append().await?;
                    waits.push(watch.millis());
                }
                anyhow::Ok(waits)
            });
        }
        let mut waits = Vec::new();
        while let Some(ended) = all.join_next().await {
            waits.extend(ended??);
        }
        let per_s = waits.len() as f64 / whole.seconds();
        let disk = 1.0 / (waits.len() * record_bytes) as f64;
        Ok(Run { per_s, p999_ms: quantile(&mut waits, 0.999), disk })
    }
}

/// A file that came.
pub(super) fn event(number: u64) -> Event {
    let at = LogTime::from_millis(tale::BASE);
    let stored_at = StoredAt::from_millis(tale::BASE);
    UploadReceived { file: tale::file(number, at), stored_at }.into()
}

/// Its record, encoded as ingest does it.
pub(super) fn draft(event: &Event) -> Draft {
    Draft::new("", event, said("/sluice/ingest", Wall::from_millis(tale::BASE)))
}

/// Its bytes.
pub(super) fn value() -> Bytes {
    draft(&event(0)).value
}
