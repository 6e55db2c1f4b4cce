//! One example of each type of the audit log.

use super::super::{Audit, AuditOutcome, AuditRecorded};
use super::{client, id, parsed};
use crate::id::ObjectId;

/// One of each type of the audit log.
pub fn audit() -> Vec<Audit> {
    let recorded = AuditRecorded {
        actor: Some(client()),
        act: "fetch-upload".into(),
        pool: Some(parsed("north-sea-buoys")),
        object: Some(ObjectId::from_bits(id(4))),
        outcome: AuditOutcome::Denied,
        reason: Some("not-found".into()),
        platform_admin: false,
        times: 1,
    };
    vec![recorded.into()]
}
