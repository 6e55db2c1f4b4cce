//! A server, a pool, and somebody at a terminal.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::server::{Server, Setup, sluice};

/// The pool of all these tests.
pub(super) const POOL: &str = "buoys";
const PASSWORD: &str = "correct horse battery";

/// A server with a pool of an owner and a contributor.
pub(super) struct Stand {
    pub(super) server: Server,
    folder: TempDir,
}

/// What a command said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl Stand {
    /// Windows of `every`; the contributor is `buoy-1`.
    pub(super) fn new(every: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(Setup::new(&folder.path().join("data")));
        let stand = Self { server, folder };
        stand.well("ada", &["signup", "ada"]);
        stand.well("ada", &["pool", "create", POOL, "--every", every]);
        stand.well("buoy-1", &["signup", "buoy-1"]);
        let token = stand.json("ada", &["pool", "token", POOL, "--role", "contributor"]);
        let token = token[0]["token"].as_str().expect("a token");
        stand.well("buoy-1", &["join", POOL, token]);
        stand
    }

    /// A place in this test's folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file there.
    pub(super) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Runs a command as somebody.
    pub(super) fn run(&self, who: &str, arguments: &[&str]) -> Said {
        self.run_at(&self.server.url(), who, arguments)
    }

    /// Runs a command as somebody, at this server.
    pub(super) fn run_at(&self, server: &str, who: &str, arguments: &[&str]) -> Said {
        let mut command = sluice();
        command.env("XDG_CONFIG_HOME", self.path("config")).env("SLUICE_PASSWORD", PASSWORD);
        command.env("SLUICE_SERVER", server).args(["--profile", who]).args(arguments);
        command.current_dir(self.folder.path());
        said(command.output().unwrap())
    }

    /// Runs a command that must end well.
    pub(super) fn well(&self, who: &str, arguments: &[&str]) -> Said {
        let said = self.run(who, arguments);
        assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
        said
    }

    /// The objects that a command that must end well prints.
    pub(super) fn json(&self, who: &str, arguments: &[&str]) -> Vec<Value> {
        let arguments: Vec<&str> = ["--json"].iter().chain(arguments).copied().collect();
        self.well(who, &arguments).objects()
    }

    /// Ends the server and begins it again.
    pub(super) fn restart(&mut self) {
        self.stop();
        assert!(self.server.again(), "it does not start again: {}", self.server.log_tail());
    }

    pub(super) fn stop(&mut self) {
        assert!(self.server.stop().is_some_and(|status| status.success()));
    }
}

impl Said {
    /// Standard output as objects, one on each line.
    pub(super) fn objects(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

pub(super) fn said(output: Output) -> Said {
    let text = |bytes| String::from_utf8(bytes).expect("text");
    let code = output.status.code().expect("a code");
    Said { code, out: text(output.stdout), err: text(output.stderr) }
}

/// A path as an argument.
pub(super) fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}
