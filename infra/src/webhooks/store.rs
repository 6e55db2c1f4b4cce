//! What is kept of webhooks: what an admin said of each, and how far its deliveries have got. Two
//! tables, since two sides write: neither overwrites what the other says.

use std::sync::Arc;

use bytes::Bytes;
use schemas::api::{MakeWebhook, NoticeKind, WebhookSecret, WebhookState, WebhookView};
use schemas::id::{AccountId, WebhookId};
use schemas::limit::Limits;
use schemas::name::PoolName;
use schemas::time::Wall;
use schemas::topic::Offset;
use tokio::sync::{Mutex, watch};

use super::sign::Key;
use crate::clock::Clock;
use crate::fresh;
use crate::kept::{Cells, Error, Kept, Result};
use crate::table::{Cell, Field as _, Row, Scan};

/// All are in one partition: there are few, and whoever delivers asks for all.
const PART: u32 = 0;
/// Rows that are read in one go.
const PAGE_ROWS: usize = if cfg!(test) { 2 } else { 500 };
/// How long the secret before signs too.
pub(super) const OLD_SECRET_MS: u64 = 86_400_000;

crate::row! {
    /// What an admin said.
    WebhookRow in "webhook" (part: u32; pool: PoolName = Asc, webhook: WebhookId = Asc) {
        url: String,
        /// Words with spaces between.
        notices: String,
        secret: Bytes,
        old_secret: Option<Bytes>,
        old_until: Option<Wall>,
        enabled: bool,
        /// Grows when it is enabled: what its deliveries came to before counts no longer.
        version: u32,
        made_by: AccountId,
        made_at: Wall,
    }
}

crate::row! {
    /// How far its deliveries have got.
    ProgressRow in "webhook_progress" (part: u32; pool: PoolName = Asc, webhook: WebhookId = Asc) {
        /// The version of the webhook that the rest is about.
        version: u32,
        /// The first record that it has not been told of.
        next: Offset,
        failures: u32,
        due_at: Option<Wall>,
        failing_since: Option<Wall>,
        failure: Option<String>,
        /// Nothing more is sent: `gone` or `given-up`.
        ended: Option<String>,
    }
}

/// Which webhook of which pool.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Which {
    /// The pool.
    pub pool: PoolName,
    /// The webhook.
    pub webhook: WebhookId,
}

impl Which {
    fn key(&self) -> Vec<Cell> {
        vec![PART.cell(), self.pool.clone().cell(), self.webhook.cell()]
    }
}

/// Why nothing more is sent to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It said that it is gone.
    Gone,
    /// It failed for as long as is tried.
    GivenUp,
}

impl Ended {
    /// As a pool's admins see it.
    pub fn state(self) -> WebhookState {
        match self {
            Self::Gone => WebhookState::Gone,
            Self::GivenUp => WebhookState::GivenUp,
        }
    }
}

/// How far deliveries have got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The first record that the target has not been told of.
    pub next: Offset,
    /// Tries in a row that failed.
    pub failures: u32,
    /// When the next is due.
    pub due_at: Option<Wall>,
    /// When the first of them failed.
    pub failing_since: Option<Wall>,
    /// Why the last failed.
    pub failure: Option<String>,
    /// Whether all has ended.
    pub ended: Option<Ended>,
}

/// One webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Which.
    pub which: Which,
    /// Where to.
    pub url: String,
    /// Notices of these kinds.
    pub notices: Vec<NoticeKind>,
    /// What signs now.
    pub keys: Vec<Key>,
    /// Whether an admin has it enabled.
    pub enabled: bool,
    /// Grows when it is enabled.
    pub version: u32,
    /// When it was made.
    pub made_at: Wall,
    /// How far its deliveries have got; `None` before the first was begun.
    pub progress: Option<Progress>,
    made_by: AccountId,
    old_until: Option<Wall>,
}

impl Webhook {
    fn of(row: WebhookRow, progress: Option<ProgressRow>, now: Wall) -> Self {
        let old_until = row.old_until.filter(|until| *until > now);
        let old = row.old_secret.filter(|_| old_until.is_some());
        let keys = std::iter::once(row.secret).chain(old).map(Key::of).collect();
        let progress = progress.map(|progress| {
            let same = progress.version == row.version;
            let told = Progress { next: progress.next, ..Progress::default() };
            if same { Progress::of(progress) } else { told }
        });
        Self {
            which: Which { pool: row.pool, webhook: row.webhook },
            url: row.url,
            notices: row.notices.split_whitespace().filter_map(|word| word.parse().ok()).collect(),
            keys,
            enabled: row.enabled,
            version: row.version,
            made_at: row.made_at,
            progress,
            made_by: row.made_by,
            old_until,
        }
    }

