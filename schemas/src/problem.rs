//! What a refused request is told: problem details (RFC 9457) with a stable code.
//!
//! A code once released keeps its meaning; each has its heading in docs/errors.md.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The media type of a problem.
pub const CONTENT_TYPE: &str = "application/problem+json";

macro_rules! codes {
    ($($variant:ident $code:literal $status:literal $title:literal, $advice:literal;)*) => {
        /// A stable code of a problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Code {
            $(#[doc = $title] #[serde(rename = $code)] $variant,)*
        }

        impl Code {
            /// All of them, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as text: a kebab word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The HTTP status it is sent with.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// What happened, in a few words, the same every time.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What the caller can do.
            pub fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)* }
            }
        }
    };
}

codes! {
    InvalidRequest "invalid-request" 400 "the request cannot be read",
        "Correct the path, query, headers or body as `detail` says.";
    InvalidJson "invalid-json" 400 "the body is not the JSON expected here",
        "Send UTF-8 JSON with the fields of the OpenAPI document; `detail` says where it differs.";
    LengthMismatch "length-mismatch" 400 "the body's length differs from the one declared",
        "Send as many bytes as declared. Nothing was kept; retry with the same key.";
    DigestMismatch "digest-mismatch" 400 "the bytes have another digest than declared",
        "The body changed on its way or the digest is wrong. Nothing was kept; retry with the same key.";
    UnsupportedDigest "unsupported-digest" 400 "no digest in the header can be checked",
        "Use `sha-256` in Content-Digest or Repr-Digest (RFC 9530).";
    MalformedMultipart "malformed-multipart" 400 "the multipart body cannot be read",
        "Send multipart/form-data: first the part `manifest` (JSON), then one part `file` per item, in its order.";
    NotSignedIn "not-signed-in" 401 "this needs a signed-in account",
        "Send `Authorization: Bearer <access token>`.";
    InvalidToken "invalid-token" 401 "the access token is not valid",
        "It has expired, was signed out or is not ours. Sign in again.";
    InvalidCredentials "invalid-credentials" 401 "the name or the password is wrong",
        "Check both; the answer is the same whichever is wrong.";
    Forbidden "forbidden" 403 "your role in this pool does not allow this",
        "Ask an owner or admin of the pool for the role; docs/api.md has the table.";
    MemberSuspended "member-suspended" 403 "your membership of this pool is suspended",
        "Ask an owner or admin of the pool. What waits for you stays.";
    AccountDisabled "account-disabled" 403 "the account is disabled",
        "Ask the operator of the installation.";
    SignUpClosed "sign-up-closed" 403 "nobody may sign up here like this",
        "Ask an admin of a pool for a join token and redeem it as a device, or ask the operator.";
    WrongUser "wrong-user" 403 "the token is another user's",
        "Ask about the user the token was issued to.";
    PoolQuotaExceeded "pool-quota-exceeded" 403 "the pool may not hold more",
        "An admin of the pool can raise its quota; where the pool keeps files for a time only, there is room once that is over.";
    MemberQuotaExceeded "member-quota-exceeded" 403 "the pool takes no more from this member",
        "An admin of the pool can raise the quota of members; where the pool keeps files for a time only, there is room once that is over.";
    NotFound "not-found" 404 "there is no such thing, or you may not know of it",
        "Check the path and the ids. What belongs to pools you are not in is not found either.";
    MethodNotAllowed "method-not-allowed" 405 "this resource does not have that method",
        "See the `Allow` header.";
    SlowBody "slow-body" 408 "the body paused for too long",
        "Nothing was kept; retry with the same key, over a better line or in smaller files.";
    NameTaken "name-taken" 409 "the user name is taken",
        "Choose another.";
    PoolNameTaken "pool-name-taken" 409 "the pool name is taken, or was once",
        "Choose another: names of pools are never used again.";
    UploadInProgress "upload-in-progress" 409 "the same upload is being received already",
        "Wait for the other request to end, then retry with the same key.";
    StaleLease "stale-lease" 409 "the lease has ended or another worker holds a later one",
        "Drop the work and claim again.";
    OtherManifest "other-manifest" 409 "the result was computed from another manifest",
        "Fetch the manifest of the revision and compute from that.";
    ResultExists "result-exists" 409 "that revision, or a later one, has a result",
        "Nothing to do: the work was done by another worker.";
    ResultSuperseded "result-superseded" 409 "another result has taken its place",
        "Read the batch for its newest result, and correct that.";
    ResultSettled "result-settled" 409 "the result's batch is past: nothing takes the place of its result any more",
        "No late file can reach its window either. It can be withdrawn.";
    NoOpenWindow "no-open-window" 409 "no window with files in it is open",
        "Nothing to do: send files first.";
    RangeEmpty "range-empty" 409 "no accepted file lies in the range",
        "Ask for another range, or send files first.";
    RangeUnknown "range-unknown" 409 "the request has been forgotten, or pages of its list are missing",
        "Ask again under a new id.";
    RangesFull "ranges-full" 409 "as many ranges are being worked on as may be",
        "Wait until workers have done some of them.";
    PoliciesFull "policies-full" 409 "too many versions of the policy still have windows that take files",
        "Wait until windows of the oldest versions are older than `late_allowed_ms`.";
    NotFailed "not-failed" 409 "nothing of it has failed, or too long ago",
        "A batch is retried once it was given up, an upload once it could not be inspected; the state of each says what it is.";
    RetriesUsedUp "retries-used-up" 409 "its sender has had the upload retried as often as it may",
        "An admin of the pool can have it retried.";
    NotHeld "not-held" 409 "no such upload is held",
        "It was released or discarded before, or was never held.";
    BytesMissing "bytes-missing" 409 "the store has no bytes of this file any more",
        "Discard it, and have its client send it again under another key.";
    PoolPaused "pool-paused" 409 "the pool is paused: no window closes",
        "Resume it first.";
    LastOwner "last-owner" 409 "the last owner of a pool cannot leave it",
        "Make another member an owner first.";
    MembersFull "members-full" 409 "the pool has as many members as it may have",
        "Remove members, or make another pool: 100,000 is the most.";
    TokensFull "tokens-full" 409 "the pool has as many join tokens as it may have",
        "Wait until some have been redeemed or have run out.";
    PoolsFull "pools-full" 409 "the installation has as many pools as it may have",
        "Raise the limit `pools_max`.";
    AccountsFull "accounts-full" 409 "the installation has as many accounts as it may have",
        "Raise the limit `accounts_max`.";
    WebhooksFull "webhooks-full" 409 "there are as many webhooks as there may be",
        "Remove one, or have the operator raise `pool_webhooks_max` or `webhooks_max`.";
    TokenUsedUp "token-used-up" 410 "the join token has been redeemed as often as it may be",
        "Ask an admin of the pool for a new one.";
    TokenExpired "token-expired" 410 "the join token has run out",
        "Ask an admin of the pool for a new one.";
    TokenRevoked "token-revoked" 410 "the join token was revoked",
        "Ask an admin of the pool for a new one.";
    PoolArchived "pool-archived" 410 "the pool is archived: it takes nothing more",
        "Read what is there; send files to another pool.";
    ContentErased "content-erased" 410 "the bytes were kept for as long as the pool keeps them",
        "Nothing to do: what is known of the file stays in history, its bytes are gone.";
    ResultWithdrawn "result-withdrawn" 410 "the result was withdrawn",
        "Do not use it if you have it. A correction, or a later result, will be told as one of its own.";
    LengthRequired "length-required" 411 "the length of the body must be declared",
        "Send Content-Length: files are checked against limits before their first byte is read.";
    PolicyStale "policy-stale" 412 "the policy was changed since you read it",
        "Read it again, and send the change with the new ETag in If-Match.";
    FileTooLarge "file-too-large" 413 "the file is larger than the pool allows",
        "Send smaller files, or ask an admin to raise `file_bytes_max` in the pool's policy.";
    RangeTooLarge "range-too-large" 413 "the range has more files than one batch may have",
        "Ask for several shorter ranges: 10,000 files are the most.";
    BodyTooLarge "body-too-large" 413 "the body is larger than allowed here",
        "See docs/config.md for the limits.";
    UpdateTooLarge "update-too-large" 413 "the update has too many files, bytes or too long references",
        "Send several updates.";
    UnsupportedMediaType "unsupported-media-type" 415 "the body's media type is not the one expected",
        "Send the Content-Type that the OpenAPI document names.";
    ForbiddenFileType "forbidden-file-type" 415 "files of this type are not taken here",
        "Executables and scripts never are; the pool's policy may name the media types it takes.";
    RangeNotSatisfiable "range-not-satisfiable" 416 "the range lies outside the file",
        "See Content-Range for its length.";
    InvalidField "invalid-field" 422 "some fields have values that cannot be",
        "Correct each field named in `errors`.";
    ForbiddenTarget "forbidden-target" 422 "nothing is sent to this target",
        "Name an https:// address that everybody can reach; `detail` says what is wrong with this one.";
    EmptyFile "empty-file" 422 "the file is empty",
        "Send a file with at least one byte.";
    InvalidFileName "invalid-file-name" 422 "the file's name cannot be used",
        "1 to 255 bytes of UTF-8, no slashes, control or direction characters.";
    TypeMismatch "type-mismatch" 422 "the file's content is of another type than declared",
        "Declare the type the bytes have, or application/octet-stream.";
    IdempotencyKeyReused "idempotency-key-reused" 422 "the idempotency key was used with other content",
        "Use a new key for new content.";
    UpdateInvalid "update-invalid" 422 "some files of the update cannot be taken, so none was",
        "Correct the items in `errors`, or send `?on_invalid=skip` to have the others taken.";
    WeakPassword "weak-password" 422 "the password is too short or too long",
        "8 to 256 characters; longer is better.";
    IfMatchRequired "if-match-required" 428 "the request must say which version it changes",
        "Read it first, and send its ETag in If-Match; `*` replaces any version.";
    RateLimited "rate-limited" 429 "too many requests come from this address",
        "Nothing was done. Retry after the time in Retry-After; `RateLimit` in every answer tells how many are left.";
    QuotaReserved "quota-reserved" 429 "uploads under way have the rest of the quota",
        "Nothing was taken. Retry after the time in Retry-After: some of them may fail or be smaller.";
    Internal "internal" 500 "something failed on our side",
        "Retry with the same idempotency key; report the `request_id` if it stays.";
    Unavailable "unavailable" 503 "a part of the service cannot be reached",
        "Nothing was changed. Retry after the time in Retry-After.";
    OutcomeUnknown "outcome-unknown" 503 "whether the request took effect is not known",
        "Retry with the same idempotency key: if it did, the answer is the same.";
    PositionNotReached "position-not-reached" 503 "the tables have not reached the position asked for",
        "Retry, or read without Sluice-Position.";
    TooBusy "too-busy" 503 "as many requests of this kind are under way as are allowed",
        "Retry after the time in Retry-After.";
    StorageFull "storage-full" 507 "there is no room for the file",
        "Nothing was kept. The operator must make room; retry later.";
}

