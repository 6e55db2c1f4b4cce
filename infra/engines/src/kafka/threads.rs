//! The threads of the Kafka log: named, counted, and waited for when it closes.
//!
//! librdkafka's clients are polled, and polling blocks; so each client that must be polled has one.

use std::time::Duration;

use infra::log::{Error, Result};
use tokio::sync::watch;

use super::refusal::refused;

/// Those that run.
#[derive(Clone, Debug)]
pub(super) struct Threads(watch::Sender<usize>);

/// One that runs; it counts as ended when this is dropped.
struct Running(watch::Sender<usize>);

impl Threads {
    /// None run yet.
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    /// Runs `work` on a thread of its own. It must end by itself once it is of no more use.
    pub(super) fn start(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
        self.0.send_modify(|running| *running += 1);
        let running = Running(self.0.clone());
        let work = move || {
            let _running = running;
            work();
        };
        match std::thread::Builder::new().name(format!("kafka-{name}")).spawn(work) {
            Ok(_) => Ok(()),
            Err(error) => Err(refused(format!("no thread for {name}: {error}"))),
        }
    }

    /// Waits until all have ended, no longer than `patience`. Whether they have.
    pub(super) async fn ended(&self, patience: Duration) -> bool {
        let mut running = self.0.subscribe();
        tokio::time::timeout(patience, running.wait_for(|running| *running == 0)).await.is_ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

/// Runs what blocks for at most some seconds where it does not keep the runtime from its work.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Error::Unknown(format!("a request to Kafka ended early: {error}"))),
    }
}