    /// Whether anything is to be sent.
    pub fn is_live(&self) -> bool {
        self.enabled && self.progress.as_ref().is_none_or(|progress| progress.ended.is_none())
    }

    /// As its pool's admins see it.
    pub fn view(&self) -> WebhookView {
        let progress = self.progress.clone().unwrap_or_default();
        let state = match progress.ended {
            _ if !self.enabled => WebhookState::Disabled,
            Some(ended) => ended.state(),
            None if progress.failures > 0 => WebhookState::Failing,
            None => WebhookState::Active,
        };
        WebhookView {
            webhook: self.which.webhook,
            url: self.url.clone(),
            notices: self.notices.clone(),
            state,
            made_by: self.made_by,
            made_at: self.made_at,
            next: self.progress.as_ref().map(|progress| progress.next),
            failures: progress.failures,
            due_at: progress.due_at,
            failure: progress.failure,
            old_secret_until: self.old_until,
        }
    }
}

impl Progress {
    fn of(row: ProgressRow) -> Self {
        let ended = match row.ended.as_deref() {
            Some("gone") => Some(Ended::Gone),
            Some(_) => Some(Ended::GivenUp),
            None => None,
        };
        let ProgressRow { next, failures, due_at, failing_since, failure, .. } = row;
        Self { next, failures, due_at, failing_since, failure, ended }
    }

    fn row(self, which: Which, version: u32) -> ProgressRow {
        let ended = self.ended.map(|ended| match ended {
            Ended::Gone => "gone".to_owned(),
            Ended::GivenUp => "given-up".to_owned(),
        });
        let Which { pool, webhook } = which;
        let Self { next, failures, due_at, failing_since, failure, .. } = self;
        ProgressRow {
            part: PART,
            pool,
            webhook,
            version,
            next,
            failures,
            due_at,
            failing_since,
            failure,
            ended,
        }
    }
}

/// There are as many webhooks as there may be, or they cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MakeError {
    /// As many as there may be.
    #[error("there are as many webhooks as there may be")]
    Full,
    /// What is kept is out of reach.
    #[error(transparent)]
    Kept(#[from] Error),
}

/// The webhooks of all pools.
#[derive(Debug)]
pub struct Webhooks {
    kept: Arc<dyn Kept>,
    clock: Arc<dyn Clock>,
    /// One at a time changes what admins say.
    changing: Mutex<()>,
    version: watch::Sender<u64>,
    pool_max: usize,
    all_max: usize,
}

impl Webhooks {
    /// Opens them; makes their tables.
    pub async fn open(
        kept: Arc<dyn Kept>,
        clock: Arc<dyn Clock>,
        limits: &Limits,
    ) -> Result<Arc<Self>> {
        kept.create(&[WebhookRow::TABLE, ProgressRow::TABLE]).await?;
        let most = |number| usize::try_from(number).unwrap_or(usize::MAX);
        let (pool_max, all_max) = (most(limits.pool_webhooks_max), most(limits.webhooks_max));
        let (changing, version) = (Mutex::default(), watch::Sender::new(0));
        Ok(Arc::new(Self { kept, clock, changing, version, pool_max, all_max }))
    }

    /// Changes whenever an admin has said something.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Those of a pool, the oldest first.
    pub async fn of_pool(&self, pool: &PoolName) -> Result<Vec<Webhook>> {
        self.read(vec![PART.cell(), pool.clone().cell()]).await
    }

    /// All there are.
    pub async fn all(&self) -> Result<Vec<Webhook>> {
        self.read(vec![PART.cell()]).await
    }

    /// One of them.
    pub async fn one(&self, which: &Which) -> Result<Option<Webhook>> {
        Ok(self.read(which.key()).await?.pop())
    }

    async fn read(&self, key: Vec<Cell>) -> Result<Vec<Webhook>> {
        let rows = self.rows::<WebhookRow>(&key).await?;
        let mut progress = self.rows::<ProgressRow>(&key).await?.into_iter().peekable();
        let now = self.clock.now();
        let joined = rows.into_iter().map(|row| {
            // Both are in one order; what is left of one that was removed is passed over.
            let place = (&row.pool, row.webhook);
            while progress.next_if(|other| (&other.pool, other.webhook) < place).is_some() {}
            let own = progress.next_if(|other| (&other.pool, other.webhook) == place);
            Webhook::of(row, own, now)
        });
        Ok(joined.collect())
    }

