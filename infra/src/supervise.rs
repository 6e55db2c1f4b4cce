//! Named supervised tasks: the only place where a task is begun.
//!
//! A process is three stages of tasks. It ends from the front to the back, so that what is under
//! way can finish on what lies behind it: first those that serve stop taking in, then those that
//! work stop, then the ground both stand on.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The first wait before a task that failed is begun again; doubled each time.
const RESTART_WAIT_MIN: Duration = Duration::from_millis(100);
/// The longest such wait.
const RESTART_WAIT_MAX: Duration = Duration::from_secs(10);
/// A task that ran this long has recovered: its waits start small again.
const STEADY: Duration = Duration::from_mins(1);
/// How long tasks that were aborted are waited for.
const ABORT_WAIT: Duration = Duration::from_secs(1);

/// The order in which a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Takes requests in. Ends first, and finishes what it has taken in.
    Serve,
    /// Folds, projects, delivers. Requests may be waiting for its answers.
    Work,
    /// What the others stand on, such as the directory. Ends last.
    Ground,
}

/// What a task's error, or its panic, means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The process cannot go on: it is brought down in order.
    Stop,
    /// It is logged; the others go on.
    Log,
}

/// Why a process came down by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("task {task} failed: {reason}")]
pub struct Failure {
    /// The task.
    pub task: &'static str,
    /// What it said.
    pub reason: String,
}

/// How a drain went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// The failure that brought the process down, if one did.
    pub failure: Option<Failure>,
    /// Tasks that did not end in time and were aborted.
    pub aborted: Vec<&'static str>,
}

/// All tasks of a process.
#[derive(Clone, Debug)]
pub struct Supervisor {
    stopping: Arc<Stopping>,
    serve: Arc<Ward>,
    work: Arc<Ward>,
    ground: Arc<Ward>,
}

/// Begins tasks of one stage.
#[derive(Clone, Debug)]
pub struct Tasks {
    stopping: Arc<Stopping>,
    ward: Arc<Ward>,
}

#[derive(Debug, Default)]
struct Stopping {
    token: CancellationToken,
    failure: OnceLock<Failure>,
}

#[derive(Debug, Default)]
struct Ward {
    token: CancellationToken,
    tracker: TaskTracker,
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

    fn abort(&self) -> Vec<&'static str> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.values().for_each(|(_, handle)| handle.abort());
        running.values().map(|(name, _)| *name).collect()
    }
}

impl Default for Supervisor {
    fn default() -> Self {
        Self::new()
    }
}

impl Supervisor {
    /// A process without tasks.
    pub fn new() -> Self {
        Self {
            stopping: Arc::default(),
            serve: Arc::default(),
            work: Arc::default(),
            ground: Arc::default(),
        }
    }

    /// Where tasks of this stage are begun.
    pub fn stage(&self, stage: Stage) -> Tasks {
        let ward = match stage {
            Stage::Serve => &self.serve,
            Stage::Work => &self.work,
            Stage::Ground => &self.ground,
        };
        Tasks { stopping: Arc::clone(&self.stopping), ward: Arc::clone(ward) }
    }

    /// Asks the process to end.
    pub fn stop(&self) {
        self.stopping.token.cancel();
    }

    /// Whether the process has been asked to end, or a task that it needs has failed.
    pub fn is_stopping(&self) -> bool {
        self.stopping.token.is_cancelled()
    }

    /// Returns once the process is to end: then call [`drain`](Self::drain).
    pub async fn stopping(&self) {
        self.stopping.token.cancelled().await;
    }

