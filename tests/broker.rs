//! A Kafka of a test's own, started by the scripts in `infra/stack` and ended with the test: every
//! server of one Kafka shares its directory, and the tests' servers have nothing in common.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tempfile::TempDir;

use crate::server::{Server, Setup};

/// How long the broker may take to answer.
const SOON: Duration = Duration::from_secs(30);

/// One broker with its data.
#[derive(Debug)]
pub(crate) struct Broker {
    run: TempDir,
    port: u16,
}

/// How many this process has looked for ports for: its tests run at once.
static STARTED: AtomicU32 = AtomicU32::new(0);
/// Blocks of ports, below those that the system gives to outgoing connections.
const BLOCKS: u32 = 34;
/// Where the stack puts a single broker in its block.
const OFFSET: u16 = 92;

impl Broker {
    /// A new one; none where real servers are left out, which says what is not proved then.
    #[allow(clippy::disallowed_methods, reason = "whoever runs the tests may leave this out")]
    #[allow(clippy::print_stderr, reason = "and shall read what was not proved")]
    pub(crate) fn wanted(proof: &str) -> Option<Self> {
        if std::env::var("SKIP_REAL").as_deref() == Ok("1") {
            eprintln!("not proved on a real Kafka (SKIP_REAL=1): {proof}");
            return None;
        }
        let broker = Self { run: tempfile::tempdir().unwrap(), port: free_block() };
        broker.script("kafka-up.sh", "single");
        Some(broker)
    }

    /// What `sluice up --log` takes.
    pub(crate) fn url(&self) -> String {
        format!("kafka://127.0.0.1:{}", self.port + OFFSET)
    }

    /// How many processes share the work of this group.
    fn members_of(&self, group: &str) -> usize {
        let address = format!("127.0.0.1:{}", self.port + OFFSET);
        let looker: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", address).create().unwrap();
        let list = looker.client().fetch_group_list(Some(group), SOON).unwrap();
        list.groups().iter().map(|group| group.members().len()).sum()
    }

    fn script(&self, name: &str, argument: &str) {
        let stack = Path::new(env!("CARGO_MANIFEST_DIR")).join("infra/stack");
        let output = Command::new(stack.join(name))
            .arg(argument)
            .env("STACK_RUN", self.run.path())
            .env("STACK_PORT", self.port.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{name}: {said}\nSKIP_REAL=1 leaves real servers out and says what is not proved"
        );
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.script("down.sh", "--wipe");
    }
}

/// A block of ports of which those that a broker takes are free.
fn free_block() -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    for _ in 0..BLOCKS {
        let block = (std::process::id() + STARTED.fetch_add(1, Ordering::Relaxed)) % BLOCKS;
        let port = 10_000 + 500 * u16::try_from(block).unwrap();
        if (port + OFFSET..port + OFFSET + 4).all(free) {
            return port;
        }
    }
    panic!("no free ports");
}

#[test]
fn a_server_that_ends_leaves_its_shards_to_the_next_at_once() {
    let Some(broker) = Broker::wanted("a server that ends leaves its group") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut setup = Setup::new(&folder.path().join("data"));
    setup.log = Some(broker.url());
    let mut server = Server::start(setup);
    let groups = ["sluice-batchers", "sluice-projectors"];
    while groups.iter().any(|group| broker.members_of(group) == 0) {
        assert!(server.runs(), "{}", server.log_tail());
    }
    assert!(server.stop().is_some_and(|status| status.success()));
    for group in groups {
        assert_eq!(broker.members_of(group), 0, "{group}");
    }
}