    async fn rows<R: Row>(&self, key: &[Cell]) -> Result<Vec<R>> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let scan = Scan::of::<R>(key.to_vec()).limit(PAGE_ROWS).after(after);
            let page = self.kept.page(scan).await?;
            let (width, more) = (R::TABLE.columns.len(), page.more);
            let last = page.cells.len().checked_sub(width).and_then(|at| page.cells.get(at..));
            after =
                last.and_then(|last| last.get(key.len()..R::TABLE.key_len())).map(<[_]>::to_vec);
            all.extend(page.rows::<R>()?);
            if !more || after.is_none() {
                return Ok(all);
            }
        }
    }

    /// One more for this pool, with its secret.
    pub async fn make(
        &self,
        pool: PoolName,
        by: AccountId,
        ask: MakeWebhook,
    ) -> Result<WebhookSecret, MakeError> {
        let _changing = self.changing.lock().await;
        let all = self.all().await?;
        let in_pool = all.iter().filter(|webhook| webhook.which.pool == pool).count();
        if in_pool >= self.pool_max || all.len() >= self.all_max {
            return Err(MakeError::Full);
        }
        let kinds = ask.notices.unwrap_or_else(|| {
            let all = NoticeKind::ALL.iter().copied();
            all.filter(|kind| *kind != NoticeKind::Accepted).collect()
        });
        let words: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
        let (made_at, key) = (self.clock.now(), Key::new());
        let webhook = WebhookId::from_uuid(fresh::uuid(made_at));
        let row = WebhookRow {
            part: PART,
            pool,
            webhook,
            url: ask.url,
            notices: words.join(" "),
            secret: key.bytes(),
            old_secret: None,
            old_until: None,
            enabled: true,
            version: 1,
            made_by: by,
            made_at,
        };
        self.put(row).await?;
        Ok(WebhookSecret { webhook, secret: key.shown(), old_secret_until: None })
    }

    /// Another secret; the one before signs too for a day. `None` when there is no such webhook.
    pub async fn renew(&self, which: &Which) -> Result<Option<WebhookSecret>> {
        let _changing = self.changing.lock().await;
        let Some(mut row) = self.row(which).await? else { return Ok(None) };
        let (key, until) = (Key::new(), self.clock.now().plus(OLD_SECRET_MS));
        row.old_secret = Some(std::mem::replace(&mut row.secret, key.bytes()));
        row.old_until = Some(until);
        self.put(row).await?;
        let (webhook, secret) = (which.webhook, key.shown());
        Ok(Some(WebhookSecret { webhook, secret, old_secret_until: Some(until) }))
    }

    /// Has nothing be sent, or what was not sent be sent from now on; false when there is no such
    /// webhook.
    pub async fn enable(&self, which: &Which, enabled: bool) -> Result<bool> {
        let _changing = self.changing.lock().await;
        let Some(mut row) = self.row(which).await? else { return Ok(false) };
        row.enabled = enabled;
        row.version = row.version.saturating_add(u32::from(enabled));
        self.put(row).await?;
        Ok(true)
    }

    /// Ends one; false when there is none.
    pub async fn remove(&self, which: &Which) -> Result<bool> {
        let _changing = self.changing.lock().await;
        let there = self.row(which).await?.is_some();
        self.kept.delete(WebhookRow::TABLE, which.key()).await?;
        self.kept.delete(ProgressRow::TABLE, which.key()).await?;
        self.version.send_modify(|version| *version += 1);
        Ok(there)
    }

    /// Keeps how far deliveries under this version have got.
    pub async fn reached(&self, which: &Which, version: u32, progress: Progress) -> Result<()> {
        self.kept.put(Cells::of(progress.row(which.clone(), version))).await
    }

    async fn row(&self, which: &Which) -> Result<Option<WebhookRow>> {
        Ok(self.rows::<WebhookRow>(&which.key()).await?.pop())
    }

    async fn put(&self, row: WebhookRow) -> Result<()> {
        self.kept.put(Cells::of(row)).await?;
        self.version.send_modify(|version| *version += 1);
        Ok(())
    }
}
