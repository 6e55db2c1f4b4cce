//! Brokers of a test's own, to be stopped and killed: started by the scripts in `infra/stack`.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// Brokers with their data, ended when this is dropped.
pub(crate) struct Brokers {
    mode: &'static str,
    run: TempDir,
    port: u16,
}

/// How many stacks this process has started: its tests run at once.
static STARTED: AtomicU32 = AtomicU32::new(0);
/// Blocks of ports for stacks, below those that the system gives to outgoing connections.
const BLOCKS: u32 = 34;

impl Brokers {
    /// Starts `single`, `cluster` or `secure` brokers.
    pub(crate) fn start(mode: &'static str) -> Self {
        let run = tempfile::tempdir().unwrap();
        let brokers = Self { mode, run, port: free_block(mode) };
        brokers.up();
        brokers
    }

    /// Starts those that do not run, over their data.
    pub(crate) fn up(&self) {
        self.script("kafka-up.sh", &[self.mode]);
    }

    /// Where to begin: one address for each broker.
    pub(crate) fn address(&self) -> String {
        let offsets = offsets(self.mode).iter();
        let addresses = offsets.map(|offset| format!("127.0.0.1:{}", self.port + offset));
        addresses.collect::<Vec<_>>().join(",")
    }

    /// Sends a signal to a broker: `STOP`, `CONT`.
    pub(crate) fn signal(&self, name: &str, signal: &str) {
        let status = Command::new("kill").args([&format!("-{signal}"), &self.pid(name)]).status();
        assert!(status.unwrap().success());
    }

    /// Kills a broker, and waits until it is dead.
    pub(crate) async fn kill(&self, name: &str) {
        self.signal(name, "KILL");
        let stat = format!("/proc/{}/stat", self.pid(name));
        let dead =
            |stat: String| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'));
        while !std::fs::read_to_string(&stat).map_or(true, dead) {
            tokio::task::yield_now().await;
        }
    }

    fn pid(&self, name: &str) -> String {
        let file = self.run.path().join(format!("{name}.pid"));
        let text = std::fs::read_to_string(file).unwrap();
        text.split_whitespace().next().unwrap().to_owned()
    }

    /// A folder for files of the test.
    pub(crate) fn folder(&self) -> PathBuf {
        self.run.path().to_owned()
    }

    fn script(&self, name: &str, args: &[&str]) {
        let stack = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../stack");
        let output = Command::new(stack.join(name))
            .args(args)
            .env("STACK_RUN", self.run.path())
            .env("STACK_PORT", self.port.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "infra/stack/{name} {args:?}: {said}");
    }
}

impl Drop for Brokers {
    fn drop(&mut self) {
        self.script("down.sh", &["--wipe"]);
    }
}

/// The ports of brokers in their block.
fn offsets(mode: &str) -> &'static [u16] {
    match mode {
        "single" => &[92],
        "secure" => &[492],
        _ => &[192, 292, 392],
    }
}

/// A block of ports of which those that the brokers take are free.
fn free_block(mode: &str) -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    for _ in 0..BLOCKS {
        let block = (std::process::id() + STARTED.fetch_add(1, Ordering::Relaxed)) % BLOCKS;
        let port = 10_000 + 500 * u16::try_from(block).unwrap();
        if offsets(mode).iter().all(|from| (port + from..port + from + 4).all(free)) {
            return port;
        }
    }
    panic!("no free ports");
}
