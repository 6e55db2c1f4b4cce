//! How long a stream lives: as long as the newest token that was shown on it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use infra::directory::Directory;
use infra::identity::Caller;
use schemas::id::{AccountId, SessionId};
use schemas::time::Wall;

/// The token a stream lives by.
#[derive(Debug)]
pub(super) struct Lease {
    account: AccountId,
    token: Mutex<(SessionId, Wall)>,
}

impl Lease {
    pub(super) fn of(caller: &Caller) -> Self {
        let token = Mutex::new((caller.session, caller.expires_at));
        Self { account: caller.account, token }
    }

    fn token(&self) -> MutexGuard<'_, (SessionId, Wall)> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lives by this token from now on; false when it is another account's.
    pub(super) fn renew(&self, caller: &Caller) -> bool {
        let same = caller.account == self.account;
        if same {
            *self.token() = (caller.session, caller.expires_at);
        }
        same
    }

    /// Whether it is expired or signed out, or its account disabled.
    pub(super) fn ended(&self, directory: &Directory, now: Wall) -> bool {
        let (session, expires_at) = *self.token();
        expires_at <= now || directory.is_revoked(session) || directory.is_disabled(self.account)
    }
}
