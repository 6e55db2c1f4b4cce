//! Those who listen: what one costs who hears nothing, and how soon a thousand have heard.

use std::time::Duration;

use anyhow::Context as _;
use client::{Offer, Source, fresh};
use schemas::api::Claim;
use schemas::policy::PolicyAsk;
use schemas::role::Role;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::people::{Person, Pool};
use crate::Plan;
use crate::http::{Connection, noise};
use crate::server::Server;
use crate::stopwatch::Stopwatch;
use crate::table::{Asked, Row};

/// Longest that anything may take.
const SOON: Duration = Duration::from_mins(1);
/// Listeners that come first, so that what is made once is not counted.
const BEFORE: usize = 200;

/// Listeners that hear nothing.
pub(super) fn idle(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let count = plan.size(2_000, 20);
    let runs = (0..plan.size(3, 1)).map(|_| plan.runtime.block_on(each_kib(plan, count)));
    let runs: Vec<f64> = runs.collect::<anyhow::Result<_>>()?;
    let what = format!("KiB in memory for each of {count} listeners");
    Ok(vec![Row::alone(what, Asked::OursAtMost(10.0), runs)])
}

async fn each_kib(plan: &Plan, count: usize) -> anyhow::Result<f64> {
    let server = Server::sluice(&plan.fresh("idle")?.join("data"), &[])?;
    let pool = Pool::make(&server, PolicyAsk::default()).await?;
    let listener = pool.member("listener", Role::Listener).await?;
    let mut all = Vec::new();
    for _ in 0..BEFORE {
        all.push(listen(&pool, &listener).await?);
    }
    let (before, _) = server.memory_kib()?;
    for _ in 0..count {
        all.push(listen(&pool, &listener).await?);
    }
    let (after, _) = server.memory_kib()?;
    anyhow::ensure!(all.len() == BEFORE + count, "all are there");
    Ok((after - before) / count as f64)
}

/// A result, to a thousand.
pub(super) fn notify(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let count = plan.size(1_000, 10);
    let slowest = plan.runtime.block_on(slowest_ms(plan, count))?;
    let what = |after: &str| format!("the slowest of {count} listeners, ms after a result {after}");
    let readable = slowest.iter().map(|(after_readable, _)| *after_readable);
    let offered = slowest.iter().map(|(_, after_offered)| *after_offered);
    Ok(vec![
        Row::alone(
            what("was found to be readable by one who asks again and again (0: before that)"),
            Asked::OursAtMost(200.0),
            readable,
        ),
        Row::alone(what("was begun to be offered"), Asked::Nothing, offered),
    ])
}

async fn slowest_ms(plan: &Plan, count: usize) -> anyhow::Result<Vec<(f64, f64)>> {
    let server = Server::sluice(&plan.fresh("notify")?.join("data"), &[])?;
    let policy = PolicyAsk { count: Some(1), ..PolicyAsk::default() };
    let pool = Pool::make(&server, policy).await?;
    let listener = pool.member("listener", Role::Listener).await?;
    let sender = pool.member("sender", Role::Contributor).await?;
    let worker = pool.member("worker", Role::Processor).await?;
    let mut slowest = Vec::new();
    for _ in 0..plan.pairs {
        let watch = Stopwatch::begin();
        let mut all = JoinSet::new();
        for _ in 0..count {
            let stream = listen(&pool, &listener).await?;
            all.spawn(hears_result(stream, watch));
        }
        let to = pool.target(&sender);
        tokio::task::spawn_blocking(move || Connection::open(to.at)?.upload(&to, &noise(1_000), 1))
            .await??;
        let before = listener.client.latest_result(&pool.name).await.ok().map(|r| r.result);
        let claim = Claim { claim: fresh::claim(), wait_ms: 10_000 };
        let lease = worker.client.claim(&pool.name, &claim).await?.context("there is a batch")?;
        let (name, kind) = ("result.bin".parse()?, "application/octet-stream".parse()?);
        let offer = Offer::new(name, kind, Source::bytes(noise(1_000)));
        let begun = watch.millis();
        let offered = worker.client.offer_result(&pool.name, &lease, &offer);
        let readable = async {
            loop {
                let latest = listener.client.latest_result(&pool.name).await;
                if latest.is_ok_and(|latest| Some(latest.result) != before) {
                    return watch.millis();
                }
            }
        };
        let (offered, readable) = tokio::join!(offered, readable);
        offered?;
        let mut last = 0.0_f64;
        while let Some(heard) = tokio::time::timeout(SOON, all.join_next()).await? {
            last = last.max(heard??);
        }
        slowest.push(((last - readable).max(0.0), last - begun));
    }
    Ok(slowest)
}

/// When it was told of a result.
async fn hears_result(mut stream: TcpStream, watch: Stopwatch) -> anyhow::Result<f64> {
    let (mut heard, mut buffer) = (Vec::new(), vec![0; 4_096]);
    let word = b"\"notice\":\"result\"";
    while !heard.windows(word.len()).any(|bytes| bytes == word) {
        let read = stream.read(&mut buffer).await?;
        anyhow::ensure!(read > 0, "the stream was closed");
        heard.extend_from_slice(buffer.get(..read).unwrap_or_default());
    }
    Ok(watch.millis())
}

/// A stream of notices that has begun.
async fn listen(pool: &Pool, who: &Person) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(pool.at).await?;
    let head = format!(
        "GET /v1/pools/{}/notices HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
         accept: text/event-stream\r\n\r\n",
        pool.name, pool.at, who.token
    );
    stream.write_all(head.as_bytes()).await?;
    let (mut heard, mut buffer) = (Vec::new(), [0; 512]);
    while !heard.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let read = stream.read(&mut buffer).await?;
        anyhow::ensure!(read > 0, "no stream began");
        heard.extend_from_slice(buffer.get(..read).unwrap_or_default());
    }
    anyhow::ensure!(heard.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&heard));
    Ok(stream)
}
