//! Refresh tokens: each good once, the next one in its place. One row per session, so that a token
//! that comes again is known to be an old one of that session.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemas::digest::Digest;
use schemas::id::{AccountId, SessionId};
use schemas::limit::Limits;
use schemas::time::Wall;
use tokio::sync::{Mutex, MutexGuard};

use super::{Result, Secret};
use crate::fresh;
use crate::kept::{Cells, Error as KeptError, Kept};
use crate::table::{Field as _, Row as _, Scan};

crate::row! {
    /// A session that can be refreshed, and the token that can do it.
    RefreshRow in "refresh" (account: AccountId; session: SessionId = Asc) {
        /// Digest of the token's secret part.
        sha256: Digest,
        expires_at: Wall,
    }
}

/// What a token that was shown is.
#[derive(Clone, Debug)]
pub(super) enum Redeemed {
    /// The session's newest: here is the next.
    Next(Secret),
    /// Of no session that goes on.
    Never,
    /// One that was used before.
    Again,
}

/// Keeps them.
#[derive(Debug)]
pub(super) struct Refreshes {
    kept: Arc<dyn Kept>,
    life_ms: u64,
    sessions_max: usize,
    turn: Mutex<()>,
}

/// The account, the session and the secret part of a token.
pub(super) fn parse(token: &Secret) -> Option<(AccountId, SessionId, &str)> {
    let (account, rest) = token.expose().split_once('.')?;
    let (session, secret) = rest.split_once('.')?;
    Some((account.parse().ok()?, session.parse().ok()?, secret))
}

impl Refreshes {
    pub(super) fn new(kept: Arc<dyn Kept>, limits: &Limits) -> Self {
        let sessions_max = usize::try_from(limits.sessions_max).unwrap_or(usize::MAX).max(1);
        Self { kept, life_ms: limits.refresh_ms, sessions_max, turn: Mutex::default() }
    }

    /// One who reads and writes the rows of a session at a time.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// The first token of a session. Makes room for it: what has run out goes, and of those beyond
    /// the bound the ones that would end first.
    pub(super) async fn begin(
        &self,
        account: AccountId,
        session: SessionId,
        now: Wall,
    ) -> Result<Secret> {
        let scan = Scan::of::<RefreshRow>([account.cell()]).limit(self.sessions_max * 2);
        let page = self.kept.page(scan).await?;
        let mut rows = page.rows::<RefreshRow>().map_err(KeptError::from)?;
        rows.sort_by_key(|row| row.expires_at);
        let beyond = (rows.len() + 1).saturating_sub(self.sessions_max);
        let ends = |(place, row): (usize, RefreshRow)| {
            (place < beyond || row.expires_at <= now).then_some(row.session)
        };
        for old in rows.into_iter().enumerate().filter_map(ends) {
            self.end(account, old).await?;
        }
        self.next(account, session, now).await
    }

    /// Takes a token, and gives the next.
    pub(super) async fn redeem(
        &self,
        account: AccountId,
        session: SessionId,
        secret: &str,
        now: Wall,
    ) -> Result<Redeemed> {
        let key = [account.cell(), session.cell()];
        let page = self.kept.page(Scan::of::<RefreshRow>(key).limit(1)).await?;
        let row = page.rows::<RefreshRow>().map_err(KeptError::from)?.pop();
        let Some(row) = row.filter(|row| row.expires_at > now) else { return Ok(Redeemed::Never) };
        if row.sha256 != Digest::of(secret.as_bytes()) {
            self.end(account, session).await?;
            return Ok(Redeemed::Again);
        }
        Ok(Redeemed::Next(self.next(account, session, now).await?))
    }

    /// No token of the session is good.
    pub(super) async fn end(&self, account: AccountId, session: SessionId) -> Result<()> {
        let key = vec![account.cell(), session.cell()];
        Ok(self.kept.delete(RefreshRow::TABLE, key).await?)
    }

    async fn next(&self, account: AccountId, session: SessionId, now: Wall) -> Result<Secret> {
        let secret = URL_SAFE_NO_PAD.encode(fresh::bytes::<32>());
        let row = RefreshRow {
            account,
            session,
            sha256: Digest::of(secret.as_bytes()),
            expires_at: now.plus(self.life_ms),
        };
        self.kept.put(Cells::of(row)).await?;
        Ok(format!("{account}.{session}.{secret}").into())
    }
}
