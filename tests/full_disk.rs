//! A disk that is really low, and really full: new work is refused, nothing acknowledged is lost,
//! and all goes on once there is room.
//!
//! The test runs itself once more in a mount namespace of its own, with its data on a disk of a few
//! MiB. Where that cannot be had (neither root nor unprivileged user namespaces) it fails.

#![allow(clippy::disallowed_methods, reason = "a test waits for a server in real time")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use client::{Client, PageAsk, Patience, Progress, Source, Upload};
use schemas::api::{CreatePool, UploadReceipt};
use schemas::digest::Digest;
use schemas::id::{AccountId, UploadId};
use schemas::name::PoolName;
use schemas::policy::{PolicyAsk, WindowsAsk};
use schemas::problem::Code;
use schemas::role::{Role, RoleSet};

use crate::server::{Server, Setup, sluice};

const DISK: &str = "SLUICE_SMALL_DISK";
const SCRIPT: &str = r#"
    [ "$(id -u)" = 0 ] && as="--mount" || as="--user --map-root-user --mount"
    exec unshare $as sh -ec 'mount -t tmpfs -o size=48m none "$SLUICE_SMALL_DISK" && exec "$@"' sh "$@"
"#;
const FILE_BYTES: usize = 1_000_000;
const KEPT_FREE_BYTES: u64 = 6_000_000;
const SOON: Duration = Duration::from_secs(20);

/// The small disk; the first time, runs the test again on one and tells none.
fn small_disk(test: &str) -> Option<PathBuf> {
    if let Some(disk) = std::env::var_os(DISK) {
        return Some(disk.into());
    }
    let folder = tempfile::tempdir().unwrap();
    let status = Command::new("sh")
        .args(["-ec", SCRIPT, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(DISK, folder.path())
        .status()
        .unwrap();
    assert!(
        status.success(),
        "on a small disk of its own, or it could not be mounted (that needs root or user \
         namespaces): {status}"
    );
    None
}

/// Writes until nothing more fits, or so much is free.
fn fill(disk: &Path, leave_bytes: u64) -> PathBuf {
    let ballast = disk.join("ballast");
    let mut size = 16 << 20;
    let mut file = std::fs::File::create(&ballast).unwrap();
    while size > 0 {
        if free(disk) < leave_bytes + size || write(&mut file, size).is_err() {
            size /= 2;
        }
    }
    ballast
}

fn write(file: &mut std::fs::File, size: u64) -> std::io::Result<()> {
    std::io::Write::write_all(file, &vec![0; usize::try_from(size).unwrap()])
}

fn free(disk: &Path) -> u64 {
    infra::room::of_folders(vec![disk.to_owned()])().unwrap()
}

/// A pool on a server on that disk.
struct Pool {
    server: Server,
    name: PoolName,
    owner: Client,
    sender: Client,
    account: AccountId,
    acked: BTreeMap<UploadId, Digest>,
    sent: u8,
}

impl Pool {
    async fn new(data: &Path) -> Self {
        let mut setup = Setup::new(data);
        setup.limits.push(format!("disk_free_bytes_min={KEPT_FREE_BYTES}"));
        setup.limits.push("disk_look_ms=10".to_owned());
        let server = Server::start(setup);
        let client = server.client().patience(Patience::none());
        let owner = client.sign_up(&"owner".parse().unwrap(), "a long password").await.unwrap();
        // What is refused for want of room cuts connections that others are about to use.
        let owner = server.client().patience(Patience::none()).signed_in(&owner.access_token);
        let sender = client.sign_up(&"sender".parse().unwrap(), "a long password").await.unwrap();
        let name: PoolName = "small".parse().unwrap();
        let policy = PolicyAsk {
            windows: Some(WindowsAsk::Tumbling { period_ms: Some(86_400_000), origin: None }),
            max_wait_ms: Some(86_400_000),
            ..PolicyAsk::default()
        };
        owner.create_pool(&CreatePool { name: name.clone(), policy }).await.unwrap();
        let account = sender.user_id;
        let roles = RoleSet::of(&[Role::Contributor]);
        owner.add_member(&name, account, roles).await.unwrap();
        let sender = client.signed_in(&sender.access_token);
        Self { server, name, owner, sender, account, acked: BTreeMap::new(), sent: 0 }
    }

    async fn send(&mut self) -> client::Result<UploadReceipt> {
        self.sent += 1;
        let source = Source::bytes(vec![self.sent; FILE_BYTES]);
        let sha256 = source.sha256();
        let upload = Upload::new("f.bin".parse().unwrap(), source);
        let receipt = self.sender.upload(&self.name, &upload, &Progress::none()).await?;
        assert_eq!(receipt.sha256, sha256);
        self.acked.insert(receipt.upload, sha256);
        Ok(receipt)
    }

    /// Sends until that is refused; gives why.
    async fn send_until_refused(&mut self) -> client::Error {
        for _ in 0..100 {
            if let Err(error) = self.send().await {
                return error;
            }
        }
        panic!("the disk never gets low: {} bytes are free", free(self.server.data()));
    }

    /// Sends what is refused.
    async fn send_refused(&mut self) {
        let since = Instant::now();
        while !is_refused(&self.send().await.unwrap_err()) {
            assert!(since.elapsed() < SOON, "no answer");
        }
    }

    /// Sends until that is taken: the disk is looked at, and doors that were full try again.
    async fn send_until_taken(&mut self) {
        let since = Instant::now();
        while let Err(error) = self.send().await {
            assert!(error.retryable(), "{error}");
            assert!(since.elapsed() < SOON, "it does not go on: {error}");
        }
    }

    /// Everything acknowledged is in the history once, and has the bytes that were sent.
    async fn has_all(&self) {
        let since = Instant::now();
        let page = PageAsk { cursor: None, limit: Some(1_000) };
        let history = loop {
            match self.sender.history(&self.name, self.account, &page).await {
                Ok(history) if history.items.len() >= self.acked.len() => break history.items,
                Ok(_) => {}
                Err(error) => assert!(error.retryable(), "{error}"),
            }
            assert!(since.elapsed() < SOON, "the history does not get there");
        };
        let seen: BTreeMap<_, _> = history.iter().map(|row| (row.upload, row.sha256)).collect();
        assert_eq!(seen.len(), history.len(), "each is there once");
        for (upload, sha256) in &self.acked {
            assert_eq!(seen.get(upload), Some(sha256), "{upload} is lost");
            let elsewhere = tempfile::NamedTempFile::new().unwrap();
            let view = self.sender.read_upload(&self.name, *upload).await.unwrap();
            let to = elsewhere.path();
            let none = Progress::none();
            self.sender.fetch_upload(&self.name, &view, to, &none).await.unwrap();
            assert_eq!(Digest::of(&std::fs::read(to).unwrap()), *sha256, "{upload} is damaged");
        }
    }
}

/// Refused for want of room, or of a part that has none; never failed. Who sends a body that
/// nobody reads may lose the connection before the answer, and has to ask again.
fn is_refused(error: &client::Error) -> bool {
    let status = error.status();
    assert!(matches!(status, None | Some(503 | 507)), "{status:?} {error}");
    status.is_some()
}

impl Drop for Pool {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the server said last:\n{}", self.server.log_tail());
        }
    }
}

