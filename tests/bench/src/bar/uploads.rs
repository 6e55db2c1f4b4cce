//! Uploads to the release binary, beside a server that does the least.

use std::net::SocketAddr;
use std::sync::Arc;

use schemas::policy::PolicyAsk;
use schemas::role::Role;

use super::people::Pool;
use crate::Plan;
use crate::http::{Connection, Target, noise};
use crate::pairs::{pairs, quantile};
use crate::server::Server;
use crate::stopwatch::Stopwatch;
use crate::table::{Asked, Row};

const AT_ONCE: usize = 32;
const SMALL_BYTES: usize = 100_000;
const MIB: usize = 1024 * 1024;

/// What some uploads took.
struct Took {
    per_s: f64,
    cpu_s: f64,
    p99_ms: f64,
}

/// Both servers, each with a folder of its own.
struct Both {
    floor: Server,
    to_floor: Target,
    ours: Server,
    to_ours: Target,
}

impl Both {
    fn begin(plan: &Plan) -> anyhow::Result<Self> {
        let floor = Server::floor(&plan.fresh("floor")?)?;
        let limits = ["file_bytes_max=2000000000"];
        let ours = Server::sluice(&plan.fresh("ours")?.join("data"), &limits)?;
        let pool = plan.runtime.block_on(async {
            let pool = Pool::make(&ours, PolicyAsk::default()).await?;
            let sender = pool.member("sender", Role::Contributor).await?;
            anyhow::Ok(pool.target(&sender))
        })?;
        let to_floor = Target { at: floor.at, path: "/".into(), token: pool.token.clone() };
        Ok(Self { floor, to_floor, ours, to_ours: pool })
    }
}

/// 100 KB, 32 at a time.
pub(super) fn small(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let both = Both::begin(plan)?;
    let each = plan.size(100, 2);
    let measured = pairs(
        plan.pairs,
        |_| many(&both.floor, &both.to_floor, each),
        |_| many(&both.ours, &both.to_ours, each),
    )?;
    let floor = "floor: hash, write, fsync, rename, fsync of the folder";
    let what = |figure: &str| format!("{figure}; {floor}");
    let rate = |took: &Took| took.per_s;
    Ok(vec![
        Row::paired(what("100 KB × 32, files/s"), Asked::RatioAtLeast(0.6), &measured, rate),
        Row::paired(what("p99 in ms"), Asked::RatioAtMost(2.0), &measured, |took| took.p99_ms),
        Row::paired(what("CPU-ms a file"), Asked::Nothing, &measured, |took| {
            took.cpu_s * 1e3 / (each * AT_ONCE) as f64
        }),
    ])
}

fn many(server: &Server, to: &Target, each: usize) -> anyhow::Result<Took> {
    let piece = Arc::new(noise(SMALL_BYTES));
    let (cpu, watch) = (server.cpu_s()?, Stopwatch::begin());
    let senders: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (to, piece) = (to.clone(), Arc::clone(&piece));
            std::thread::spawn(move || send(&to, &piece, each))
        })
        .collect();
    let mut waits = Vec::new();
    for sender in senders {
        waits.extend(sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))??);
    }
    let per_s = waits.len() as f64 / watch.seconds();
    let p99_ms = quantile(&mut waits, 0.99);
    Ok(Took { per_s, cpu_s: server.cpu_s()? - cpu, p99_ms })
}

fn send(to: &Target, piece: &[u8], files: usize) -> anyhow::Result<Vec<f64>> {
    let mut connection = Connection::open(to.at)?;
    let mut waits = Vec::with_capacity(files);
    for _ in 0..files {
        let watch = Stopwatch::begin();
        connection.upload(to, piece, 1)?;
        waits.push(watch.millis());
    }
    Ok(waits)
}

/// One upload of 1 GiB.
pub(super) fn stream(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let both = Both::begin(plan)?;
    let mib = plan.size(1_024, 8);
    let measured = pairs(
        plan.pairs,
        |_| one(&both.floor, &both.to_floor, mib),
        |_| one(&both.ours, &both.to_ours, mib),
    )?;
    let floor = "floor: receive, hash, write, fsync in one thread";
    let rate = |took: &Took| took.per_s;
    let cpu = |took: &Took| took.cpu_s * 1_024.0 / mib as f64;
    let asked = [Asked::RatioAtLeast(0.8), Asked::RatioAtMost(1.3)];
    let [fast, thrifty] = asked;
    Ok(vec![
        Row::paired(format!("1 GiB in one upload, MiB/s; {floor}"), fast, &measured, rate),
        Row::paired(format!("CPU-s a GiB; {floor}"), thrifty, &measured, cpu),
    ])
}

fn one(server: &Server, to: &Target, mib: usize) -> anyhow::Result<Took> {
    let piece = noise(MIB);
    let at: SocketAddr = to.at;
    let mut connection = Connection::open(at)?;
    let (cpu, watch) = (server.cpu_s()?, Stopwatch::begin());
    connection.upload(to, &piece, mib)?;
    let (per_s, p99_ms) = (mib as f64 / watch.seconds(), watch.millis());
    Ok(Took { per_s, cpu_s: server.cpu_s()? - cpu, p99_ms })
}
