//! Named supervised tasks: the only place where a task is begun.
//!
//! A process is three stages of tasks. It ends from the front to the back, so that what is under
//! way can finish on what lies behind it: first those that serve stop taking in, then those that
//! work stop, then the ground both stand on.

mod tasks;

pub use tasks::Tasks;
pub(crate) use tasks::panic_text;

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use tasks::Ward;

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

#[derive(Debug, Default)]
struct Stopping {
    token: CancellationToken,
    failure: OnceLock<Failure>,
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