#[tokio::test]
async fn a_full_disk_refuses_new_work_and_loses_nothing() {
    let test = "full_disk::a_full_disk_refuses_new_work_and_loses_nothing";
    let Some(disk) = small_disk(test) else { return };
    let mut pool = Pool::new(&disk.join("data")).await;

    // Low: files are refused, all else goes on.
    let ballast = fill(&disk, 24_000_000);
    let refused = pool.send_until_refused().await;
    assert_eq!(refused.code(), Some(Code::StorageFull), "{refused}");
    assert!(!pool.acked.is_empty() && free(&disk) >= KEPT_FREE_BYTES - 1_000_000);
    let roles = RoleSet::of(&[Role::Contributor, Role::Listener]);
    pool.owner.add_member(&pool.name, pool.account, roles).await.unwrap();
    pool.has_all().await;
    std::fs::remove_file(ballast).unwrap();
    pool.send_until_taken().await;

    // Full: nothing fits at all. Whatever is asked is refused, and nothing breaks.
    let ballast = fill(&disk, 0);
    pool.send_refused().await;
    let guest = pool.sender.anonymous().patience(Patience::none());
    let mut refused = 0;
    for n in 0..50 {
        let name = format!("guest-{n}").parse().unwrap();
        if let Err(error) = guest.sign_up(&name, "a long password").await {
            refused += u32::from(is_refused(&error));
        }
        if let Err(error) = pool.owner.add_member(&pool.name, pool.account, roles).await {
            refused += u32::from(is_refused(&error));
        }
    }
    assert!(refused > 0, "what needs room is refused");
    assert!(pool.server.runs(), "it ended: {}", pool.server.log_tail());
    // Killed in this state it may not begin again, and says so; it hurts nothing.
    pool.server.kill();
    if pool.server.again() {
        pool.send_refused().await;
        pool.server.kill();
    }

    // Room again: all that was acknowledged is there, and what was begun is ended.
    std::fs::remove_file(ballast).unwrap();
    assert!(pool.server.again(), "it does not start: {}", pool.server.log_tail());
    pool.send_until_taken().await;
    pool.has_all().await;
    pool.owner.close_window(&pool.name, None).await.unwrap();
    let page = PageAsk { cursor: None, limit: None };
    let batches = pool.owner.batches(&pool.name, &page).await.unwrap().items;
    let files: u32 = batches.iter().map(|batch| batch.files).sum();
    assert_eq!(files as usize, pool.acked.len(), "every file is in a batch, once");
    assert!(pool.server.stop().is_some_and(|status| status.success()));
    let mut verify = sluice();
    verify.args(["replay", "small", "--verify", "--data"]).arg(disk.join("data"));
    assert!(verify.status().unwrap().success(), "a replay gives the same");
}
