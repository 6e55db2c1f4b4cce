//! `sluice replay`: a pool's records as NDJSON, or proof that the derived ones follow from the
//! events.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use batcher::verify::Verified;
use clap::{Args, ValueEnum};
use infra::directory::Fold;
use infra::log::{Find, Position, Read};
use schemas::event::{Directory, PoolLocated};
use schemas::name::PoolName;
use schemas::time::LogTime;
use schemas::topic::Topic;
use schemas::wire;
use serde_json::value::RawValue;

use crate::outcome::Done;
use crate::up::{LogUrl, open_log_to_read};

/// Read a pool's log, beside a running server or without one.
#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    /// The pool
    pub(crate) pool: PoolName,
    /// Folder of the server's data
    #[arg(long, env = "SLUICE_DATA", default_value = "data")]
    data: PathBuf,
    /// The log: kafka://HOST:PORT[,…]; otherwise the file in the data folder
    #[arg(long, env = "SLUICE_LOG", value_name = "URL")]
    log: Option<String>,
    /// Which of the pool's topics
    #[arg(long, value_enum, default_value_t = Which::Batches)]
    topic: Which,
    /// From this offset, or the first record of this time (RFC 3339)
    #[arg(long, value_name = "OFFSET|TIME")]
    from: Option<String>,
    /// Up to, not including, this offset, or the first record of this time
    #[arg(long, value_name = "OFFSET|TIME")]
    to: Option<String>,
    /// Fold the events again from zero and compare the derived records byte for byte
    #[arg(long)]
    pub(crate) verify: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    Events,
    Batches,
    Deliveries,
}

/// Runs it.
pub(crate) async fn run(args: ReplayArgs) -> anyhow::Result<Done> {
    let (read, located) = open(&args.data, args.log.as_deref(), &args.pool).await?;
    if args.verify {
        return verify(read.as_ref(), &located).await;
    }
    print_records(read.as_ref(), &args, &located).await?;
    Ok(Done::Whole)
}

/// Opens the log to read it, and finds a pool in it.
async fn open(
    data: &Path,
    log: Option<&str>,
    pool: &PoolName,
) -> anyhow::Result<(Arc<dyn Read>, Arc<PoolLocated>)> {
    let url = LogUrl::parse(log).map_err(anyhow::Error::msg)?;
    let read = open_log_to_read(data, &url).await?;
    let fold = directory(read.as_ref()).await?;
    let located = fold.pool(pool).and_then(|pool| pool.located.clone());
    let Some(located) = located else { bail!("there is no pool {pool}") };
    Ok((read, located))
}

/// What a replay of a pool finds.
pub(crate) async fn verified(
    data: &Path,
    log: Option<&str>,
    pool: &PoolName,
) -> anyhow::Result<Verified> {
    let (read, located) = open(data, log, pool).await?;
    replayed(read.as_ref(), &located).await
}

async fn replayed(read: &dyn Read, located: &PoolLocated) -> anyhow::Result<Verified> {
    let [events, batches] = [&located.events, &located.batches].map(|name| Topic::named(name));
    Ok(batcher::verify::verify(read, &located.name, &events, &batches).await?)
}

/// The directory as it stands.
pub(crate) async fn directory(read: &dyn Read) -> anyhow::Result<Fold> {
    let mut fold = Fold::default();
    let topic = Topic::directory();
    let end = read.find(&topic, Find::End).await.context("find the directory")?;
    let start = read.find(&topic, Find::Start).await?;
    let mut tail = read.tail(8 * 1024 * 1024).await?;
    tail.watch(&topic, Some(start));
    let mut next = start.next;
    while next < end.next {
        let chunk = tail.next().await?;
        next = chunk.end;
        for record in chunk.records {
            if let Ok((body, _)) = wire::decode::<Directory>(&record.value) {
                fold.apply(body);
            }
        }
    }
    Ok(fold)
}

#[allow(clippy::print_stdout, reason = "this command's output")]
async fn verify(read: &dyn Read, located: &PoolLocated) -> anyhow::Result<Done> {
    let verified = replayed(read, located).await?;
    let ok = verified.differs.is_none();
    let report = serde_json::json!({
        "pool": located.name,
        "events": verified.events,
        "equal": verified.equal,
        "copies": verified.copies,
        "missing": verified.missing,
        "differs": verified.differs.map(|differs| serde_json::json!({
            "offset": differs.offset, "expected": differs.expected, "found": differs.found,
        })),
        "verified": ok,
    });
    println!("{report}");
    if ok { Ok(Done::Whole) } else { bail!("the records do not follow from the events") }
}

async fn print_records(
    read: &dyn Read,
    args: &ReplayArgs,
    located: &PoolLocated,
) -> anyhow::Result<()> {
    let topic = Topic::named(match args.topic {
        Which::Events => &located.events,
        Which::Batches => &located.batches,
        Which::Deliveries => &located.deliveries,
    });
    let end = read.find(&topic, Find::End).await?;
    let from = place(read, &topic, args.from.as_deref(), 0).await?;
    let to = place(read, &topic, args.to.as_deref(), end.next).await?.min(end.next);
    let mut tail = read.tail(8 * 1024 * 1024).await?;
    tail.watch(&topic, Some(Position { next: from, ..end }));
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut next = from;
    while next < to {
        let chunk = tail.next().await?;
        next = chunk.end;
        for record in chunk.records.into_iter().filter(|record| record.offset < to) {
            // As it was written: not a byte is changed on the way.
            let event: &RawValue = serde_json::from_slice(&record.value)?;
            let (offset, at) = (record.offset, record.at);
            writeln!(out, "{{\"offset\":{offset},\"at\":\"{at}\",\"event\":{event}}}")?;
        }
    }
    Ok(out.flush()?)
}

/// The offset that was said, or that of the first record of the time that was said.
async fn place(
    read: &dyn Read,
    topic: &Topic,
    said: Option<&str>,
    otherwise: u64,
) -> anyhow::Result<u64> {
    let Some(said) = said else { return Ok(otherwise) };
    if let Ok(offset) = said.parse() {
        return Ok(offset);
    }
    let time: LogTime = said.parse().with_context(|| format!("{said}: an offset or a time"))?;
    Ok(read.find(topic, Find::At(time)).await?.next)
}
