//! What tests put in a log.

use infra::log::Draft;
use schemas::event::{Derived, UploadRepeated};
use schemas::id::{EventId, UploadId};
use schemas::time::LogTime;
use schemas::wire::Attributes;

/// A record that changes no table.
pub(crate) fn record() -> Draft {
    let body: Derived = UploadRepeated { upload: UploadId::from_bits(1), update: None }.into();
    let attributes = Attributes {
        id: EventId::from_bits(1),
        source: "/tests".into(),
        time: LogTime::from_millis(1),
        subject: None,
        cause: None,
    };
    Draft::new("k", &body, attributes)
}
