//! Bodies of requests and answers: what server, command line, worker and tests share.
//!
//! JSON in snake case; unknown fields in a request are refused, in an answer to be ignored.

mod account;
mod audit;
mod batch;
mod notice;
mod pool;
mod query;
mod receipt;
mod result;
mod sweep;
mod upload;

pub use account::{
    ClientSecret, ClientView, Credentials, MakeClient, SignUp, SignedIn, TokenAnswer, Validated,
};
pub use audit::{AuditQuery, AuditView, FilesQuery};
pub use batch::{
    BatchFile, BatchView, Claim, Fail, Lease, LeaseView, ManifestView, Renew, RequestBatch,
    RequestedBatch, RevisionView,
};
pub use notice::{Notice, Noticed};
pub use pool::{
    AddMember, ArchivePool, CloseWindow, CreatePool, GiveAway, Held, IssueToken, IssuedToken, Join,
    JoinDevice, JoinedDevice, MemberView, PolicyView, PoolView, TokenView, WindowState, WindowView,
};
pub use query::{
    ArchiveQuery, DeliveriesQuery, EarlierQuery, ManifestQuery, OfferQuery, OnInvalid, PageQuery,
    ResultsQuery, TokenForm, UpdateQuery, UploadQuery, ValidateQuery,
};
pub use receipt::{RECEIPT_TYPE, Stated, StatedOf};
pub use result::{
    Acknowledge, DeliveriesView, DeliveryState, DeliveryView, Receipt, ResultReceipt, ResultView,
};
pub use sweep::SweepReport;
pub use upload::{
    Content, Landing, ReleaseUpload, UpdateItem, UpdateManifest, UpdateReceipt, UploadReceipt,
    UploadState, UploadView,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Header of an answer to a write: `<pool>:<offset>`. A read that sends it back waits until the
/// tables have it.
pub const POSITION_HEADER: &str = "sluice-position";

/// Header that names a request, so that a retry is known as one
/// (draft-ietf-httpapi-idempotency-key-header-07).
pub const IDEMPOTENCY_HEADER: &str = "idempotency-key";

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Send it back as `cursor` for what follows; none at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}
