//! The webhooks of a pool, and how each fares.

use axum::extract::State;
use infra::http::{Json, Path, Refused};
use infra::identity::Caller;
use infra::webhooks::Webhook;
use schemas::api::{Page, WebhookView};
use schemas::name::PoolName;
use schemas::route;

use super::Reading;

/// All of them: there are few.
pub(super) async fn list(
    State(reading): State<Reading>,
    caller: Caller,
    Path(pool): Path<PoolName>,
) -> Result<Json<Page<WebhookView>>, Refused> {
    reading.access.allow(&caller, &route::LIST_WEBHOOKS, &pool).await?;
    let all = reading.webhooks.of_pool(&pool).await?;
    let items = all.iter().map(Webhook::view).collect();
    Ok(Json(Page { items, next_cursor: None }))
}