/// The body of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Where the code is explained: a URI reference.
    #[serde(rename = "type")]
    pub kind: String,
    /// The stable code.
    pub code: Code,
    /// What happened, the same every time.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What was wrong where, when several things were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Names this request in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Seconds after which a retry may help; sent as Retry-After too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u32>,
}

/// One thing that was wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldError {
    /// Where, as a JSON Pointer (RFC 6901).
    pub pointer: String,
    /// What.
    pub detail: String,
    /// The code it would have had alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

impl Problem {
    /// A problem with this code.
    pub fn new(code: Code) -> Self {
        Self {
            kind: format!("/docs/errors#{}", code.as_str()),
            code,
            title: code.title().to_owned(),
            status: code.status(),
            detail: None,
            errors: Vec::new(),
            request_id: None,
            retry_after_s: matches!(code.status(), 429 | 503 | 507).then_some(1),
        }
    }

    /// With what happened this time, unless that is what the title says.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into()).filter(|detail| *detail != self.title);
        self
    }

    /// With what was wrong where.
    pub fn errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_kebab_words() {
        let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        for code in Code::ALL {
            let text = code.as_str();
            assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{text}");
            assert_eq!(serde_json::to_string(code).unwrap(), format!("\"{text}\""));
            assert!((400..600).contains(&code.status()), "{text}");
            assert!(code.advice().ends_with('.') && !code.title().ends_with('.'), "{text}");
        }
    }

    #[test]
    fn a_problem_leaves_out_what_it_has_not() {
        let problem = Problem::new(Code::EmptyFile).detail("0 bytes");
        assert_eq!(
            serde_json::to_string(&problem).unwrap(),
            r#"{"type":"/docs/errors#empty-file","code":"empty-file","title":"the file is empty","status":422,"detail":"0 bytes"}"#
        );
        let twice = Problem::new(Code::EmptyFile).detail("the file is empty");
        assert_eq!(twice.detail, None, "nothing is said twice");
    }
}
