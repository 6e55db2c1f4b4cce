//! What lets requests in, in memory: pools, policies, members, join tokens, accounts and revoked
//! sessions, folded from the topic `sluice.directory`.
//!
//! Nobody is let in on an old view: one that has not been confirmed to be read to its end within
//! `directory_age_ms_max` is stale, and what is asked of a stale one is answered 503.

mod fold;
mod follow;
mod ours;

pub use fold::{Account, Changes, Fold, Member, Pool};
pub use ours::{Change, Ours};

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use schemas::event::Directory as Record;
use schemas::id::{AccountId, EventId, SessionId, TokenId};
use schemas::limit::Limits;
use schemas::name::PoolName;
use schemas::role::RoleSet;
use schemas::time::{LogTime, Wall};
use schemas::wire::Attributes;
use tokio::sync::watch;

use schemas::event::{PolicyCopied, TokenCopied};

use crate::clock::Clock;
use crate::fresh;
use crate::log::Draft;
use crate::telemetry::{Counter, Metrics};

/// The directory has not been confirmed to be read to its end lately: nobody can be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the directory has not been read to its end lately")]
pub struct Stale;

/// What was waited for has not come in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the directory has not shown it in time")]
pub struct NotSeen;

/// Up to where the directory has been read.
#[derive(Clone, Copy, Debug, Default)]
struct Confirmed {
    /// The last call of `catch_up` that this covers.
    ticket: u64,
    /// The uptime when the log was asked for its end.
    at: Option<Duration>,
}

/// The directory, kept up by [`follow`](Self::follow).
#[derive(Debug)]
pub struct Directory {
    fold: RwLock<Fold>,
    version: watch::Sender<u64>,
    /// Counts the calls of `catch_up`; the follower wakes when it grows.
    tickets: watch::Sender<u64>,
    confirmed: watch::Sender<Confirmed>,
    clock: Arc<dyn Clock>,
    age_max: Duration,
    catch_up_max: Duration,
    records: Counter,
    unreadable: Counter,
}

impl Directory {
    /// An empty directory: not ready until it is followed.
    pub fn new(clock: Arc<dyn Clock>, limits: &Limits, metrics: &Metrics) -> Arc<Self> {
        let (records, unreadable) = (Counter::default(), Counter::default());
        metrics.add("directory_records", "Records of the directory read", records.clone());
        metrics.add(
            "directory_unreadable_records",
            "Records of the directory that were skipped because they could not be read",
            unreadable.clone(),
        );
        Arc::new(Self {
            fold: RwLock::default(),
            version: watch::Sender::new(0),
            tickets: watch::Sender::new(0),
            confirmed: watch::Sender::new(Confirmed::default()),
            clock,
            age_max: Duration::from_millis(limits.directory_age_ms_max),
            catch_up_max: Duration::from_millis(limits.position_wait_ms_max),
            records,
            unreadable,
        })
    }

    /// Looks at it. Keep it short: the follower waits.
    pub fn read<T>(&self, look: impl FnOnce(&Fold) -> T) -> T {
        look(&self.fold.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether it has ever been read to its end.
    pub fn ready(&self) -> bool {
        self.confirmed.borrow().at.is_some()
    }

    /// Whether it was known to be complete lately enough.
    pub fn fresh(&self) -> Result<(), Stale> {
        let at = self.confirmed.borrow().at.ok_or(Stale)?;
        let age = self.clock.uptime().saturating_sub(at);
        if age <= self.age_max { Ok(()) } else { Err(Stale) }
    }

    /// Returns once everything appended before this call has been read. Many calls share one
    /// question to the log.
    pub async fn catch_up(&self) -> Result<(), Stale> {
        self.confirm_within(self.catch_up_max).await
    }

    async fn confirm_within(&self, wait_max: Duration) -> Result<(), Stale> {
        let mut ticket = 0;
        self.tickets.send_modify(|tickets| {
            *tickets += 1;
            ticket = *tickets;
        });
        let mut confirmed = self.confirmed.subscribe();
        let covered = confirmed.wait_for(|confirmed| confirmed.ticket >= ticket);
        match tokio::time::timeout(wait_max, covered).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Stale),
        }
    }

