//! API clients: accounts for services, each with an owner and a secret in place of a password.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemas::digest::Digest;
use schemas::id::{AccountId, SessionId};
use schemas::name::UserName;

use super::federated::is_reserved;
use super::{Error, LocalIdentity, Result, Secret, Token};
use crate::audit::trail;
use crate::fresh;
use crate::kept::{Cells, Error as KeptError};
use crate::table::{Field as _, Scan};

crate::row! {
    /// The digest of an API client's secret: 32 random bytes, which nobody guesses.
    ClientRow in "api_client" (client: AccountId) {
        sha256: Digest,
    }
}

impl LocalIdentity {
    /// A name that belongs to an account, and no password to it.
    pub(super) async fn new_client(
        &self,
        owner: AccountId,
        name: UserName,
    ) -> Result<(AccountId, Secret)> {
        if is_reserved(&name) {
            return Err(Error::NameTaken);
        }
        let clients = self.directory.read(|fold| fold.clients_of(owner).count());
        if u64::try_from(clients).unwrap_or(u64::MAX) >= self.clients_max {
            return Err(Error::Full);
        }
        let whose = format!("client of {owner}");
        let (row, new) = self.claim_with(name, whose.clone(), false).await?;
        if !new {
            self.directory.catch_up().await?;
            let begun = self.directory.account(row.account).is_none() && row.password == whose;
            if !begun {
                return Err(Error::NameTaken);
            }
        }
        let secret = self.new_secret(row.account).await?;
        self.list(&row, Some(owner)).await?;
        Ok((row.account, secret))
    }

    pub(super) async fn new_secret(&self, client: AccountId) -> Result<Secret> {
        let secret = URL_SAFE_NO_PAD.encode(fresh::bytes::<32>());
        let sha256 = Digest::of(secret.as_bytes());
        self.kept.put(Cells::of(ClientRow { client, sha256 })).await?;
        Ok(secret.into())
    }

    pub(super) async fn by_secret(&self, client: AccountId, secret: &Secret) -> Result<Token> {
        let page = self.kept.page(Scan::of::<ClientRow>([client.cell()]).limit(1)).await?;
        let row = page.rows::<ClientRow>().map_err(KeptError::from)?.pop();
        if row.is_some() {
            trail::about(client.uuid());
        }
        let right = row.is_some_and(|row| row.sha256 == Digest::of(secret.expose().as_bytes()));
        if !right {
            return Err(Error::InvalidCredentials);
        }
        trail::by(client);
        self.directory.refresh().await?;
        let now = self.clock.now();
        self.session(client, SessionId::from_uuid(fresh::uuid(now)), now)
    }
}
