//! A server, a pool and its people, and the way from chaos to quiet.

use std::path::PathBuf;
use std::time::Duration;

use client::{Client, Patience};
use schemas::api::{CreatePool, UploadState, UploadView, WindowState};
use schemas::id::AccountId;
use schemas::name::PoolName;
use schemas::policy::{CellKind, Column, InspectionAsk, OnJoin, PolicyAsk, WindowsAsk};
use schemas::role::{Role, RoleSet};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::history::Recorder;
use super::judge::{Violation, judge};
use super::load::{Person, patience, receive, receive_pending, send};
use super::workers::{ASLEEP_PERCENT, Worker, work};
use super::{dump, history};
use crate::random::Random;
use crate::server::{Server, Setup};

/// Contributors; the last two never send.
const CLIENTS: u64 = 10;
const SENDERS: u64 = 8;
const WORKERS: u64 = 3;
/// How long a server may take to reach what it is armed for.
const DIES_MAX: Duration = Duration::from_secs(40);
/// How long the system may take to come to rest once it is left alone.
const QUIET_MAX: Duration = Duration::from_mins(1);

pub(super) struct World {
    pub(super) server: Server,
    pub(super) notes: Recorder,
    random: Random,
    pool: PoolName,
    owner: Client,
    stranger: Client,
    members: Vec<Person>,
    workers: Vec<Person>,
    /// How often a worker falls asleep over its lease.
    pub(super) asleep_percent: u64,
    folder: tempfile::TempDir,
}

/// The load while it runs.
pub(super) struct Load {
    stop_sending: CancellationToken,
    stop_all: CancellationToken,
    senders: JoinSet<()>,
    others: JoinSet<()>,
}

/// Windows of two seconds that wait for nobody longer than another two; leases of two seconds.
fn policy() -> PolicyAsk {
    PolicyAsk {
        windows: Some(WindowsAsk::Tumbling { period_ms: Some(2_000), origin: None }),
        update_every_ms: Some(2_000),
        quantile_permille: Some(700),
        disorder_ms: Some(300),
        grace_ms: Some(200),
        max_wait_ms: Some(2_000),
        activity_ms: Some(10_000),
        late_debounce_ms: Some(500),
        lease_ms: Some(2_000),
        lease_confirm_ms: Some(1_500),
        attempts_max: Some(100),
        part_files_max: Some(200),
        on_join: Some(OnJoin::All),
        inspections: Some(vec![numbers()]),
        ..PolicyAsk::default()
    }
}

/// Files of numbers are inspected.
fn numbers() -> InspectionAsk {
    InspectionAsk::Csv {
        name: None,
        media_types: None,
        delimiter: None,
        columns: vec![Column { name: "n".into(), kind: CellKind::Integer, required: true }],
        others: None,
        rows_max: None,
        row_bytes_max: None,
    }
}

impl World {
    /// A server with a pool and its people, faults armed from the first start on.
    pub(super) async fn new(seed: u64, faults: &str, log: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut setup = Setup::new(&folder.path().join("data")).faults("volatile");
        setup.log = log;
        let mut server = Server::start(setup);
        let client = server.client().patience(patience());
        client.sign_up(&"owner".parse().unwrap(), "owner's password").await.unwrap();
        let owner = client.clone().signing_in("owner".parse().unwrap(), "owner's password");
        let pool: PoolName = format!("chaos-{seed}").parse().unwrap();
        let ask = CreatePool { name: pool.clone(), policy: policy() };
        owner.create_pool(&ask).await.unwrap();
        let notes = Recorder::default();
        let mut people = Vec::new();
        for number in 0..CLIENTS + WORKERS {
            let role = if number < CLIENTS { Role::Contributor } else { Role::Processor };
            let name = format!("person-{number}").parse().unwrap();
            let signed_in = client.sign_up(&name, "a long password").await.unwrap();
            let account = signed_in.user_id;
            owner.add_member(&pool, account, RoleSet::of(&[role])).await.unwrap();
            let own: PathBuf = folder.path().join(name.as_str());
            std::fs::create_dir(&own).unwrap();
            let client = client.clone().signing_in(name, "a long password");
            let (pool, notes) = (pool.clone(), notes.clone());
            people.push(Person { account, client, pool, folder: own, notes });
        }
        let workers = people.split_off(usize::try_from(CLIENTS).unwrap());
        if !faults.is_empty() {
            server.stop();
            server.rearm(&format!("volatile {faults}"));
            assert!(server.again(), "it does not start: {}", server.log_tail());
        }
        let random = Random::new(seed);
        let stranger = client.anonymous().patience(Patience::none());
        let asleep_percent = ASLEEP_PERCENT;
        Self {
            server,
            notes,
            random,
            pool,
            owner,
            stranger,
            members: people,
            workers,
            asleep_percent,
            folder,
        }
    }

