//! Calls about pools, their windows and their lives.

use reqwest::header::IF_MATCH;
use schemas::api::{
    ArchivePool, CloseWindow, CreatePool, Page, PolicyView, PoolView, ReleaseUpload, SweepReport,
    WindowView,
};
use schemas::event::OpenWindows;
use schemas::id::UploadId;
use schemas::name::PoolName;
use schemas::policy::PolicyAsk;
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

    /// The newest version of a pool's policy.
    pub async fn policy(&self, pool: &PoolName) -> Result<PolicyView> {
        self.pool_call(route::READ_POLICY, pool, &[]).answer().await
    }

    /// Replaces a pool's policy, from the next window on: this version of it, or whichever is the
    /// newest.
    pub async fn change_policy(
        &self,
        pool: &PoolName,
        version: Option<u32>,
        policy: &PolicyAsk,
    ) -> Result<PolicyView> {
        let tag = version.map_or("*".to_owned(), |version| format!("\"{version}\""));
        let call = self.pool_call(route::CHANGE_POLICY, pool, &[]);
        call.header(IF_MATCH, &tag).json(policy).answer().await
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

    /// Has an upload whose inspections could not be done inspected again.
    pub async fn retry_upload(&self, pool: &PoolName, upload: UploadId) -> Result<()> {
        self.pool_call(route::RETRY_UPLOAD, pool, &[&upload]).done().await
    }

    /// Has windows close no more until the pool is resumed.
    pub async fn pause(&self, pool: &PoolName) -> Result<()> {
        self.pool_call(route::PAUSE_POOL, pool, &[]).done().await
    }

    /// Has windows close again.
    pub async fn resume(&self, pool: &PoolName) -> Result<()> {
        self.pool_call(route::RESUME_POOL, pool, &[]).done().await
    }

    /// Has the pool take nothing more, for ever.
    pub async fn archive(&self, pool: &PoolName, open_windows: OpenWindows) -> Result<()> {
        let ask = ArchivePool { open_windows };
        self.pool_call(route::ARCHIVE_POOL, pool, &[]).json(&ask).done().await
    }
}
