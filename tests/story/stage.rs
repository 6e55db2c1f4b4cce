//! Where a story plays: a server, a folder for everybody's files, and the programs around it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::server::{Server, Setup};

/// How long anything may take that a story waits for.
pub(super) const SOON: Duration = Duration::from_mins(1);

pub(super) struct Stage {
    pub(super) server: Server,
    folder: TempDir,
}

impl Stage {
    /// A server with its log in its data folder, or where this URL says.
    pub(super) fn new(log: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut setup = Setup::new(&folder.path().join("data"));
        setup.log = log;
        Self { server: Server::start(setup), folder }
    }

    /// A folder for somebody's files.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// The server is away while this happens, and comes back where it was.
    pub(super) async fn without_server(&mut self, happens: impl Future<Output = ()>) {
        assert!(self.server.stop().is_some_and(|status| status.success()));
        happens.await;
        assert!(self.server.again(), "it does not start again");
    }

    /// The server has lived through all of it, and ends well.
    pub(super) fn end(mut self) {
        assert!(self.server.runs(), "the server has ended");
        assert!(self.server.stop().is_some_and(|status| status.success()));
    }
}

/// For whoever looks why a story broke off.
impl Drop for Stage {
    #[allow(clippy::print_stderr, reason = "of a test that fails")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            eprintln!("all files are kept in {}", self.folder.path().display());
            eprintln!("the server said last:\n{}", self.server.log_tail());
        }
    }
}

/// Asks again and again until there is an answer. Asking starts a process, which is pause enough.
pub(super) async fn eventually<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    };
    let answer = tokio::time::timeout(SOON, asking).await;
    answer.unwrap_or_else(|_| panic!("not after {SOON:?}: {what}"))
}

/// An example of this package, which cargo builds with its tests.
pub(super) fn example(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = root.join(format!("batcher/worker/examples/{name}.rs"));
    let profile = Path::new(env!("CARGO_BIN_EXE_sluice")).parent().unwrap();
    let built = profile.join("examples").join(name);
    let changed = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified());
    // With `cargo test --test it` cargo builds no examples, and an old one may lie there.
    let is_new = changed(&built).is_ok_and(|at| at >= changed(&source).unwrap());
    assert!(is_new, "{} is missing or old: cargo build --example {name}", built.display());
    built
}
