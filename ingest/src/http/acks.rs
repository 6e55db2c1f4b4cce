//! What members say of results they have.

use axum::extract;
use infra::http::{Json, Path, Refused};
use infra::identity::Caller;
use infra::known::KnownDelivery;
use schemas::api::{Acknowledge, DeliveryState, Receipt, StatedOf};
use schemas::event::{Delivery, DeliveryAcknowledged, DeliveryFailed};
use schemas::id::ResultId;
use schemas::name::PoolName;
use schemas::route;
use schemas::time::Wall;

use crate::ask::Topics;
use crate::error::Error;
use crate::receipt::Fact;
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
    let topics = Topics::of(&allowed.pool)?;
    if sha256 != known.sha256 {
        let event = DeliveryFailed { result, seq, member, sha256 };
        state.say_delivery(&topics, result, event.into()).await?;
        let state = DeliveryState::Failed;
        return Ok(Json(Receipt { result, member, state, receipt: None }));
    }
    let had = state.acknowledged.get(result, member);
    let had = match had {
        Some(had) => Some(had),
        // Tables that cannot tell cost a second event of the same meaning, and no more.
        None => state.known.acknowledged(result, member).await.ok().flatten(),
    };
    let redelivery = state.known.asked_again(&pool, &known, member).await.ok().flatten();
    let event = DeliveryAcknowledged { result, seq, member, sha256, redelivery };
    let delivery = match (had, redelivery) {
        (Some(had), None) => had,
        // It has it once more; the receipt is that of the first time.
        (Some(had), Some(_)) => {
            state.say_delivery(&topics, result, event.into()).await?;
            had
        }
        (None, _) => state.say_delivery(&topics, result, event.into()).await?,
    };
    state.acknowledged.put(result, member, delivery);
    let fact = Fact {
        of: StatedOf::Delivery { result, member },
        sha256,
        size_bytes: None,
        topic: &topics.deliveries,
        offset: delivery.offset,
        at: Wall::from_millis(delivery.at.millis()),
    };
    let receipt = state.attest(&allowed.policy, fact);
    Ok(Json(Receipt { result, member, state: DeliveryState::Acknowledged, receipt }))
}

impl State {
    /// Says what a member told of a result.
    async fn say_delivery(
        &self,
        topics: &Topics,
        result: ResultId,
        delivery: Delivery,
    ) -> Result<KnownDelivery, Error> {
        let draft = self.draft(&delivery, Some(result.to_string()));
        let appended = self.log.append(&topics.deliveries, vec![draft]).await?;
        Ok(KnownDelivery { offset: appended.last, at: appended.at })
    }
}
