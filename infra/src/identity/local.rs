//! The identity that Sluice keeps itself: names and password hashes in the kept tables, accounts
//! and ended sessions in the directory.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemas::event::{
    AccountCreated, AccountDisabled, AccountEnabled, Directory as Record, SessionRevoked,
};
use schemas::id::{AccountId, SessionId};
use schemas::limit::Limits;
use schemas::name::UserName;
use schemas::time::Wall;
use schemas::topic::Topic;

use super::federated::is_reserved;
use super::password::{Passwords, check_strength};
use super::refresh::{self, Redeemed, RefreshRow, Refreshes};
use super::services::ClientRow;
use super::token::{Said, Tokens};
use super::{Caller, Error, External, Identity, KeyRing, Proof, Result, Secret, Standing, Token};
use crate::audit::trail;
use crate::clock::Clock;
use crate::directory::{Directory, Fold, draft, said};
use crate::fresh;
use crate::kept::{self, Cells, Kept};
use crate::log::{self, Append};
use crate::table::{Field, Row, Scan};

/// What the directory's records of this back end are said by.
const SOURCE: &str = "/sluice/identity";
/// The platform admin that the first start makes. Nobody can sign up under this name.
const ADMIN: &str = "admin";

crate::row! {
    /// An account by its name: the one conditional insert there is makes the name unique.
    AccountByName in "account_by_name" (name: UserName) {
        account: AccountId,
        /// The password's hash, as a PHC string; of an API client, whose it is; of somebody whom the
        /// external issuer knows, who it is there.
        password: String,
        platform_admin: bool,
        created_at: Wall,
    }
}

/// What the local identity is made of.
#[derive(Debug)]
pub struct LocalParts {
    /// Where names and hashes are.
    pub kept: Arc<dyn Kept>,
    /// Where accounts and ended sessions are said.
    pub log: Arc<dyn Append>,
    /// What is known of them, followed by someone else.
    pub directory: Arc<Directory>,
    /// What expiry goes by.
    pub clock: Arc<dyn Clock>,
    /// What tokens are signed with.
    pub keys: Arc<KeyRing>,
    /// The `iss` of tokens: the same on all instances.
    pub issuer: String,
    /// The `aud` of tokens.
    pub audience: String,
    /// Whose people are let in beside those who have a password here.
    pub external: Option<External>,
}

/// The identity that Sluice keeps itself.
#[derive(Debug)]
pub struct LocalIdentity {
    pub(super) kept: Arc<dyn Kept>,
    log: Arc<dyn Append>,
    pub(super) directory: Arc<Directory>,
    pub(super) clock: Arc<dyn Clock>,
    tokens: Tokens,
    refreshes: Refreshes,
    pub(super) token_ms: u64,
    pub(super) clients_max: u64,
    pub(super) external: Option<External>,
    passwords: Passwords,
    accounts_max: u64,
    shown_max: Duration,
}

impl LocalIdentity {
    /// Opens it, making its table unless it is there.
    pub async fn open(parts: LocalParts, limits: &Limits) -> Result<Arc<Self>> {
        parts.kept.create(&[AccountByName::TABLE, RefreshRow::TABLE, ClientRow::TABLE]).await?;
        let checks_max = limits.password_checks_max;
        let passwords = tokio::task::spawn_blocking(move || Passwords::new(checks_max)).await;
        let passwords = passwords.map_err(|error| Error::Internal(error.to_string()))??;
        Ok(Arc::new(Self {
            tokens: Tokens::new(parts.keys, parts.issuer, parts.audience, limits.token_ms),
            refreshes: Refreshes::new(Arc::clone(&parts.kept), limits),
            token_ms: limits.token_ms,
            clients_max: limits.clients_max,
            kept: parts.kept,
            log: parts.log,
            directory: parts.directory,
            clock: parts.clock,
            external: parts.external,
            passwords,
            accounts_max: limits.accounts_max,
            shown_max: Duration::from_millis(limits.answer_ms_max),
        }))
    }

    /// Makes the platform admin `admin`, unless there is a platform admin: with this password, or
    /// with a random one, which is returned this once. The directory must be followed already.
    ///
    /// If the process dies before anyone has read a random password, set another.
    pub async fn first_start(&self, password: Option<Secret>) -> Result<Option<Secret>> {
        self.directory.catch_up().await?;
        if self.directory.read(Fold::has_admin) {
            return Ok(None);
        }
        let random = password.is_none();
        let password = password.unwrap_or_else(random_password);
        let name: UserName = ADMIN.parse().map_err(|_| Error::Internal(ADMIN.into()))?;
        let (row, new) = self.claim(name, &password, true).await?;
        self.list(&row, None).await?;
        Ok(Some(password).filter(|_| new && random))
    }

    /// Gives an account another password; its sessions go on. For operators.
    pub async fn set_password(&self, name: &UserName, password: Secret) -> Result<()> {
        check_strength(&password)?;
        let row = self.find(name).await?.ok_or(Error::InvalidCredentials)?;
        let password = self.passwords.hash(password).await?;
        Ok(self.kept.put(Cells::of(AccountByName { password, ..row })).await?)
    }

