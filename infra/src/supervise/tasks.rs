//! Tasks of one stage, by name.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Failure, OnError, Stopping};

/// The first wait before a task that failed is begun again; doubled each time.
const RESTART_WAIT_MIN: Duration = Duration::from_millis(100);
/// The longest such wait.
const RESTART_WAIT_MAX: Duration = Duration::from_secs(10);
/// A task that ran this long has recovered: its waits start small again.
const STEADY: Duration = Duration::from_mins(1);

/// Begins tasks of one stage.
#[derive(Clone, Debug)]
pub struct Tasks {
    pub(super) stopping: Arc<Stopping>,
    pub(super) ward: Arc<Ward>,
}

#[derive(Debug, Default)]
pub(super) struct Ward {
    pub(super) token: CancellationToken,
    pub(super) tracker: TaskTracker,
    numbers: AtomicU64,
    running: Mutex<BTreeMap<u64, (&'static str, AbortHandle)>>,
}

/// Takes a task off the list when it ends, however it ends.
struct Listed {
    ward: Arc<Ward>,
    number: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut running = self.ward.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.number);
    }
}

impl Ward {
    fn begin(
        self: &Arc<Self>,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let listed = Listed { ward: Arc::clone(self), number };
        // Held until the task is on the list: it may end on another thread before that.
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let handle = self.tracker.spawn(async move {
            let _listed = listed;
            task.await;
        });
        running.insert(number, (name, handle.abort_handle()));
    }

    /// Aborts what has not ended; says what that was.
    pub(super) fn abort(&self) -> Vec<&'static str> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.values().for_each(|(_, handle)| handle.abort());
        running.values().map(|(name, _)| *name).collect()
    }
}

impl Tasks {
    /// Cancelled once the tasks of this stage are to end.
    pub fn token(&self) -> CancellationToken {
        self.ward.token.clone()
    }

    /// Begins a task.
    pub fn spawn<F, E>(&self, name: &'static str, on_error: OnError, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        let stopping = Arc::clone(&self.stopping);
        self.ward.begin(name, async move {
            match (outcome(task).await, on_error) {
                (Ok(()), _) => {}
                (Err(reason), OnError::Log) => tracing::warn!(task = name, reason, "task failed"),
                (Err(reason), OnError::Stop) => {
                    tracing::error!(task = name, reason, "task failed; the process ends");
                    // Only the first failure is the reason for the end.
                    _ = stopping.failure.set(Failure { task: name, reason });
                    stopping.token.cancel();
                }
            }
        });
    }

    /// Begins a task that is begun again, after a growing wait, whenever it fails. One that ends
    /// without an error has ended.
    pub fn restart<M, F, E>(&self, name: &'static str, mut make: M)
    where
        M: FnMut() -> F + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        let token = self.token();
        self.ward.begin(name, async move {
            let mut wait = RESTART_WAIT_MIN;
            loop {
                let mut run = std::pin::pin!(outcome(make()));
                let ended = tokio::time::timeout(STEADY, &mut run).await;
                let (steady, ended) = match ended {
                    Ok(ended) => (false, ended),
                    Err(_) => (true, run.await),
                };
                let Err(reason) = ended else { return };
                wait = if steady { RESTART_WAIT_MIN } else { wait };
                tracing::warn!(task = name, reason, ?wait, "task failed; it is begun again");
                tokio::select! {
                    () = token.cancelled() => return,
                    () = tokio::time::sleep(wait) => wait = (wait * 2).min(RESTART_WAIT_MAX),
                }
            }
        });
    }

    /// How many tasks of this stage have not ended.
    pub fn running(&self) -> usize {
        self.ward.tracker.len()
    }
}

/// What a task ended with; a panic is an error.
async fn outcome<E: fmt::Display>(task: impl Future<Output = Result<(), E>>) -> Result<(), String> {
    match AssertUnwindSafe(task).catch_unwind().await {
        Ok(ended) => ended.map_err(|error| error.to_string()),
        Err(panic) => Err(panic_text(panic.as_ref())),
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panicked: {}", text.as_deref().unwrap_or("without a word"))
}

#[cfg(test)]
mod tests {
    use super::super::{Drained, Stage, Supervisor};
    use super::*;
    use tokio::sync::mpsc;

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_task_that_may_fail_is_begun_again_until_it_ends_well() {
        let supervisor = Supervisor::new();
        let tasks = supervisor.stage(Stage::Work);
        let (begun, mut runs) = mpsc::unbounded_channel();
        tasks.restart("stubborn", move || {
            _ = begun.send(());
            let run = begun.clone();
            async move { if run.is_closed() { Ok(()) } else { Err("again") } }
        });
        for _ in 0..3 {
            tokio::time::timeout(LONG, runs.recv()).await.unwrap().unwrap();
        }
        drop(runs);
        assert_eq!(supervisor.drain(LONG).await, Drained::default());
        assert_eq!(tasks.running(), 0);
    }
}
