//! What a notice is to a target: thin, ids and paths. Pure.

use schemas::api::{Notice, NoticeKind, WebhookBody};
use schemas::name::PoolName;
use schemas::time::LogTime;
use schemas::topic::Offset;
use serde_json::{Value, json};

/// Where and when a notice was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Where<'a> {
    pub(super) pool: &'a PoolName,
    pub(super) id: Offset,
    /// The event it follows from.
    pub(super) cause: Offset,
    pub(super) at: LogTime,
    /// What paths begin with: `https://sluice.example`, or nothing.
    pub(super) public_url: &'a str,
}

/// `None` for what no webhook is told.
pub(super) fn kind(notice: &Notice) -> Option<NoticeKind> {
    Some(match notice {
        Notice::Accepted { .. } => NoticeKind::Accepted,
        Notice::Received { .. } => NoticeKind::Received,
        Notice::Rejected { .. } => NoticeKind::Rejected,
        Notice::UploadAttemptFailed { .. } => NoticeKind::UploadAttemptFailed,
        Notice::UploadFailed { .. } => NoticeKind::UploadFailed,
        Notice::Held { .. } => NoticeKind::Held,
        Notice::Discarded { .. } => NoticeKind::Discarded,
        Notice::Refused { .. } => NoticeKind::Refused,
        Notice::AttemptFailed { .. } => NoticeKind::AttemptFailed,
        Notice::Batch { .. } => NoticeKind::Batch,
        Notice::BatchFailed { .. } => NoticeKind::BatchFailed,
        Notice::BatchRetried { .. } => NoticeKind::BatchRetried,
        Notice::BatchCancelled { .. } => NoticeKind::BatchCancelled,
        Notice::Skipped { .. } => NoticeKind::Skipped,
        Notice::Result { .. } => NoticeKind::Result,
        Notice::ResultWithdrawn { .. } => NoticeKind::ResultWithdrawn,
        Notice::Redelivery { .. } => NoticeKind::Redelivery,
        Notice::Pool { .. } => NoticeKind::Pool,
        Notice::Suspended { .. } => NoticeKind::Suspended,
        Notice::Removed { .. } => NoticeKind::Removed,
        Notice::WebhookEnded { .. } => return None,
    })
}

/// `None` for what no webhook is told.
pub(super) fn body(at: Where<'_>, notice: &Notice) -> Option<WebhookBody> {
    let kind = kind(notice)?;
    let (mut data, path) = of_upload(notice).or_else(|| of_batch(notice))?;
    let Where { pool, id, cause, at, public_url } = at;
    if let Value::Object(data) = &mut data {
        data.retain(|_, value| !value.is_null());
        data.insert("pool".to_owned(), json!(pool));
        data.insert("id".to_owned(), json!(id));
        data.insert("position".to_owned(), json!(format!("{pool}:{cause}")));
        data.insert("url".to_owned(), json!(format!("{public_url}/v1/pools/{pool}{path}")));
    }
    Some(WebhookBody { kind, timestamp: at, data })
}

/// What is told of an upload, and where more is told.
fn of_upload(notice: &Notice) -> Option<(Value, String)> {
    Some(match notice {
        Notice::Accepted { upload, name, placed } => {
            let data = json!({ "upload": upload, "name": name, "placed": placed });
            (data, format!("/uploads/{upload}"))
        }
        Notice::Received { upload, name } => {
            (json!({ "upload": upload, "name": name }), format!("/uploads/{upload}"))
        }
        // Not what is wrong with it: that list can be long.
        Notice::Rejected { upload, client, name, .. } => {
            let data = json!({ "upload": upload, "client": client, "name": name });
            (data, format!("/uploads/{upload}"))
        }
        Notice::UploadAttemptFailed { upload, client, name, attempts, stage, reason }
        | Notice::UploadFailed { upload, client, name, attempts, stage, reason } => {
            let data = json!({
                "upload": upload, "client": client, "name": name, "attempts": attempts,
                "stage": stage, "reason": reason,
            });
            (data, format!("/uploads/{upload}"))
        }
        Notice::Held { upload, client, name, reason } => {
            let data =
                json!({ "upload": upload, "client": client, "name": name, "reason": reason });
            (data, format!("/uploads/{upload}"))
        }
        Notice::Discarded { upload, by } => {
            (json!({ "upload": upload, "by": by }), format!("/uploads/{upload}"))
        }
        Notice::Refused { upload, client } => {
            (json!({ "upload": upload, "client": client }), format!("/uploads/{upload}"))
        }
        _ => return None,
    })
}