    pub(super) async fn find(&self, name: &UserName) -> Result<Option<AccountByName>> {
        let page =
            self.kept.page(Scan::of::<AccountByName>([name.clone().cell()]).limit(1)).await?;
        let rows = page.rows::<AccountByName>().map_err(kept::Error::from)?;
        Ok(rows.into_iter().next())
    }

    /// Takes the name; gives the row that holds it and whether that is a new one.
    async fn claim(
        &self,
        name: UserName,
        password: &Secret,
        platform_admin: bool,
    ) -> Result<(AccountByName, bool)> {
        check_strength(password)?;
        let password = self.passwords.hash(password.clone()).await?;
        self.claim_with(name, password, platform_admin).await
    }

    /// The same, with the text that is kept in place of a password's hash.
    pub(super) async fn claim_with(
        &self,
        name: UserName,
        password: String,
        platform_admin: bool,
    ) -> Result<(AccountByName, bool)> {
        let created_at = self.clock.now();
        let account = AccountId::from_uuid(fresh::uuid(created_at));
        let row = AccountByName { name, account, password, platform_admin, created_at };
        if self.kept.insert_new(Cells::of(row.clone())).await? {
            return Ok((row, true));
        }
        let holder = self.find(&row.name).await?;
        Ok((holder.ok_or_else(|| Error::Unknown("the name came and went".into()))?, false))
    }

    /// Says that the account exists, unless that was said: the process may have died between the
    /// row and the record.
    pub(super) async fn list(&self, row: &AccountByName, owner: Option<AccountId>) -> Result<()> {
        let account = row.account;
        let is_listed = |fold: &Fold| fold.account(account).is_some();
        if !self.directory.read(is_listed) {
            self.directory.catch_up().await?;
        }
        if self.directory.read(is_listed) {
            return Ok(());
        }
        let (name, platform_admin) = (row.name.clone(), row.platform_admin);
        self.say(AccountCreated { account, name, platform_admin, owner }).await?;
        // Said and durable: whether this instance has heard it yet makes no difference to that.
        _ = self.directory.wait_for(is_listed, self.shown_max).await;
        Ok(())
    }

    /// Whether there may be one more account.
    pub(super) fn has_room(&self) -> Result<()> {
        let accounts = self.directory.read(Fold::accounts);
        if u64::try_from(accounts).unwrap_or(u64::MAX) >= self.accounts_max {
            return Err(Error::Full);
        }
        Ok(())
    }

    pub(super) async fn say(&self, body: impl Into<Record>) -> Result<()> {
        let draft = draft(body, said(SOURCE, self.clock.now()));
        self.log.append(&Topic::directory(), vec![draft]).await?;
        Ok(())
    }

    async fn by_password(&self, name: UserName, password: Secret) -> Result<Token> {
        let row = self.find(&name).await?;
        // What is kept of an API client is no hash: no password is right for it.
        let hash = row.as_ref().map(|row| row.password.clone());
        if let Some(row) = &row {
            trail::about(row.account.uuid());
        }
        let right = self.passwords.verify(password, hash.filter(|it| it.starts_with('$'))).await?;
        let row = row.filter(|_| right).ok_or(Error::InvalidCredentials)?;
        trail::by(row.account);
        self.list(&row, None).await?;
        let now = self.clock.now();
        let session = SessionId::from_uuid(fresh::uuid(now));
        let mut token = self.session(row.account, session, now)?;
        token.caller.name = Some(row.name);
        token.caller.platform_admin = row.platform_admin;
        token.refresh_token = Some(self.refreshes.begin(row.account, session, now).await?);
        Ok(token)
    }

    /// The same session goes on. A token that is shown twice was stolen by one of the two who
    /// showed it: the session ends for both.
    async fn by_refresh(&self, token: &Secret) -> Result<Token> {
        let (account, session, secret) = refresh::parse(token).ok_or(Error::InvalidCredentials)?;
        let now = self.clock.now();
        let _one_at_a_time = self.refreshes.turn().await;
        self.directory.refresh().await?;
        if self.directory.is_revoked(session) {
            return Err(Error::InvalidCredentials);
        }
        if self.directory.is_disabled(account) {
            return Err(Error::Disabled);
        }
        match self.refreshes.redeem(account, session, secret, now).await? {
            Redeemed::Next(next) => {
                trail::by(account);
                // A session that goes on is nothing new.
                trail::unremarkable();
                let mut token = self.session(account, session, now)?;
                token.refresh_token = Some(next);
                Ok(token)
            }
            Redeemed::Never => Err(Error::InvalidCredentials),
            Redeemed::Again => {
                trail::about(account.uuid());
                trail::because("refresh-reused");
                self.revoke(session).await?;
                Err(Error::InvalidCredentials)
            }
        }
    }

