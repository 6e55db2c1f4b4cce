//! Notices from outside: over a WebSocket, page by page, and sent to targets.

#![allow(clippy::disallowed_methods, reason = "a test waits for a server in real time")]

mod socket;
mod target;
mod webhooks;

use std::time::Duration;

use client::Client;
use schemas::api::CreatePool;
use schemas::name::PoolName;
use schemas::policy::PolicyAsk;
use tempfile::TempDir;

use crate::server::{Server, Setup};

/// How long anything may take that a test waits for.
const SOON: Duration = Duration::from_secs(30);
const PASSWORD: &str = "a long password";

/// Asks again and again, each time over the network, until there is an answer.
async fn eventually<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let answer = tokio::time::timeout(SOON, asking).await;
    answer.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// A server with one pool, and its owner.
struct World {
    server: Server,
    pool: PoolName,
    ada: Client,
    token: String,
    _folder: TempDir,
}

impl World {
    async fn new(limits: &[&str]) -> Self {
        Self::with(limits, &[]).await
    }

    /// One whose webhooks may lead to this machine.
    async fn reaching_itself(limits: &[&str]) -> Self {
        let reach = ["--webhook-network", "127.0.0.0/8"];
        let public = ["--public-url", "https://sluice.example/"];
        Self::with(limits, &[reach, public].concat()).await
    }

    async fn with(limits: &[&str], flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut setup = Setup::new(&folder.path().join("data"));
        setup.limits.extend(limits.iter().map(|limit| (*limit).to_owned()));
        setup.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let server = Server::start(setup);
        let client = server.client();
        let signed_in = client.sign_up(&"ada".parse().unwrap(), PASSWORD).await.unwrap();
        let (ada, token) = (client.signed_in(&signed_in.access_token), signed_in.access_token);
        let pool = Self::pool(&ada, "heard").await;
        Self { server, pool, ada, token, _folder: folder }
    }

    async fn pool(owner: &Client, name: &str) -> PoolName {
        let (name, policy): (PoolName, _) = (name.parse().unwrap(), PolicyAsk::default());
        owner.create_pool(&CreatePool { name: name.clone(), policy }).await.unwrap();
        name
    }

    fn address(&self) -> String {
        self.server.url().replace("http://", "")
    }
}
