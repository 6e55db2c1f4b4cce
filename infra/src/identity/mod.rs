//! Door: identity. Who is asking.
//!
//! What every back end promises, and `suite` checks:
//! * A name belongs to one account. A wrong password and a name that does not exist are refused in
//!   the same words and after the same work.
//! * A token is good until it expires or its session is signed out, and for nothing else: on this
//!   instance from the return of `sign_out` on, on all others within a second.
//! * Whoever cannot tell whether a session was signed out lets nobody in.

mod external;
mod federated;
mod keys;
mod local;
mod password;
mod receipt;
mod refresh;
mod services;
#[cfg(any(test, feature = "suites"))]
pub mod suite;
#[cfg(test)]
mod tests;
mod token;

pub use external::{BadIssuer, External};
pub use keys::{BadKey, KeyRing};
pub use local::{LocalIdentity, LocalParts};
pub use receipt::{BadReceipt, Notary, Verifier};

use std::fmt::{self, Debug};
use std::time::Duration;

use async_trait::async_trait;
use schemas::id::{AccountId, SessionId};
use schemas::name::UserName;
use schemas::time::Wall;

/// Shortest password, in characters.
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Longest password, in characters.
pub const PASSWORD_CHARS_MAX: usize = 256;

/// Text that must not be shown: a password or a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// The text, for the one who needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret { .. }")
    }
}

/// What somebody shows to be let in.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A name and its password.
    Password {
        /// The account's name.
        name: UserName,
        /// Its password.
        password: Secret,
    },
    /// A refresh token: good once, for the same session.
    Refresh {
        /// As it was given.
        token: Secret,
    },
    /// An API client's id and its secret.
    Client {
        /// Its account.
        client: AccountId,
        /// Its secret.
        secret: Secret,
    },
    /// A token of the external issuer.
    Assertion {
        /// As it was given.
        assertion: Secret,
        /// What becomes of somebody who has no account yet.
        newcomers: Newcomers,
    },
}

/// What becomes of people of the external issuer who have no account yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newcomers {
    /// They get one.
    Enrolled,
    /// They are refused.
    Refused,
}

/// Whether an account is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No token of it is good, and nobody signs in to it.
    Disabled,
    /// Like any other.
    Enabled,
}

/// Who is asking, as far as a token proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub account: AccountId,
    /// Its name; `None` when this instance has not heard of the account yet.
    pub name: Option<UserName>,
    /// Whether it is a platform admin.
    pub platform_admin: bool,
    /// The session, which signing out ends.
    pub session: SessionId,
    /// The token is dead from here on.
    pub expires_at: Wall,
}

/// A session has begun.
#[derive(Clone, Debug)]
pub struct Token {
    /// A bearer token (RFC 6750).
    pub access_token: Secret,
    /// Its life in seconds.
    pub expires_in_s: u64,
    /// Good once for another token of the same session; none for API clients, who have their
    /// secret.
    pub refresh_token: Option<Secret>,
    /// Whose it is.
    pub caller: Caller,
}

/// Why nobody was let in, or nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The name belongs to another account.
    #[error("the name is taken")]
    NameTaken,
    /// The password is shorter or longer than allowed.
    #[error("the password is too short or too long")]
    WeakPassword,
    /// There are as many accounts as there may be.
    #[error("there are as many accounts as there may be")]
    Full,
    /// Who may have made it is right, and the account is disabled.
    #[error("the account is disabled")]
    Disabled,
    /// Nobody set an external issuer.
    #[error("there is no external issuer")]
    NoIssuer,
    /// The external issuer knows them, and no account may be made.
    #[error("nobody may sign up here like this")]
    Closed,
    /// No such name, or another password: never said which.
    #[error("the name or the password is wrong")]
    InvalidCredentials,
    /// The token is not ours, has expired, was signed out or was altered: never said which.
    #[error("the token is not valid")]
    InvalidToken,
    /// As many passwords are being checked as may be.
    #[error("too many passwords are being checked")]
    Busy,
    /// It did nothing; asking again later may help.
    #[error("identity cannot be told now: {reason}")]
    Unavailable {
        /// What stood in the way.
        reason: String,
        /// When asking again may help.
        retry_after: Duration,
    },
    /// It may have happened. Asking the same again is safe.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// There is no room.
    #[error("no room left")]
    NoRoom,
    /// Something failed that asking again does not help.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Busy | Self::Unavailable { .. } | Self::Unknown(_) | Self::NoRoom)
    }
}

/// What the door answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who is who.
#[async_trait]
pub trait Identity: Debug + Send + Sync {
    /// Makes an account, an ordinary one. A repeat with the same password after an unknown outcome
    /// finishes what was begun.
    async fn enrol(&self, name: UserName, password: Secret) -> Result<AccountId>;

    /// Begins a session.
    async fn sign_in(&self, proof: Proof) -> Result<Token>;

    /// Whose token this is. MUST NOT wait for anything: memory only.
    fn caller(&self, bearer: &str) -> Result<Caller>;

    /// Ends the caller's session. On return its tokens are dead here, and durably so.
    async fn sign_out(&self, caller: &Caller) -> Result<()>;

    /// Makes an API client of this owner: an account for a service, and its secret, told this once.
    /// A repeat after an unknown outcome finishes what was begun.
    async fn make_client(&self, owner: AccountId, name: UserName) -> Result<(AccountId, Secret)>;

    /// Gives an API client another secret, told this once. The one before is dead on return.
    async fn renew_client(&self, client: AccountId) -> Result<Secret>;

    /// Disables or enables an account. On return its tokens are dead, or good, here, and durably
    /// so; on all other instances within a second.
    async fn set_standing(&self, account: AccountId, to: Standing, by: AccountId) -> Result<()>;

    /// The keys that tokens are signed with, as a JWK Set in JSON (RFC 7517).
    fn keys(&self) -> String;
}
