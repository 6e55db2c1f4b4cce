//! What members say of results they have.

use axum::extract;
use infra::http::{Json, Path, Refused};
use infra::identity::Caller;
use schemas::api::{Acknowledge, DeliveryState, Receipt};
use schemas::event::{Delivery, DeliveryAcknowledged, DeliveryFailed};
use schemas::id::ResultId;
use schemas::name::PoolName;
use schemas::route;

use crate::ask::Topics;
use crate::error::Error;
use crate::state::State;

pub(super) async fn acknowledge(
    extract::State(state): extract::State<State>,
    caller: Caller,
    Path((pool, result)): Path<(PoolName, ResultId)>,
    Json(Acknowledge { sha256 }): Json<Acknowledge>,
) -> Result<Json<Receipt>, Refused> {
    let allowed = state.access.allow(&caller, &route::ACKNOWLEDGE, &pool).await?;
    let member = caller.account;
    let known = state.known.result(&pool, result, member).await.map_err(Error::Tables)?;
    let known = known.ok_or(Error::NotFound)?;
    let seq = known.seq;
    let (delivery, recorded) = if sha256 == known.sha256 {
        let event = DeliveryAcknowledged { result, seq, member, sha256 };
        (Delivery::from(event), DeliveryState::Acknowledged)
    } else {
        let event = DeliveryFailed { result, seq, member, sha256 };
        (Delivery::from(event), DeliveryState::Failed)
    };
    let topics = Topics::of(&allowed.pool)?;
    let draft = state.draft(&delivery, Some(result.to_string()));
    state.log.append(&topics.deliveries, vec![draft]).await?;
    Ok(Json(Receipt { result, member, state: recorded }))
}