    /// A token of this session, unless the account is disabled.
    pub(super) fn session(
        &self,
        account: AccountId,
        session: SessionId,
        now: Wall,
    ) -> Result<Token> {
        if self.directory.is_disabled(account) {
            return Err(Error::Disabled);
        }
        let (access_token, said) = self.tokens.make(account, session, now)?;
        let expires_in_s = said.expires_at.since(now) / 1_000;
        let caller = self.caller_of(said);
        Ok(Token { access_token, expires_in_s, refresh_token: None, caller })
    }

    /// Every token of the session is dead, those that were just made too.
    async fn revoke(&self, session: SessionId) -> Result<()> {
        let until = self.clock.now().plus(self.token_ms);
        self.say(SessionRevoked { session, until }).await?;
        let heard = self.directory.wait_for(|fold| fold.is_revoked(session), self.shown_max).await;
        heard.map_err(|error| Error::Unknown(error.to_string()))
    }

    fn caller_of(&self, said: Said) -> Caller {
        let known = self.directory.account(said.account);
        Caller {
            account: said.account,
            platform_admin: known.as_ref().is_some_and(|account| account.platform_admin),
            name: known.map(|account| account.name),
            session: said.session,
            expires_at: said.expires_at,
        }
    }
}

#[async_trait]
impl Identity for LocalIdentity {
    async fn enrol(&self, name: UserName, password: Secret) -> Result<AccountId> {
        check_strength(&password)?;
        if name.as_str() == ADMIN || is_reserved(&name) {
            return Err(Error::NameTaken);
        }
        self.has_room()?;
        let (row, new) = self.claim(name, &password, false).await?;
        if !new {
            // A repeat after an unknown outcome finishes what was begun; all others are refused.
            self.directory.catch_up().await?;
            let begun = self.directory.account(row.account).is_none();
            if !begun || !self.passwords.verify(password, Some(row.password.clone())).await? {
                return Err(Error::NameTaken);
            }
        }
        self.list(&row, None).await?;
        Ok(row.account)
    }

    async fn sign_in(&self, proof: Proof) -> Result<Token> {
        match proof {
            Proof::Password { name, password } => self.by_password(name, password).await,
            Proof::Refresh { token } => self.by_refresh(&token).await,
            Proof::Client { client, secret } => self.by_secret(client, &secret).await,
            Proof::Assertion { assertion, newcomers } => {
                Box::pin(self.by_assertion(&assertion, newcomers)).await
            }
        }
    }

    fn caller(&self, bearer: &str) -> Result<Caller> {
        let said = self.tokens.read(bearer, self.clock.now())?;
        self.directory.fresh()?;
        if self.directory.is_revoked(said.session) || self.directory.is_disabled(said.account) {
            trail::about(said.account.uuid());
            return Err(Error::InvalidToken);
        }
        Ok(self.caller_of(said))
    }

    async fn sign_out(&self, caller: &Caller) -> Result<()> {
        let _one_at_a_time = self.refreshes.turn().await;
        self.refreshes.end(caller.account, caller.session).await?;
        self.revoke(caller.session).await
    }

    async fn make_client(&self, owner: AccountId, name: UserName) -> Result<(AccountId, Secret)> {
        self.new_client(owner, name).await
    }

    async fn renew_client(&self, client: AccountId) -> Result<Secret> {
        self.new_secret(client).await
    }

    async fn set_standing(&self, account: AccountId, to: Standing, by: AccountId) -> Result<()> {
        let said: Record = match to {
            Standing::Disabled => AccountDisabled { account, by }.into(),
            Standing::Enabled => AccountEnabled { account, by }.into(),
        };
        self.say(said).await?;
        // What was said before this call is in by then, and so is what this call has said.
        self.directory.catch_up().await.map_err(|error| Error::Unknown(error.to_string()))
    }

    fn keys(&self) -> String {
        self.tokens.published().to_owned()
    }
}

/// 160 random bits in letters that are not taken for one another.
fn random_password() -> Secret {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789-";
    let letter = |byte: u8| LETTERS.get(usize::from(byte % 32)).copied().unwrap_or(b'x');
    fresh::bytes::<32>().map(letter).map(char::from).iter().collect::<String>().into()
}

impl From<log::Error> for Error {
    fn from(error: log::Error) -> Self {
        match error {
            log::Error::Refused { reason, retry_after } => {
                Self::Unavailable { reason, retry_after }
            }
            log::Error::Unknown(reason) => Self::Unknown(reason),
            log::Error::NoTopic(_)
            | log::Error::Gap(_)
            | log::Error::TooLarge(_)
            | log::Error::Misconfigured(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<kept::Error> for Error {
    fn from(error: kept::Error) -> Self {
        match error {
            kept::Error::Refused { reason, retry_after } => {
                Self::Unavailable { reason, retry_after }
            }
            kept::Error::Full => Self::NoRoom,
            kept::Error::NoTable(_) | kept::Error::BadRow(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<crate::directory::Stale> for Error {
    fn from(stale: crate::directory::Stale) -> Self {
        Self::Unavailable { reason: stale.to_string(), retry_after: Duration::from_secs(1) }
    }
}