    /// Begins to send, receive and work.
    pub(super) fn load(&mut self) -> Load {
        let (stop_sending, stop_all) = (CancellationToken::new(), CancellationToken::new());
        let (mut senders, mut others) = (JoinSet::new(), JoinSet::new());
        for (number, member) in (0..).zip(&self.members) {
            let random = self.random.fork(number);
            if number < SENDERS {
                senders.spawn(send(member.clone(), random.clone(), stop_sending.clone()));
            }
            others.spawn(receive(member.clone(), random, stop_all.clone()));
        }
        let asleep_percent = self.asleep_percent;
        for (number, person) in (100..).zip(&self.workers) {
            let worker = Worker { person: person.clone(), asleep_percent };
            others.spawn(work(worker, self.random.fork(number), stop_all.clone()));
        }
        Load { stop_sending, stop_all, senders, others }
    }

    /// Kills the server at random moments, so many times.
    pub(super) async fn kill(&mut self, kills: u64) {
        for _ in 0..kills {
            let lives = Duration::from_millis(self.random.within(200..1_500));
            tokio::time::sleep(lives).await;
            self.server.kill();
            assert!(self.server.again(), "it does not start: {}", self.server.log_tail());
        }
    }

    /// Waits until the server has died of what it was armed for; false when it does not.
    pub(super) async fn dies(&mut self) -> bool {
        let died = async {
            while self.server.runs() {
                self.welcome().await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(DIES_MAX, died).await.is_ok()
    }

    /// A new account, a new member: some points are passed by nothing else. The server may die of
    /// it.
    async fn welcome(&mut self) {
        let name = format!("guest-{:x}", self.random.next()).parse().unwrap();
        if let Ok(guest) = self.stranger.sign_up(&name, "a long password").await {
            let roles = RoleSet::of(&[Role::Listener]);
            _ = self.owner.add_member(&self.pool, guest.user_id, roles).await;
        }
    }

    /// Begins the server that died again, armed for this.
    pub(super) fn begin_again(&mut self, faults: &str) {
        self.server.rearm(&format!("volatile {faults}"));
        assert!(self.server.again(), "it does not start: {}", self.server.log_tail());
    }

    /// Begins the server again, armed for this; it may die of it at once.
    pub(super) fn crash_next_at(&mut self, faults: &str) {
        self.server.kill();
        self.server.rearm(&format!("volatile {faults}"));
        self.server.again();
    }

    /// Lets the load end and the system come to rest; gives all promises that were broken.
    pub(super) async fn settle(mut self, load: Load) -> Vec<Violation> {
        let broken = self.settle_within(load, QUIET_MAX).await;
        if !broken.is_empty() {
            self.keep();
        }
        broken
    }

    /// The same for a system that may never come to rest.
    pub(super) async fn settle_within(&mut self, mut load: Load, max: Duration) -> Vec<Violation> {
        load.stop_sending.cancel();
        while load.senders.join_next().await.is_some() {}
        let rests = tokio::time::timeout(max, self.rest()).await.is_ok();
        load.stop_all.cancel();
        while load.others.join_next().await.is_some() {}
        for member in &self.members {
            while receive_pending(member).await.is_ok_and(|received| received > 0) {}
        }
        let members: Vec<AccountId> = self.members.iter().map(|member| member.account).collect();
        // All is quiet: what fails now would fail again.
        let owner = self.owner.clone().patience(Patience::none());
        let mut dump = dump::ask(&owner, &self.pool, &members).await;
        let ended = self.server.stop();
        assert!(ended.is_some_and(|status| status.success()), "{}", self.server.log_tail());
        dump::read_log(&self.server, &self.pool, &mut dump);
        let mut broken = self.notes.read(|history| judge(history, &dump));
        if !rests {
            let what = format!("not at rest after {max:?}");
            broken.push(Violation { promise: 0, what });
        }
        broken
    }

    /// Closes what is open and waits until every batch has its result.
    async fn rest(&self) {
        loop {
            // Nothing open is what is wanted.
            _ = self.owner.close_window(&self.pool, None).await;
            if self.is_at_rest().await.unwrap_or(false) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn is_at_rest(&self) -> client::Result<bool> {
        let page = client::PageAsk { cursor: None, limit: Some(1_000) };
        let windows = self.owner.windows(&self.pool, &page).await?.items;
        if windows.iter().any(|w| w.state == WindowState::Open && w.files > 0) {
            return Ok(false);
        }
        for member in &self.members {
            let history = member.client.history(&self.pool, member.account, &page).await?.items;
            let moves =
                |u: &UploadView| matches!(u.state, UploadState::Accepted | UploadState::Inspecting);
            if history.iter().any(moves) {
                return Ok(false);
            }
        }
        let batches = self.owner.batches(&self.pool, &page).await?.items;
        Ok(batches.iter().all(|batch| batch.result_revision == Some(batch.revision)))
    }

    /// What the clients have written down so far, in figures.
    pub(super) fn figures(&self) -> String {
        self.notes.read(|h: &history::History| {
            let (acked, results, received) = (h.acked.len(), h.offered.len(), h.received.len());
            format!("{acked} files acknowledged, {results} results taken, {received} received")
        })
    }

    /// Keeps the folder for whoever looks.
    #[allow(clippy::print_stderr, reason = "of a test that fails")]
    fn keep(&mut self) {
        self.folder.disable_cleanup(true);
        eprintln!("the data is kept in {}", self.folder.path().display());
    }
}
