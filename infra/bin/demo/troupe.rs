//! Who plays: twelve clients, the owner of the pool and a worker, signed in and members.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Context as _;
use client::{Client, fresh};
use futures_util::future::try_join_all;
use schemas::api::{CreatePool, IssueToken, SignedIn};
use schemas::id::{AccountId, ResultId};
use schemas::name::{PoolName, UserName};
use schemas::policy::{PolicyAsk, WindowsAsk};
use schemas::problem::Code;
use schemas::role::{Role, RoleSet};
use schemas::time::EffectiveAt;

use super::tell::{Teller, seconds, title};

/// Length of a window.
pub(super) const PERIOD_MS: u64 = 4_000;
/// Time after a window's end that its files may still come.
const GRACE_MS: u64 = 500;
/// Longest that anybody is waited for.
const MAX_WAIT_MS: u64 = 4_000;
/// How long late files are gathered.
const DEBOUNCE_MS: u64 = 1_000;
/// Pools that one folder may hold before another is to be taken.
const RUNS_MAX: u32 = 500;

/// What someone plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Made the pool.
    Owner,
    /// Sends files as they are made.
    Online,
    /// Keeps files until there is a line to send them on.
    Offline,
    /// Receives results.
    Listener,
    /// Computes them.
    Worker,
}

/// Each part, how many there are of it, and their names before the number.
const PARTS: [(Part, u32, &str); 5] = [
    (Part::Owner, 1, "ada"),
    (Part::Online, 7, "buoy"),
    (Part::Offline, 2, "buoy"),
    (Part::Listener, 3, "listener"),
    (Part::Worker, 1, "worker"),
];

impl Part {
    /// Whether it is one of the twelve clients.
    pub(super) fn is_client(self) -> bool {
        !matches!(self, Self::Owner | Self::Worker)
    }

    fn role(self) -> Role {
        match self {
            Self::Owner => Role::Owner,
            Self::Online | Self::Offline => Role::Contributor,
            Self::Listener => Role::Listener,
            Self::Worker => Role::Processor,
        }
    }
}

/// One member.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: UserName,
    pub(super) part: Part,
    pub(super) id: AccountId,
    pub(super) client: Client,
    /// Where its own files and what it receives lie.
    pub(super) folder: PathBuf,
}

/// All of them, and what they play in.
#[derive(Debug)]
pub(super) struct Troupe {
    pub(super) pool: PoolName,
    pub(super) members: Vec<Member>,
    pub(super) tell: Teller,
    /// How many members each result has come to.
    pub(super) arrived: Mutex<BTreeMap<ResultId, usize>>,
}

impl Troupe {
    /// Signs all of them in, makes a pool and lets them join it.
    pub(super) async fn enter(
        server: &str,
        password: &str,
        data: &Path,
        tell: Teller,
    ) -> anyhow::Result<Self> {
        title("A pool and its members");
        let mut members = signed_in(server, password).await?;
        tell.step("everyone", &format!("{} accounts are signed in", members.len()));
        let owner = members.first().context("an owner")?;
        let pool = create(&owner.client).await?;
        let told = format!(
            "makes the pool {pool}: windows of {} s. One closes {} s after its end, once most\n\
             clients have reached that, or {} s later whoever is missing",
            seconds(PERIOD_MS),
            seconds(GRACE_MS),
            seconds(MAX_WAIT_MS),
        );
        tell.step("ada", &told);
        for part in [Part::Online, Part::Listener, Part::Worker] {
            let role = part.role();
            let joining = members.iter().filter(|member| member.part.role() == role);
            let joined = let_in(&owner.client, &pool, role, joining.collect()).await?;
            tell.step("ada", &format!("gives out a join token: {joined} joined as {role}"));
        }
        for member in &mut members {
            member.folder = data.join("members").join(pool.as_str()).join(member.name.as_str());
            let folder = &member.folder;
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        Ok(Self { pool, members, tell, arrived: Mutex::default() })
    }

    /// The worker works and every member listens, until dropped.
    pub(super) async fn going(&self) -> anyhow::Result<()> {
        let listening = self.members.iter().map(|member| self.listen(member));
        tokio::try_join!(self.work(), try_join_all(listening)).map(|_| ())
    }

    /// Those who play this part.
    pub(super) fn all(&self, part: Part) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |member| member.part == part)
    }

    /// The one who plays this part.
    pub(super) fn one(&self, part: Part) -> anyhow::Result<&Member> {
        self.all(part).next().with_context(|| format!("nobody plays {part:?}"))
    }

    /// What a member is called.
    pub(super) fn name(&self, id: AccountId) -> String {
        let member = self.members.iter().find(|member| member.id == id);
        member.map_or_else(|| id.to_string(), |member| member.name.to_string())
    }
}

/// Everyone, with an account made now or at an earlier run.
async fn signed_in(server: &str, password: &str) -> anyhow::Result<Vec<Member>> {
    let stranger = Client::new(server)?;
    let (mut members, mut numbers) = (Vec::new(), BTreeMap::<&str, u32>::new());
    for (part, count, name) in PARTS {
        for _ in 0..count {
            let number = numbers.entry(name).or_default();
            *number += 1;
            let alone = matches!(part, Part::Owner | Part::Worker);
            let name = if alone { name.to_owned() } else { format!("{name}-{number}") };
            let name: UserName = name.parse()?;
            let SignedIn { user_id: id, .. } = match stranger.sign_up(&name, password).await {
                Err(error) if error.code() == Some(Code::NameTaken) => {
                    stranger.log_in(&name, password).await
                }
                signed_up => signed_up,
            }
            .with_context(|| name.clone())?;
            let client = Client::new(server)?.signing_in(name.clone(), password);
            members.push(Member { name, part, id, client, folder: PathBuf::new() });
        }
    }
    Ok(members)
}

/// Lets them join the pool by one token, as many as they are.
async fn let_in(
    owner: &Client,
    pool: &PoolName,
    role: Role,
    joining: Vec<&Member>,
) -> anyhow::Result<u32> {
    let uses_max = u32::try_from(joining.len())?;
    let ask = IssueToken { roles: RoleSet::of(&[role]), uses_max, expires_in_s: Some(600) };
    let issued = owner.issue_token(pool, &ask).await?;
    for member in joining {
        let joined = member.client.join(pool, &issued.token).await;
        joined.with_context(|| member.name.clone())?;
    }
    Ok(uses_max)
}

/// A pool of a name that no run before has had.
async fn create(owner: &Client) -> anyhow::Result<PoolName> {
    let policy = PolicyAsk {
        update_every_ms: Some(PERIOD_MS),
        // A window begins in a moment, when all have joined.
        windows: Some(WindowsAsk::Tumbling {
            period_ms: None,
            origin: Some(EffectiveAt::from_millis(fresh::now().millis() / 1_000 * 1_000)),
        }),
        disorder_ms: Some(200),
        quantile_permille: Some(900),
        grace_ms: Some(GRACE_MS),
        max_wait_ms: Some(MAX_WAIT_MS),
        late_debounce_ms: Some(DEBOUNCE_MS),
        ..PolicyAsk::default()
    };
    for run in 1..=RUNS_MAX {
        let name = if run == 1 { "demo".to_owned() } else { format!("demo-{run}") };
        let ask = CreatePool { name: name.parse()?, policy: policy.clone() };
        match owner.create_pool(&ask).await {
            Err(error) if error.code() == Some(Code::PoolNameTaken) => {}
            created => return Ok(created?.name),
        }
    }
    anyhow::bail!("{RUNS_MAX} demos were played in this folder: delete it, or say another --data")
}
