//! The record of an output: the same output gives the same bytes, whoever writes it and when.

use infra::log::Draft;
use schemas::id::{EventId, PoolId};
use schemas::name::PoolName;
use schemas::wire::Attributes;

use crate::fold::Output;

/// The record of `output` of the pool of this name and id.
pub fn draft(name: &PoolName, pool: Option<PoolId>, output: &Output) -> Draft {
    let cause = output.cause;
    let pool = pool.unwrap_or(PoolId::from_bits(0));
    let subject = output.body.subject();
    let key = subject.clone().unwrap_or_default();
    let attributes = Attributes {
        id: EventId::derived(pool, cause.offset, cause.index),
        source: format!("/sluice/pools/{name}").into(),
        time: output.time,
        subject,
        cause: Some(cause),
    };
    Draft::new(key, &output.body, attributes)
}
