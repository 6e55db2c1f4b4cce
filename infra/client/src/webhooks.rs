//! Calls about a pool's webhooks.

use schemas::api::{MakeWebhook, Page, WebhookSecret, WebhookView};
use schemas::id::WebhookId;
use schemas::name::PoolName;
use schemas::route;

use crate::client::Client;
use crate::error::Result;

impl Client {
    /// Has notices of a pool sent to a target. Not repeated when its outcome is unknown: there
    /// could be two then.
    pub async fn make_webhook(&self, pool: &PoolName, ask: &MakeWebhook) -> Result<WebhookSecret> {
        self.pool_call(route::MAKE_WEBHOOK, pool, &[]).json(ask).answer().await
    }

    /// A pool's webhooks, without their secrets.
    pub async fn webhooks(&self, pool: &PoolName) -> Result<Page<WebhookView>> {
        self.pool_call(route::LIST_WEBHOOKS, pool, &[]).answer().await
    }

    /// Gives a webhook another secret; the one before signs too for a day. Not repeated when its
    /// outcome is unknown: the one before would be another then.
    pub async fn renew_webhook(
        &self,
        pool: &PoolName,
        webhook: WebhookId,
    ) -> Result<WebhookSecret> {
        self.pool_call(route::RENEW_WEBHOOK, pool, &[&webhook]).answer().await
    }

    /// Has a webhook go on where it was.
    pub async fn enable_webhook(&self, pool: &PoolName, webhook: WebhookId) -> Result<()> {
        self.pool_call(route::ENABLE_WEBHOOK, pool, &[&webhook]).repeatable().done().await
    }

    /// Has a webhook send nothing until it is enabled.
    pub async fn disable_webhook(&self, pool: &PoolName, webhook: WebhookId) -> Result<()> {
        self.pool_call(route::DISABLE_WEBHOOK, pool, &[&webhook]).repeatable().done().await
    }

    /// Ends a webhook.
    pub async fn remove_webhook(&self, pool: &PoolName, webhook: WebhookId) -> Result<()> {
        self.pool_call(route::REMOVE_WEBHOOK, pool, &[&webhook]).done().await
    }
}
