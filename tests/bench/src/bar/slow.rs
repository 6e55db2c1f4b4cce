//! A thousand slow uploads at once: what they cost in memory, and whether all are taken.

use std::sync::Arc;
use std::time::Duration;

use schemas::policy::PolicyAsk;
use schemas::role::Role;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::people::Pool;
use crate::Plan;
use crate::http::{Target, noise};
use crate::server::Server;
use crate::table::{Asked, Row};

/// A piece, and the pause after it: 10 MB take 40 seconds.
const PIECE_BYTES: usize = 100_000;
const PAUSE: Duration = Duration::from_millis(400);

pub(super) fn measure(plan: &Plan) -> anyhow::Result<Vec<Row>> {
    let (count, pieces) = (plan.size(1_000, 20), plan.size(100, 2));
    let (peak, failed) = plan.runtime.block_on(peak_mib(plan, count, pieces))?;
    let peak_row = Row::alone(
        format!("{count} slow uploads of 10 MB, MiB at most"),
        Asked::OursAtMost(200.0),
        [peak],
    );
    let failed = Row::alone("of those failed", Asked::OursAtMost(0.0), [failed]);
    Ok(vec![peak_row, failed])
}

#[allow(clippy::print_stderr, reason = "why an upload failed is worth knowing")]
async fn peak_mib(plan: &Plan, count: usize, pieces: usize) -> anyhow::Result<(f64, f64)> {
    let server = Server::sluice(&plan.fresh("slow")?.join("data"), &[])?;
    let pool = Pool::make(&server, PolicyAsk::default()).await?;
    let sender = pool.member("sender", Role::Contributor).await?;
    let (target, piece) = (Arc::new(pool.target(&sender)), Arc::new(noise(PIECE_BYTES)));
    let mut all = JoinSet::new();
    for _ in 0..count {
        all.spawn(send(Arc::clone(&target), Arc::clone(&piece), pieces));
    }
    let mut failed = 0.0;
    while let Some(ended) = all.join_next().await {
        if let Err(error) = ended? {
            eprintln!("slow: {error:#}");
            failed += 1.0;
        }
    }
    let (_, peak) = server.memory_kib()?;
    Ok((peak / 1_024.0, failed))
}

async fn send(to: Arc<Target>, piece: Arc<Vec<u8>>, pieces: usize) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(to.at).await?;
    stream.write_all(to.head(piece.len() * pieces).as_bytes()).await?;
    for _ in 0..pieces {
        stream.write_all(&piece).await?;
        tokio::time::sleep(PAUSE).await;
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await?;
    anyhow::ensure!(answer == *b"HTTP/1.1 201", "{}", String::from_utf8_lossy(&answer));
    Ok(())
}
