//! Accounts of people whom the external issuer knows: made when they come first, under a name that
//! follows from who they are there, so that the one conditional insert makes them unique as well.

use schemas::id::SessionId;
use schemas::name::UserName;

use super::external::NAME_HEAD;
use super::{Error, LocalIdentity, Newcomers, Result, Secret, Token};
use crate::audit::trail;
use crate::fresh;

/// Whether names like this one are given to people of the external issuer only.
pub(super) fn is_reserved(name: &UserName) -> bool {
    name.as_str().starts_with(NAME_HEAD)
}

impl LocalIdentity {
    /// A session without refresh tokens: whoever the issuer lets in no longer is out here as soon
    /// as the token runs out.
    pub(super) async fn by_assertion(
        &self,
        assertion: &Secret,
        newcomers: Newcomers,
    ) -> Result<Token> {
        let external = self.external.as_ref().ok_or(Error::NoIssuer)?;
        let known = external.known(assertion).await?;
        let whose = format!("external {}", known.who);
        let row = match self.find(&known.name).await? {
            Some(row) => row,
            None if newcomers == Newcomers::Refused => return Err(Error::Closed),
            None => {
                self.has_room()?;
                self.claim_with(known.name, whose.clone(), false).await?.0
            }
        };
        if row.password != whose {
            return Err(Error::NameTaken);
        }
        trail::by(row.account);
        self.list(&row, None).await?;
        self.directory.refresh().await?;
        let now = self.clock.now();
        self.session(row.account, SessionId::from_uuid(fresh::uuid(now)), now)
    }
}
