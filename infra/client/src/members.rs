//! Calls about who belongs to a pool, and the tokens by which others join.

use schemas::api::{
    AddMember, GiveAway, IssueToken, IssuedToken, Join, JoinDevice, JoinedDevice, MemberView, Page,
    TokenView,
};
use schemas::id::{AccountId, TokenId};
use schemas::name::PoolName;
use schemas::role::RoleSet;
use schemas::route;

use crate::client::{Client, PageAsk};
use crate::error::Result;

impl Client {
    /// Who belongs to a pool.
    pub async fn members(&self, pool: &PoolName, page: &PageAsk) -> Result<Page<MemberView>> {
        self.pool_call(route::LIST_MEMBERS, pool, &[]).page(page).answer().await
    }

    /// Makes an account a member with these roles, or gives a member these roles.
    pub async fn add_member(
        &self,
        pool: &PoolName,
        account: AccountId,
        roles: RoleSet,
    ) -> Result<()> {
        self.pool_call(route::ADD_MEMBER, pool, &[&account]).json(&AddMember { roles }).done().await
    }

    /// Ends a membership.
    pub async fn remove_member(&self, pool: &PoolName, account: AccountId) -> Result<()> {
        self.pool_call(route::REMOVE_MEMBER, pool, &[&account]).done().await
    }

    /// Issues a join token. Not repeated when its outcome is unknown: there could be two then. One
    /// that is not good yet becomes so shortly.
    pub async fn issue_token(&self, pool: &PoolName, ask: &IssueToken) -> Result<IssuedToken> {
        self.pool_call(route::ISSUE_TOKEN, pool, &[]).json(ask).even_pending().answer().await
    }

    /// Redeems a join token. Not repeated when its outcome is unknown: it could be used up twice.
    pub async fn join(&self, pool: &PoolName, token: &str) -> Result<()> {
        let body = Join { token: token.to_owned() };
        self.pool_call(route::JOIN, pool, &[]).json(&body).done().await
    }

    /// Has a member do nothing until it is resumed.
    pub async fn suspend_member(&self, pool: &PoolName, account: AccountId) -> Result<()> {
        self.pool_call(route::SUSPEND_MEMBER, pool, &[&account]).done().await
    }

    /// Has a suspended member go on.
    pub async fn resume_member(&self, pool: &PoolName, account: AccountId) -> Result<()> {
        self.pool_call(route::RESUME_MEMBER, pool, &[&account]).done().await
    }

    /// Makes another member the owner in the caller's place.
    pub async fn give_away(&self, pool: &PoolName, account: AccountId) -> Result<()> {
        self.pool_call(route::GIVE_AWAY, pool, &[]).json(&GiveAway { account }).done().await
    }

    /// A pool's join tokens, without their secrets.
    pub async fn join_tokens(&self, pool: &PoolName, page: &PageAsk) -> Result<Page<TokenView>> {
        self.pool_call(route::LIST_TOKENS, pool, &[]).page(page).answer().await
    }

    /// Has a join token be good no longer.
    pub async fn revoke_token(&self, pool: &PoolName, token: TokenId) -> Result<()> {
        self.pool_call(route::REVOKE_TOKEN, pool, &[&token]).done().await
    }

    /// Redeems a join token without an account. One whose ask names user and password may be
    /// repeated.
    pub async fn join_device(&self, pool: &PoolName, ask: &JoinDevice) -> Result<JoinedDevice> {
        self.pool_call(route::JOIN_DEVICE, pool, &[]).json(ask).answer().await
    }
}
