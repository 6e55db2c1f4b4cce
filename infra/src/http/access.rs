//! Who calls, and what they may: the token, then the table in `schemas::role`.
//!
//! Nobody is denied on an old view: before a 403 or 404 about membership the directory is read to
//! its current end, so that what a caller has just been given counts.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use schemas::event::{PolicyCopied, PoolState};
use schemas::id::AccountId;
use schemas::limit::Limits;
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::role::{Act, RoleSet, Verdict, judge};
use schemas::route::Route;

use super::Refused;
use crate::audit::trail;
use crate::directory::{Directory, Pool};
use crate::identity::{self, Caller, Identity};

/// What handlers ask before they do anything. Their state must hold one (`FromRef`).
#[derive(Clone, Debug)]
pub struct Access {
    identity: Arc<dyn Identity>,
    directory: Arc<Directory>,
    limits: Arc<Limits>,
}

/// A caller may do what was asked in this pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The pool.
    pub pool: Pool,
    /// Its newest policy: what has one exists.
    pub policy: Arc<PolicyCopied>,
    /// What the caller is in it; empty for a platform admin who is no member.
    pub roles: RoleSet,
    /// Whether only what is the caller's own is meant.
    pub own_only: bool,
    caller: AccountId,
}

impl Allowed {
    /// Whether it also covers what belongs to `owner`.
    pub fn covers(&self, owner: AccountId) -> bool {
        let covers = !self.own_only || self.caller == owner;
        if !covers {
            trail::hidden();
        }
        covers
    }
}

impl Access {
    /// By these.
    pub fn new(
        identity: Arc<dyn Identity>,
        directory: Arc<Directory>,
        limits: Arc<Limits>,
    ) -> Self {
        Self { identity, directory, limits }
    }

    /// Who is who.
    pub fn identity(&self) -> &Arc<dyn Identity> {
        &self.identity
    }

    /// Who is where.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// How much a request may bring.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Who sent these headers.
    pub async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refused> {
        let bearer = bearer(headers)?;
        let mut known = self.identity.caller(bearer);
        if let Err(identity::Error::Unavailable { .. }) = &known {
            // The view may only be a little old, after a pause of the process for one.
            self.directory.refresh().await?;
            known = self.identity.caller(bearer);
        }
        let caller = known?;
        tracing::Span::current().record("account", tracing::field::display(caller.account));
        trail::by(caller.account);
        Ok(caller)
    }

    /// Whether the caller may do in `pool` what `route` does.
    ///
    /// A pool that does not exist and one the caller is not in are refused alike.
    pub async fn allow(
        &self,
        caller: &Caller,
        route: &Route,
        pool: &PoolName,
    ) -> Result<Allowed, Refused> {
        tracing::Span::current().record("pool", tracing::field::display(pool));
        self.directory.refresh().await?;
        let mut looked = self.look(caller, route, pool);
        if looked.is_err() {
            self.directory.catch_up().await?;
            looked = self.look(caller, route, pool);
        }
        self.note(&looked, pool);
        looked
    }

    /// For the audit log: a pool that is hidden is there, and a platform admin who is no member
    /// looks at what is others'.
    fn note(&self, looked: &Result<Allowed, Refused>, pool: &PoolName) {
        if self.directory.read(|fold| fold.pool(pool).is_some_and(|pool| pool.policy.is_some())) {
            trail::within(pool);
            match looked {
                Ok(allowed) if allowed.roles.is_empty() => trail::over_others(),
                Err(refused) if refused.code() == Code::NotFound => trail::hidden(),
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn look(&self, caller: &Caller, route: &Route, name: &PoolName) -> Result<Allowed, Refused> {
        let (pool, member, platform_admin) = self.directory.read(|fold| {
            let account = fold.account(caller.account);
            let platform_admin = account.is_some_and(|account| account.platform_admin);
            let member = fold.member_of(name, caller.account);
            (fold.pool(name).cloned(), member, platform_admin)
        });
        let suspended = member.is_some_and(|member| member.suspended);
        let roles = member.filter(|member| !member.suspended).map(|member| member.roles);
        let pool = pool.ok_or(Code::NotFound)?;
        let policy = pool.policy.clone().ok_or(Code::NotFound)?;
        let own_only = match judge(route.act, roles, platform_admin) {
            Verdict::Yes => false,
            Verdict::OwnOnly => true,
            Verdict::Forbidden | Verdict::Hidden if suspended => {
                return Err(Code::MemberSuspended.into());
            }
            Verdict::Forbidden => return Err(Code::Forbidden.into()),
            Verdict::Hidden => return Err(Code::NotFound.into()),
        };
        if pool.state == PoolState::Archived && route.act == Act::Upload {
            return Err(Code::PoolArchived.into());
        }
        let roles = roles.unwrap_or_default();
        Ok(Allowed { pool, policy, roles, own_only, caller: caller.account })
    }
}

/// The one bearer token in the headers (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Result<&str, Refused> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Code::NotSignedIn)?;
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    let (scheme, token) = text.and_then(|text| text.split_once(' ')).ok_or(Code::InvalidToken)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim_start_matches(' '))
    } else {
        Err(Code::InvalidToken.into())
    }
}
