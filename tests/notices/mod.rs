//! Notices from outside: over a WebSocket, page by page, and sent to targets.

mod socket;

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
        let folder = tempfile::tempdir().unwrap();
        let mut setup = Setup::new(&folder.path().join("data"));
        setup.limits.extend(limits.iter().map(|limit| (*limit).to_owned()));
        let server = Server::start(setup);
        let client = server.client();
        let signed_in = client.sign_up(&"ada".parse().unwrap(), PASSWORD).await.unwrap();
        let (ada, token) = (client.signed_in(&signed_in.access_token), signed_in.access_token);
        let pool: PoolName = "heard".parse().unwrap();
        let policy = PolicyAsk::default();
        ada.create_pool(&CreatePool { name: pool.clone(), policy }).await.unwrap();
        Self { server, pool, ada, token, _folder: folder }
    }

    fn address(&self) -> String {
        self.server.url().replace("http://", "")
    }
}