    /// Listens for SIGTERM and SIGINT: the first asks the process to end, the second ends it at
    /// once with the status shells give for that signal.
    pub fn on_signals(&self) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let supervisor = self.clone();
        let listen = async move {
            let mut stopped = false;
            loop {
                let status = tokio::select! {
                    _ = terminate.recv() => 128 + SignalKind::terminate().as_raw_value(),
                    _ = interrupt.recv() => 128 + SignalKind::interrupt().as_raw_value(),
                };
                if std::mem::replace(&mut stopped, true) {
                    tracing::warn!("told twice to end: ending at once");
                    std::process::exit(status);
                }
                tracing::info!("told to end: finishing what is under way");
                supervisor.stop();
            }
        };
        #[allow(clippy::disallowed_methods, reason = "outlives every stage, until the exit")]
        tokio::spawn(listen);
        Ok(())
    }

    /// Ends the stages in order. Those that serve have `grace` to finish what is under way; each
    /// later stage has what is left of it, at least a tenth. What has not ended then is aborted.
    pub async fn drain(&self, grace: Duration) -> Drained {
        self.stop();
        let mut drained = Drained::default();
        let mut deadline = std::pin::pin!(tokio::time::sleep(grace));
        for ward in [&self.serve, &self.work, &self.ground] {
            ward.token.cancel();
            ward.tracker.close();
            let least = tokio::time::sleep(grace / 10);
            let late = async {
                (&mut deadline).await;
                least.await;
            };
            tokio::select! {
                biased;
                () = ward.tracker.wait() => {}
                () = late => drained.aborted.extend(ward.abort()),
            }
            if tokio::time::timeout(ABORT_WAIT, ward.tracker.wait()).await.is_err() {
                tracing::error!("tasks did not end when aborted");
            }
        }
        drained.failure = self.stopping.failure.get().cloned();
        drained
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
    use super::*;
    use std::convert::Infallible;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    use tokio::sync::mpsc;

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn stages_end_in_order_and_each_finishes_first() {
        let supervisor = Supervisor::new();
        let (ended, mut order) = mpsc::unbounded_channel();
        for (stage, name) in
            [(Stage::Ground, "ground"), (Stage::Work, "work"), (Stage::Serve, "serve")]
        {
            let tasks = supervisor.stage(stage);
            let (token, ended) = (tasks.token(), ended.clone());
            tasks.spawn(name, OnError::Stop, async move {
                token.cancelled().await;
                // What comes after it must not end before this has finished.
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                _ = ended.send(name);
                Ok::<_, Infallible>(())
            });
        }
        assert_eq!(supervisor.drain(LONG).await, Drained::default());
        let order: Vec<_> = std::iter::from_fn(|| order.try_recv().ok()).collect();
        assert_eq!(order, ["serve", "work", "ground"]);
    }

    #[tokio::test]
    async fn a_needed_task_that_fails_brings_the_process_down() {
        let supervisor = Supervisor::new();
        let tasks = supervisor.stage(Stage::Work);
        tasks.spawn("careless", OnError::Log, async { Err("never mind") });
        let answer = std::hint::black_box(None::<Result<(), Infallible>>);
        tasks.spawn("fragile", OnError::Stop, async move { answer.expect("gone") });
        tokio::time::timeout(LONG, supervisor.stopping()).await.unwrap();
        let failure = supervisor.drain(LONG).await.failure.unwrap();
        assert_eq!((failure.task, failure.reason.as_str()), ("fragile", "panicked: gone"));
    }

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

    #[tokio::test]
    async fn what_does_not_end_in_time_is_aborted() {
        let supervisor = Supervisor::new();
        let serve = supervisor.stage(Stage::Serve);
        serve.spawn("endless", OnError::Stop, std::future::pending::<Result<(), Infallible>>());
        let ground = supervisor.stage(Stage::Ground);
        let token = ground.token();
        ground.spawn("prompt", OnError::Stop, async move {
            token.cancelled().await;
            Ok::<_, Infallible>(())
        });
        let drained = supervisor.drain(Duration::from_millis(20)).await;
        assert_eq!(drained, Drained { failure: None, aborted: vec!["endless"] });
        assert_eq!(serve.running(), 0);
    }

    /// Not a test: the process that the next one sends signals to.
    #[tokio::test]
    #[ignore = "runs as the child of the next test"]
    #[allow(clippy::print_stdout, reason = "tells its parent how far it is")]
    async fn child_that_never_ends() {
        let supervisor = Supervisor::new();
        supervisor.on_signals().unwrap();
        println!("\nready");
        supervisor.stopping().await;
        println!("draining");
        std::future::pending::<()>().await;
    }

    #[test]
    fn the_first_signal_drains_and_the_second_ends_at_once() {
        let name = "supervise::tests::child_that_never_ends";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", name, "--nocapture"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut signal_after = |word: &str| {
            assert!(lines.any(|line| line.unwrap() == word), "{word}");
            let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
            assert!(kill.unwrap().success());
        };
        signal_after("ready");
        signal_after("draining");
        assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
    }
}
