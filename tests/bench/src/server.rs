//! The release binary in a process of its own, and the floor of uploads in another.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use client::Client;

use crate::usage;

/// A process that listens. It is ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) at: SocketAddr,
}

impl Server {
    /// The `sluice` beside this program, as users run it but for these limits.
    pub(crate) fn sluice(data: &Path, limits: &[&str]) -> anyhow::Result<Self> {
        let sluice = std::env::current_exe()?.with_file_name("sluice");
        anyhow::ensure!(sluice.exists(), "{} is not built", sluice.display());
        let mut command = Command::new(sluice);
        command.arg("up").arg("--data").arg(data).args(["--listen", "127.0.0.1:0"]);
        command.args(["--log-filter", "warn", "--limit", "address_requests_per_s=0"]);
        for limit in limits {
            command.args(["--limit", limit]);
        }
        command.env("SLUICE_ADMIN_PASSWORD", "correct horse battery");
        Self::begin(&mut command)
    }

    /// The floor of uploads.
    pub(crate) fn floor(folder: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        Self::begin(command.arg("--serve-floor").arg(folder))
    }

    fn begin(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("its output")?).read_line(&mut line)?;
        let (_, at) = line.trim_end().split_once("http://").context("it did not begin to serve")?;
        Ok(Self { at: at.parse()?, child })
    }

    /// A client of it.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::new(&format!("http://{}", self.at))?)
    }

    /// Seconds of CPU it has used.
    pub(crate) fn cpu_s(&self) -> anyhow::Result<f64> {
        usage::cpu_s(self.child.id())
    }

    /// KiB it has in memory now, and has had at most.
    pub(crate) fn memory_kib(&self) -> anyhow::Result<(f64, f64)> {
        usage::memory_kib(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
