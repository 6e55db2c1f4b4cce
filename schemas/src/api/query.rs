//! What requests say behind the `?`, and the form of the token endpoint.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::AccountId;
use crate::name::PoolName;
use crate::time::{ObservedAt, SentAt};
use crate::topic::Offset;

/// Which part of a list.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct PageQuery {
    /// `next_cursor` of the page before; the first page without it.
    pub cursor: Option<String>,
    /// Rows in the page, 100 by default and as many as `page_rows_max` at most.
    pub limit: Option<usize>,
}

/// Where notices go on. A stream heeds `after` only.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoticesQuery {
    /// The `id` of the last notice that is known; what happens from now on without it.
    pub after: Option<Offset>,
    /// Notices in the page, 100 by default and as many as `page_rows_max` at most.
    pub limit: Option<usize>,
    /// How long a page waits for a first notice, as long as `claim_wait_ms_max` at most.
    pub wait_ms: Option<u64>,
}

/// What is said of a file that is sent as the body.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadQuery {
    /// What the client calls it: 1 to 255 bytes, no slashes.
    pub name: String,
    /// When the client made it, by its clock.
    pub observed_at: Option<ObservedAt>,
    /// When the client sent it, by its clock.
    pub sent_at: Option<SentAt>,
}

/// What is said of a file by clients of earlier systems.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlierQuery {
    /// The pool; who contributes to one only may leave it out.
    pub pool: Option<PoolName>,
    /// What the client calls it; a form says it in its part.
    pub name: Option<String>,
    /// When the client made it, by its clock.
    pub observed_at: Option<ObservedAt>,
    /// When the client sent it, by its clock.
    pub sent_at: Option<SentAt>,
}

/// What happens when files of an update cannot be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnInvalid {
    /// None is.
    #[default]
    Refuse,
    /// The others are.
    Skip,
}

/// How an update is taken.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateQuery {
    /// What happens when files of it cannot be taken.
    #[serde(default)]
    pub on_invalid: OnInvalid,
}

/// What is said of a result that is sent as the body.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferQuery {
    /// What the worker calls it.
    pub name: String,
    /// The revision it was computed from.
    pub revision: u32,
    /// The lease; left out by external servers that work without one.
    pub epoch: Option<u64>,
    /// The manifest it was computed from.
    pub manifest_sha256: Digest,
}

/// What is said of a correction that is sent as the body.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorrectQuery {
    /// What its giver calls it.
    pub name: String,
}

/// Whose token it is to be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct ValidateQuery {
    /// The account.
    pub user_id: AccountId,
}

/// Which part of which manifest.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct ManifestQuery {
    /// The revision; the newest by default.
    pub revision: Option<u32>,
    /// `next_cursor` of the page before; the first page without it.
    pub cursor: Option<String>,
    /// Rows in the page, 100 by default and as many as `page_rows_max` at most.
    pub limit: Option<usize>,
}

/// Which files.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct ArchiveQuery {
    /// The revision; the newest by default.
    pub revision: Option<u32>,
}

/// Which results.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct ResultsQuery {
    /// Only those after this sequence number.
    pub after: Option<u64>,
    /// `next_cursor` of the page before; the first page without it.
    pub cursor: Option<u64>,
    /// Rows in the page, 100 by default and as many as `page_rows_max` at most.
    pub limit: Option<usize>,
    /// Only those the caller has not acknowledged, or is to get once more.
    pub pending: Option<bool>,
    /// Only those the caller is to get once more: an admin asked for it, and they were not
    /// acknowledged since.
    pub again: Option<bool>,
}

/// Which deliveries.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct DeliveriesQuery {
    /// Only those that have not acknowledged.
    pub missing: Option<bool>,
    /// `next_cursor` of the page before; the first page without it.
    pub cursor: Option<AccountId>,
    /// Rows in the page, 100 by default and as many as `page_rows_max` at most.
    pub limit: Option<usize>,
}

/// `POST /auth/token` (RFC 6749, section 4.3.2). Parameters that mean nothing here are overlooked.
#[derive(Clone, Deserialize, JsonSchema)]
pub struct TokenForm {
    /// `password`, `refresh_token`, `client_credentials`, or
    /// `urn:ietf:params:oauth:grant-type:jwt-bearer` (RFC 7523) where an external issuer is set.
    pub grant_type: String,
    /// A token of the external issuer, for that last one.
    pub assertion: Option<String>,
    /// The user name, for `password`.
    pub username: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// The token, for `refresh_token`.
    pub refresh_token: Option<String>,
    /// The API client, for `client_credentials`; as the user name of Basic authentication as well.
    pub client_id: Option<String>,
    /// Its secret, or the password of Basic authentication.
    pub client_secret: Option<String>,
}

impl std::fmt::Debug for TokenForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenForm { .. }")
    }
}