    /// Fresh, or made so at once: a process that was asleep is not refused. Waits briefly only:
    /// while the log is away every request comes by here.
    pub async fn refresh(&self) -> Result<(), Stale> {
        match self.fresh() {
            Ok(()) => Ok(()),
            Err(Stale) => self.confirm_within(self.age_max.min(self.catch_up_max)).await,
        }
    }

    /// Returns once `shown` is true of it.
    pub async fn wait_for(
        &self,
        shown: impl Fn(&Fold) -> bool,
        wait_max: Duration,
    ) -> Result<(), NotSeen> {
        let mut version = self.version.subscribe();
        let seen = async { while !self.read(&shown) && version.changed().await.is_ok() {} };
        tokio::time::timeout(wait_max, seen).await.map_err(|_| NotSeen)
    }

    /// The version, as it grows. Then ask [`changes_since`](Self::changes_since): nothing is lost
    /// however seldom that is done.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// The pools with a record after `version`; all of them after 0.
    pub fn changes_since(&self, version: u64) -> Changes {
        self.read(|fold| fold.changes_since(version))
    }

    /// What is known of a pool.
    pub fn pool(&self, name: &PoolName) -> Option<Pool> {
        self.read(|fold| fold.pool(name).cloned())
    }

    /// A pool's newest policy; `None` when there is no such pool.
    pub fn policy(&self, name: &PoolName) -> Option<Arc<PolicyCopied>> {
        self.read(|fold| fold.pool(name)?.policy.clone())
    }

    /// What the account is in the pool now; `None` when it is no member, or a suspended one.
    pub fn membership(&self, pool: &PoolName, account: AccountId) -> Option<RoleSet> {
        self.read(|fold| fold.membership(pool, account))
    }

    /// The first `rows_max` members after `after`, by id.
    pub fn members(
        &self,
        pool: &PoolName,
        after: Option<AccountId>,
        rows_max: usize,
    ) -> Vec<Member> {
        self.read(|fold| fold.members(pool, after, rows_max))
    }

    /// The first `rows_max` join tokens after `after`, by id.
    pub fn tokens(
        &self,
        pool: &PoolName,
        after: Option<TokenId>,
        rows_max: usize,
    ) -> Vec<Arc<TokenCopied>> {
        self.read(|fold| fold.tokens(pool, after, rows_max))
    }

    /// A join token as it was copied last.
    pub fn token(&self, pool: &PoolName, token: TokenId) -> Option<Arc<TokenCopied>> {
        self.read(|fold| fold.token(pool, token).cloned())
    }

    /// An account.
    pub fn account(&self, account: AccountId) -> Option<Account> {
        self.read(|fold| fold.account(account).cloned())
    }

    /// The pools an account is a member of, by name.
    pub fn pools_of(&self, account: AccountId) -> Vec<PoolName> {
        self.read(|fold| fold.pools_of(account).cloned().collect())
    }

    /// Whether an account, or the owner of an API client, is disabled.
    pub fn is_disabled(&self, account: AccountId) -> bool {
        self.read(|fold| fold.is_disabled(account))
    }

    /// Whether a session has been signed out.
    pub fn is_revoked(&self, session: SessionId) -> bool {
        self.read(|fold| fold.is_revoked(session))
    }
}

/// The record that says `body`, under the key the topic is compacted by.
pub fn draft(body: impl Into<Record>, attributes: Attributes) -> Draft {
    let body = body.into();
    Draft::new(body.key(), &body, attributes)
}

/// Attributes of a record that this process says now. Copies of derived records have those of what
/// they copy instead.
pub fn said(source: impl Into<Cow<'static, str>>, now: Wall) -> Attributes {
    Attributes {
        id: EventId::from_uuid(fresh::uuid(now)),
        source: source.into(),
        time: LogTime::from_millis(now.millis()),
        subject: None,
        cause: None,
    }
}
