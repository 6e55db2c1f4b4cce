//! Calls about pools, their windows and their members.

use schemas::api::{
    AddMember, CloseWindow, CreatePool, IssueToken, IssuedToken, Join, MemberView, Page, PoolView,
    ReleaseUpload, SweepReport, WindowView,
};
use schemas::id::{AccountId, UploadId};
use schemas::name::PoolName;
use schemas::role::RoleSet;
use schemas::route;
use schemas::time::EffectiveAt;

use crate::client::{Client, PageAsk};
use crate::error::Result;
use crate::fresh;

impl Client {
    /// Makes a pool; the caller is its owner.
    pub async fn create_pool(&self, ask: &CreatePool) -> Result<PoolView> {
        self.call(route::CREATE_POOL, &[]).json(ask).key(&fresh::key()).answer().await
    }

    /// What sweeping would remove now; for platform admins.
    pub async fn sweep_report(&self) -> Result<SweepReport> {
        self.call(route::SWEEP, &[]).answer().await
    }

    /// The pools the caller is in.
    pub async fn pools(&self, page: &PageAsk) -> Result<Page<PoolView>> {
        self.call(route::LIST_POOLS, &[]).page(page).answer().await
    }

    /// A pool's rules and the caller's roles in it.
    pub async fn pool(&self, pool: &PoolName) -> Result<PoolView> {
        self.pool_call(route::READ_POOL, pool, &[]).answer().await
    }

    /// A pool's windows, newest first.
    pub async fn windows(&self, pool: &PoolName, page: &PageAsk) -> Result<Page<WindowView>> {
        self.pool_call(route::READ_WINDOWS, pool, &[]).page(page).answer().await
    }

    /// Closes the open windows now, or the one of a moment. A window that has closed stays closed:
    /// a repeat finds nothing to do.
    pub async fn close_window(&self, pool: &PoolName, at: Option<EffectiveAt>) -> Result<()> {
        self.pool_call(route::CLOSE_WINDOW, pool, &[]).json(&CloseWindow { at }).done().await
    }

    /// Has a held file grouped: by `at`, or by its own time.
    pub async fn release(
        &self,
        pool: &PoolName,
        upload: UploadId,
        at: Option<EffectiveAt>,
    ) -> Result<()> {
        let ask = ReleaseUpload { effective_at: at };
        self.pool_call(route::RELEASE_UPLOAD, pool, &[&upload]).json(&ask).done().await
    }

    /// Has a held file never be grouped.
    pub async fn discard(&self, pool: &PoolName, upload: UploadId) -> Result<()> {
        self.pool_call(route::DISCARD_UPLOAD, pool, &[&upload]).done().await
    }

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
}
