//! A server in a process of its own, that can be killed and begun again.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use client::Client;

/// The password of the platform admin in tests.
pub(crate) const ADMIN_PASSWORD: &str = "correct horse battery";

/// The binary under test.
pub(crate) fn sluice() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.stdin(Stdio::null());
    command
}

/// How a server is begun.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) data: PathBuf,
    pub(crate) faults: String,
    pub(crate) limits: Vec<String>,
    pub(crate) log: Option<String>,
    /// What is said beyond that.
    pub(crate) flags: Vec<String>,
}

impl Setup {
    /// A server with its data in this folder, of windows as short as a second, and snapshots often.
    /// All clients of a test have one address, so that it may ask as often as it likes.
    pub(crate) fn new(data: &Path) -> Self {
        let limits = ["period_ms_min=1000", "snapshot_events=100", "address_requests_per_s=0"];
        let limits = limits.map(str::to_owned).into();
        Self { data: data.to_owned(), faults: String::new(), limits, log: None, flags: Vec::new() }
    }

    pub(crate) fn faults(mut self, faults: impl Into<String>) -> Self {
        self.faults = faults.into();
        self
    }
}

/// A server that runs, or that has ended.
#[derive(Debug)]
pub(crate) struct Server {
    setup: Setup,
    child: Option<Child>,
    address: String,
    starts: u32,
}

impl Server {
    /// Begins it on a free port; returns once it listens.
    pub(crate) fn start(setup: Setup) -> Self {
        let address = "127.0.0.1:0".to_owned();
        let mut server = Self { setup, child: None, address, starts: 0 };
        assert!(server.again(), "the server did not start: {}", server.log_tail());
        server
    }

    /// Begins it again where it was; false when it ended before it listened.
    pub(crate) fn again(&mut self) -> bool {
        assert!(self.child.is_none(), "it runs");
        self.starts += 1;
        std::fs::create_dir_all(&self.setup.data).unwrap();
        let log = std::fs::File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = sluice();
        command.arg("up").arg("--data").arg(&self.setup.data).args(["--listen", &self.address]);
        command.args(["--log-filter", "info"]);
        for limit in &self.setup.limits {
            command.args(["--limit", limit]);
        }
        command.args(&self.setup.flags);
        if let Some(log) = &self.setup.log {
            command.args(["--log", log]);
        }
        command.env("SLUICE_FAULTS", &self.setup.faults);
        command.env("SLUICE_ADMIN_PASSWORD", ADMIN_PASSWORD);
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some((_, address)) = line.trim_end().split_once("http://") else {
            child.wait().unwrap();
            return false;
        };
        address.clone_into(&mut self.address);
        self.child = Some(child);
        true
    }

    /// Says other things at the next start.
    pub(crate) fn say(&mut self, flags: &[&str]) {
        self.setup.flags = flags.iter().map(|&said| said.to_owned()).collect();
    }

    /// Arms other faults for the next start.
    pub(crate) fn rearm(&mut self, faults: &str) {
        faults.clone_into(&mut self.setup.faults);
    }

    /// Ends it at once: nothing is flushed, no destructor runs.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Whether it still runs; one that has ended by itself is reaped.
    pub(crate) fn runs(&mut self) -> bool {
        let ended = match &mut self.child {
            Some(child) => child.try_wait().unwrap().is_some(),
            None => true,
        };
        if ended {
            self.child = None;
        }
        !ended
    }

    /// Tells it to end, and waits until it has.
    pub(crate) fn stop(&mut self) -> Option<ExitStatus> {
        let mut child = self.child.take()?;
        let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(told.success());
        Some(child.wait().unwrap())
    }

    /// Its address, as a URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url()).unwrap()
    }

    pub(crate) fn data(&self) -> &Path {
        &self.setup.data
    }

    /// The log it was begun with, if not its own.
    pub(crate) fn log(&self) -> Option<&str> {
        self.setup.log.as_deref()
    }

    fn log_path(&self) -> PathBuf {
        self.setup.data.join("server.log")
    }

    /// The last lines of its log, for a test that failed.
    pub(crate) fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.log_path()).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