/// What is told of anything else.
fn of_batch(notice: &Notice) -> Option<(Value, String)> {
    Some(match notice {
        Notice::AttemptFailed { batch, revision, reason, attempts } => {
            let data = json!({
                "batch": batch, "revision": revision, "reason": reason, "attempts": attempts,
            });
            (data, format!("/batches/{batch}"))
        }
        Notice::Batch { closed } => {
            // Not who is missing: that list can be long.
            let (batch, revision) = (closed.batch, closed.revision);
            let data = json!({
                "batch": batch, "revision": revision, "part": closed.part,
                "window": closed.window, "files": closed.files, "bytes": closed.bytes,
                "manifest_sha256": closed.manifest_sha256,
            });
            (data, format!("/batches/{batch}"))
        }
        Notice::BatchFailed { batch, reason } => {
            (json!({ "batch": batch, "reason": reason }), format!("/batches/{batch}"))
        }
        Notice::BatchCancelled { batch, revision } => {
            (json!({ "batch": batch, "revision": revision }), format!("/batches/{batch}"))
        }
        Notice::BatchRetried { batch, revision, by } => {
            let data = json!({ "batch": batch, "revision": revision, "by": by });
            (data, format!("/batches/{batch}"))
        }
        Notice::Skipped { window, batch, files } => {
            (json!({ "window": window, "batch": batch, "files": files }), "/windows".to_owned())
        }
        Notice::ResultWithdrawn { result, batch } => {
            (json!({ "result": result, "batch": batch }), format!("/results/{result}"))
        }
        Notice::Redelivery { from_seq } => (json!({ "from_seq": from_seq }), "/results".to_owned()),
        Notice::Result { result } => {
            let data = json!({
                "result": result.result, "seq": result.seq, "batch": result.batch,
                "revision": result.revision, "part": result.part, "window": result.window,
                "supersedes": result.supersedes, "name": result.name,
                "media_type": result.media_type, "size_bytes": result.size_bytes,
                "sha256": result.sha256,
            });
            (data, format!("/results/{}", result.result))
        }
        Notice::Pool { state } => (json!({ "state": state }), String::new()),
        Notice::Suspended { account } | Notice::Removed { account } => {
            (json!({ "account": account }), "/members".to_owned())
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notices::notice;
    use schemas::event::example;

    #[test]
    fn every_notice_is_thin_and_says_what_it_is() {
        let pool: PoolName = "tests".parse().unwrap();
        let mut kinds = std::collections::BTreeSet::new();
        for derived in example::derived() {
            let at = LogTime::from_millis(1_000);
            let Some((_, name, notice)) = notice(&pool, 7, at, &derived) else { continue };
            let public_url = "https://sluice.example";
            let at = Where { pool: &pool, id: 7, cause: 4, at, public_url };
            let body = body(at, &notice).unwrap();
            assert_eq!(body.kind.as_str(), name);
            let text = serde_json::to_string(&body).unwrap();
            assert!(text.len() < 2_000, "{text}");
            assert!(text.starts_with(&format!("{{\"type\":\"{name}\",\"timestamp\":\"1970-")));
            let url = body.data["url"].as_str().unwrap();
            assert!(url.starts_with("https://sluice.example/v1/pools/tests"), "{url}");
            assert_eq!((&body.data["id"], &body.data["position"]), (&json!(7), &json!("tests:4")));
            kinds.insert(body.kind);
        }
        // Held files have no example of their own: `placed` says it.
        let unseen: Vec<_> = NoticeKind::ALL.iter().filter(|kind| !kinds.contains(kind)).collect();
        assert_eq!(unseen, [&NoticeKind::Held]);
    }
}
