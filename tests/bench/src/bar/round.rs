//! A whole round: a hundred clients send, a worker makes one file of theirs, all have it and say so.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context as _;
use client::{Heard, Progress, Source, Upload};
use futures_util::StreamExt as _;
use schemas::api::Notice;
use schemas::name::PoolName;
use schemas::policy::PolicyAsk;
use schemas::role::Role;
use tokio::task::JoinSet;
use worker::{Batch, Failed, Output, Worker};

use super::people::{Person, Pool};
use crate::Plan;
use crate::http::{Connection, Target, noise};
use crate::pairs::pairs;
use crate::server::Server;
use crate::stopwatch::Stopwatch;
use crate::table::{Asked, Row};

const FILE_BYTES: usize = 1024 * 1024;
/// Longest that a round may take.
const SOON: Duration = Duration::from_mins(2);

pub(super) fn measure(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let clients = plan.size(100, 4);
    let floor = Server::floor(&plan.fresh("floor")?)?;
    let ours = Server::sluice(&plan.fresh("ours")?.join("data"), &[])?;
    let scene = plan.runtime.block_on(Scene::new(plan, &ours, clients))?;
    let measured = pairs(
        plan.pairs,
        |_| up_and_down(&floor, clients),
        |_| plan.runtime.block_on(scene.round()),
    )?;
    let what = format!(
        "{clients} clients × 1 MiB, s without the worker's own time; floor: the files up and as \
         many down, on the floor's server"
    );
    Ok(vec![Row::paired(what, Asked::OursAtMost(2.5), &measured, |seconds| *seconds)])
}

/// The bytes alone, on as many connections.
fn up_and_down(floor: &Server, clients: usize) -> anyhow::Result<f64> {
    let piece = Arc::new(noise(FILE_BYTES));
    let target = Target { at: floor.at, path: "/".into(), token: String::new() };
    let watch = Stopwatch::begin();
    let each = |fetches: bool| {
        let all: Vec<_> = (0..clients)
            .map(|_| {
                let (target, piece) = (target.clone(), Arc::clone(&piece));
                std::thread::spawn(move || {
                    let mut connection = Connection::open(target.at)?;
                    if fetches {
                        // What was sent first is what all fetch.
                        return connection.fetch(target.at, "/00/0").map(drop);
                    }
                    connection.upload(&target, &piece, 1)
                })
            })
            .collect();
        all.into_iter().try_for_each(|one| {
            one.join().map_err(|_| anyhow::anyhow!("a client of the floor panicked"))?
        })
    };
    each(false)?;
    each(true)?;
    Ok(watch.seconds())
}

struct Scene {
    pool: Pool,
    clients: Vec<Person>,
    worker: Person,
    folder: PathBuf,
    bytes: Vec<u8>,
}

impl Scene {
    async fn new(plan: &Plan, server: &Server, clients: usize) -> anyhow::Result<Self> {
        let policy = PolicyAsk { count: Some(u32::try_from(clients)?), ..PolicyAsk::default() };
        let pool = Pool::make(server, policy).await?;
        let mut all = Vec::new();
        for number in 0..clients {
            all.push(pool.member(&format!("client-{number}"), Role::Contributor).await?);
        }
        let worker = pool.member("worker", Role::Processor).await?;
        let (folder, bytes) = (plan.fresh("round")?, noise(FILE_BYTES));
        Ok(Self { pool, clients: all, worker, folder, bytes })
    }

    /// Seconds of one round, without what the worker itself takes.
    async fn round(&self) -> anyhow::Result<f64> {
        let (begun, mut ready) = tokio::sync::mpsc::channel(self.clients.len());
        let (start, _) = tokio::sync::watch::channel(false);
        let mut all = JoinSet::new();
        for (number, person) in self.clients.iter().enumerate() {
            let to = self.folder.join(format!("{}-{number}", client::fresh::key()));
            let client = Member {
                person: person.clone(),
                pool: self.pool.name.clone(),
                // Of the same length, and each another.
                bytes: [number.to_le_bytes().as_slice(), &self.bytes].concat(),
                to,
            };
            all.spawn(client.play(begun.clone(), start.subscribe()));
        }
        for _ in &self.clients {
            ready.recv().await.context("all listen")?;
        }
        let own = Arc::new(Mutex::new(0.0));
        let worker = Worker::new(self.worker.client.clone(), self.pool.name.clone())
            .working_in(&self.folder)
            .fetches_max(8);
        let watch = Stopwatch::begin();
        start.send(true)?;
        let working = worker.next(|batch| combine(batch, Arc::clone(&own)));
        let done = async {
            while let Some(ended) = all.join_next().await {
                ended??;
            }
            anyhow::Ok(watch.seconds())
        };
        let (worked, seconds) =
            tokio::time::timeout(SOON, async { tokio::join!(working, done) }).await?;
        worked?.context("a batch")?;
        let own = *own.lock().map_err(|_| anyhow::anyhow!("the worker panicked"))?;
        Ok(seconds? - own)
    }
}

/// Reads all and gives one file as long as each; notes how long that took.
async fn combine(batch: Batch, own: Arc<Mutex<f64>>) -> Result<Output, Failed> {
    let watch = Stopwatch::begin();
    let inputs = batch.inputs();
    let combined = tokio::task::spawn_blocking(move || {
        let mut sums = vec![0_u8; FILE_BYTES];
        for entry in std::fs::read_dir(inputs)? {
            let bytes = std::fs::read(entry?.path())?;
            sums.iter_mut().zip(bytes).for_each(|(sum, byte)| *sum = sum.wrapping_add(byte));
        }
        std::io::Result::Ok(sums)
    });
    let sums = combined.await.map_err(Failed::because)?.map_err(Failed::because)?;
    let (name, kind) = ("model.bin".parse(), "application/octet-stream".parse());
    let output =
        Output::bytes(name.map_err(Failed::because)?, kind.map_err(Failed::because)?, sums);
    if let Ok(mut own) = own.lock() {
        *own += watch.seconds();
    }
    Ok(output)
}

/// One client in one round.
struct Member {
    person: Person,
    pool: PoolName,
    bytes: Vec<u8>,
    to: PathBuf,
}

impl Member {
    async fn play(
        self,
        begun: tokio::sync::mpsc::Sender<()>,
        mut start: tokio::sync::watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let Self { person: Person { client, .. }, pool, bytes, to } = self;
        let mut notices = client.notices(&pool, None);
        while !matches!(notices.next().await.context("a stream")??, Heard::Connected) {}
        begun.send(()).await?;
        start.wait_for(|start| *start).await?;
        let upload = Upload::new("update.bin".parse()?, Source::bytes(bytes));
        client.upload(&pool, &upload, &Progress::none()).await?;
        loop {
            let heard = notices.next().await.context("a stream")??;
            let Heard::Notice { notice: Notice::Result { result }, .. } = heard else { continue };
            client.fetch_result(&pool, &result, &to, &Progress::none()).await?;
            client.acknowledge(&pool, result.result, result.sha256).await?;
            return Ok(());
        }
    }
}
