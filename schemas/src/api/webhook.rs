//! Webhooks: notices sent to a target of a pool's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{AccountId, WebhookId};
use crate::time::Wall;
use crate::topic::Offset;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $variant:ident $word:literal;)*) => {
        /// What a notice is of.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
        )]
        pub enum NoticeKind {
            $($(#[doc = $doc])* #[serde(rename = $word)] $variant,)*
        }

        impl NoticeKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

kinds! {
    /// A file was put into a window.
    Accepted "accepted";
    /// A file has come, and is inspected before it is grouped.
    Received "received";
    /// A file failed its inspection.
    Rejected "rejected";
    /// An attempt at an upload failed.
    UploadAttemptFailed "upload-attempt-failed";
    /// The last attempt at an upload failed.
    UploadFailed "upload-failed";
    /// A file is held.
    Held "held";
    /// A held file was discarded.
    Discarded "discarded";
    /// An upload was refused.
    Refused "refused";
    /// A worker's attempt ended without a result.
    AttemptFailed "attempt-failed";
    /// A batch can be worked on.
    Batch "batch";
    /// A batch was given up.
    BatchFailed "batch-failed";
    /// A batch that was given up can be worked on again.
    BatchRetried "batch-retried";
    /// A batch will not be worked on.
    BatchCancelled "batch-cancelled";
    /// A window had less than the pool asks for.
    Skipped "skipped";
    /// A result is there.
    Result "result";
    /// A result was withdrawn.
    ResultWithdrawn "result-withdrawn";
    /// Results are to be delivered once more.
    Redelivery "redelivery";
    /// The pool was paused, resumed or archived.
    Pool "pool";
    /// A member is suspended.
    Suspended "suspended";
    /// A member belongs to the pool no longer.
    Removed "removed";
}

/// The text was no kind of notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no notice of this kind; docs/webhooks.md has them")]
pub struct NotAKind;

impl std::str::FromStr for NoticeKind {
    type Err = NotAKind;
    fn from_str(text: &str) -> Result<Self, NotAKind> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text).ok_or(NotAKind)
    }
}

/// Has notices of a pool sent to a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MakeWebhook {
    /// Where to: `https://…`, on an address that everybody can reach.
    pub url: String,
    /// Notices of which kinds; of all but `accepted` when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notices: Option<Vec<NoticeKind>>,
}

/// A webhook with the secret that signs what is sent to it. Shown once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookSecret {
    /// The webhook.
    pub webhook: WebhookId,
    /// `whsec_` and the key in base64 (Standard Webhooks).
    pub secret: String,
    /// Until when the secret before signs too, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_secret_until: Option<Wall>,
}

/// Whether anything is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WebhookState {
    /// As it happens.
    Active,
    /// The last try failed; the same is tried again.
    Failing,
    /// Nothing: an admin said so.
    Disabled,
    /// Nothing: the target said that it is gone (410).
    Gone,
    /// Nothing: it failed for as long as is tried.
    GivenUp,
}

/// A webhook as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookView {
    /// Its id.
    pub webhook: WebhookId,
    /// Where to.
    pub url: String,
    /// Notices of these kinds.
    pub notices: Vec<NoticeKind>,
    /// Whether anything is sent.
    pub state: WebhookState,
    /// Who made it.
    pub made_by: AccountId,
    /// When.
    pub made_at: Wall,
    /// The first record that it has not been told of; none before it was told of any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Offset>,
    /// Tries in a row that failed.
    pub failures: u32,
    /// When the next try is due, while they fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Wall>,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Until when the secret before signs too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_secret_until: Option<Wall>,
}

/// What is sent: thin, with ids and paths (Standard Webhooks 1.0).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookBody {
    /// What the notice is of.
    #[serde(rename = "type")]
    pub kind: NoticeKind,
    /// When it happened, by the pool's log.
    pub timestamp: crate::time::LogTime,
    /// What it says: always `pool`, `id` (its position), `position` (send it back as
    /// `Sluice-Position` with a read) and `url`; and ids, by their kind.
    pub data: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_words_they_are_written_with() {
        for kind in NoticeKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{}\"", kind.as_str()));
        }
        assert_eq!("everything".parse::<NoticeKind>(), Err(NotAKind));
    }
}
