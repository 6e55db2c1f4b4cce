//! The fold alone, and with reading and decoding, over a tale of 10,000 contributors.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use batcher::fold::{Input, State, step};
use infra::clock::SystemClock;
use infra::directory::said;
use infra::log::{Append as _, Draft, Find, Options, Read as _, SqliteLog};
use rusqlite::Connection;
use schemas::event::Event;
use schemas::file::FileRef;
use schemas::time::Wall;
use schemas::topic::Topic;
use schemas::wire;

use super::tale::{self, Tale};
use crate::Plan;
use crate::pairs::pairs;
use crate::stopwatch::Stopwatch;
use crate::table::{Asked, Row};
use crate::usage::{cpu_s, thread_cpu_s};

pub(super) fn measure(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let tale = Tale::of(plan.size(150_000, 30_000) as u64)?;
    let steps = pairs(plan.pairs, |_| bare(&tale), |_| fold(&tale))?;
    let path = plan.fresh("fold")?.join("log.sqlite");
    plan.runtime.block_on(write(&path, &tale))?;
    let whole = pairs(
        plan.pairs,
        |_| read_only(&path),
        |_| plan.runtime.block_on(read_and_fold(&path, &tale)),
    )?;
    Ok(vec![
        Row::paired(
            "`step`, events a core-second; floor: the same sets kept by hand, nothing decided",
            Asked::OursAtLeast(1e6),
            &steps,
            |rate| *rate,
        ),
        Row::paired(
            "read, decode and `step`, events/s; floor: rows read from SQLite, not decoded",
            Asked::OursAtLeast(150_000.0),
            &whole,
            |rates| rates.per_s,
        ),
        Row::paired(
            "the same, events a CPU-second of all threads",
            Asked::Nothing,
            &whole,
            |rates| rates.per_cpu_s,
        ),
    ])
}

/// Events by the clock, and by the CPU of the whole process.
#[derive(Clone, Copy, Debug)]
struct Rates {
    per_s: f64,
    per_cpu_s: f64,
}

/// Counts both from here.
struct Counting {
    watch: Stopwatch,
    cpu_s: f64,
}

impl Counting {
    fn begin() -> anyhow::Result<Self> {
        Ok(Self { watch: Stopwatch::begin(), cpu_s: cpu_s(std::process::id())? })
    }

    fn rates(&self, events: u64) -> anyhow::Result<Rates> {
        let cpu_s = cpu_s(std::process::id())? - self.cpu_s;
        let events = events as f64;
        Ok(Rates { per_s: events / self.watch.seconds(), per_cpu_s: events / cpu_s.max(0.01) })
    }
}

/// Events a second of this thread's CPU.
fn fold(tale: &Tale) -> anyhow::Result<f64> {
    let (mut state, inputs, mut out) = (tale.state.clone(), tale.inputs.clone(), Vec::new());
    let before = thread_cpu_s()?;
    for input in inputs {
        step(&mut state, input, &mut out);
        out.clear();
    }
    Ok(tale.inputs.len() as f64 / (thread_cpu_s()? - before))
}

/// What cannot be left out: who was seen, how far each client is, what is in each window.
fn bare(tale: &Tale) -> anyhow::Result<f64> {
    let inputs = tale.inputs.clone();
    let mut seen: HashMap<u128, [u8; 32]> = HashMap::new();
    let mut by_age = VecDeque::new();
    let mut newest: HashMap<u128, i64> = HashMap::new();
    let mut windows: BTreeMap<i64, Vec<Arc<FileRef>>> = BTreeMap::new();
    let mut out: Vec<Arc<FileRef>> = Vec::new();
    let before = thread_cpu_s()?;
    for Input { event, .. } in inputs {
        let Event::UploadReceived(received) = event else { continue };
        let (upload, at) = (received.file.upload.bits(), received.file.effective_at.millis());
        seen.insert(upload, *received.file.sha256.bytes());
        by_age.push_back(upload);
        newest.insert(received.file.client.bits(), at);
        let file = Arc::new(received.file);
        windows.entry(at.div_euclid(60_000)).or_default().push(Arc::clone(&file));
        if windows.len() > 8 {
            windows.pop_first();
        }
        out.push(file);
        out.clear();
    }
    Ok(tale.inputs.len() as f64 / (thread_cpu_s()? - before))
}

async fn write(path: &Path, tale: &Tale) -> anyhow::Result<()> {
    let log = SqliteLog::open(path, Options::default(), SystemClock::new()).await?;
    let topic = Topic::events(&tale::pool_name());
    log.ensure(&topic).await?;
    for group in [&tale.setting, &tale.inputs].into_iter().flat_map(|all| all.chunks(500)) {
        let draft = |input: &Input| {
            let attributes = said("/sluice/ingest", Wall::from_millis(input.at.millis()));
            Draft::new("", &input.event, attributes)
        };
        log.append(&topic, group.iter().map(draft).collect()).await?;
    }
    log.close().await;
    Ok(())
}

/// From the file through the fold.
async fn read_and_fold(path: &Path, tale: &Tale) -> anyhow::Result<Rates> {
    let log = SqliteLog::open(path, Options::default(), SystemClock::new()).await?;
    let topic = Topic::events(&tale::pool_name());
    let start = log.find(&topic, Find::Start).await?;
    let end = log.find(&topic, Find::End).await?.next;
    let mut tail = log.tail(8 * 1024 * 1024).await?;
    let times = tale.setting.iter().chain(&tale.inputs);
    let (mut state, mut out) = (State::default(), Vec::new());
    let counting = Counting::begin()?;
    tail.watch(&topic, Some(start));
    // The records were appended now; the tale plays at a time of its own.
    let mut times = times.map(|input| input.at);
    while state.next() < end {
        for record in tail.next().await?.records {
            let event = wire::body::<Event>(&record.value)?;
            let at = times.next().context("a time for each record")?;
            step(&mut state, Input { offset: record.offset, at, event }, &mut out);
            out.clear();
        }
    }
    counting.rates(end)
}

/// Rows from the same file, their bytes looked at and no more.
fn read_only(path: &Path) -> anyhow::Result<Rates> {
    let file = Connection::open(path)?;
    let counting = Counting::begin()?;
    let mut select = file.prepare("SELECT id, at, value FROM records ORDER BY id")?;
    let mut rows = select.query([])?;
    let (mut count, mut bytes) = (0_u64, 0);
    while let Some(row) = rows.next()? {
        bytes += row.get_ref(2)?.as_blob()?.len();
        count += 1;
    }
    anyhow::ensure!(bytes > 0, "there are records");
    counting.rates(count)
}
