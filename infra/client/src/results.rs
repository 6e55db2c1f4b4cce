//! Calls about results and their deliveries.

use std::path::Path;

use schemas::api::{
    Acknowledge, DeliveriesView, Page, Receipt, Redeliver, ResultReceipt, ResultView,
};
use schemas::digest::Digest;
use schemas::id::ResultId;
use schemas::name::PoolName;
use schemas::route;

use crate::client::{Client, PageAsk};
use crate::error::Result;
use crate::fetch::Wanted;
use crate::source::Progress;
use crate::work::Offer;

impl Client {
    /// Results after a sequence number, oldest first; from the first one on when there is none.
    pub async fn results_after(
        &self,
        pool: &PoolName,
        after: Option<u64>,
        page: &PageAsk,
    ) -> Result<Page<ResultView>> {
        self.pool_call(route::LIST_RESULTS, pool, &[])
            .query("after", after)
            .page(page)
            .answer()
            .await
    }

    /// Results the caller has not acknowledged, oldest first.
    pub async fn pending_results(
        &self,
        pool: &PoolName,
        page: &PageAsk,
    ) -> Result<Page<ResultView>> {
        self.pool_call(route::LIST_RESULTS, pool, &[])
            .query("pending", Some(true))
            .page(page)
            .answer()
            .await
    }

    /// Results an admin asked to be delivered once more and the caller has not acknowledged since.
    pub async fn results_again(&self, pool: &PoolName, page: &PageAsk) -> Result<Page<ResultView>> {
        self.pool_call(route::LIST_RESULTS, pool, &[])
            .query("again", Some(true))
            .page(page)
            .answer()
            .await
    }

    /// Puts a file in the place of a result, the newest of its batch. The same again changes
    /// nothing.
    pub async fn correct_result(
        &self,
        pool: &PoolName,
        result: ResultId,
        offer: &Offer,
    ) -> Result<ResultReceipt> {
        self.pool_call(route::CORRECT_RESULT, pool, &[&result])
            .query("name", Some(&offer.name))
            .file(offer)
            .answer()
            .await
    }

    /// Has a result be given out no more.
    pub async fn withdraw_result(&self, pool: &PoolName, result: ResultId) -> Result<()> {
        self.pool_call(route::WITHDRAW_RESULT, pool, &[&result]).repeatable().done().await
    }

    /// Has results be delivered once more.
    pub async fn redeliver(&self, pool: &PoolName, ask: &Redeliver) -> Result<()> {
        self.pool_call(route::REDELIVER, pool, &[]).json(ask).repeatable().done().await
    }

    /// The result of the greatest window, part and revision. `not-found` while there is none.
    pub async fn latest_result(&self, pool: &PoolName) -> Result<ResultView> {
        self.pool_call(route::LATEST_RESULT, pool, &[]).answer().await
    }

    /// One result.
    pub async fn read_result(&self, pool: &PoolName, result: ResultId) -> Result<ResultView> {
        self.pool_call(route::READ_RESULT, pool, &[&result]).answer().await
    }

    /// Fetches a result's bytes to `to`.
    pub async fn fetch_result(
        &self,
        pool: &PoolName,
        result: &ResultView,
        to: &Path,
        progress: &Progress,
    ) -> Result<()> {
        let call = self.pool_call(route::FETCH_RESULT, pool, &[&result.result]);
        let wanted = Wanted { size_bytes: result.size_bytes, sha256: result.sha256 };
        self.fetch(call, wanted, to, progress).await
    }

    /// Says that the caller has a result, and with which digest. A repeat changes nothing.
    pub async fn acknowledge(
        &self,
        pool: &PoolName,
        result: ResultId,
        sha256: Digest,
    ) -> Result<Receipt> {
        let call = self.pool_call(route::ACKNOWLEDGE, pool, &[&result]);
        call.json(&Acknowledge { sha256 }).repeatable().answer().await
    }

    /// Who has a result, and who has not.
    pub async fn deliveries(
        &self,
        pool: &PoolName,
        result: ResultId,
        missing_only: bool,
        page: &PageAsk,
    ) -> Result<DeliveriesView> {
        self.pool_call(route::READ_DELIVERIES, pool, &[&result])
            .query("missing", missing_only.then_some(true))
            .page(page)
            .answer()
            .await
    }
}
