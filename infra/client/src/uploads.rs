//! Calls that send files, and those that say what became of them.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::{CONTENT_TYPE, HeaderName};
use schemas::api::{Page, UpdateItem, UpdateManifest, UpdateReceipt, UploadReceipt, UploadView};
use schemas::digest::Digest;
use schemas::id::{AccountId, UploadId};
use schemas::name::{FileName, IdempotencyKey, MediaType, PoolName};
use schemas::route;
use schemas::time::{ObservedAt, SentAt};

use crate::client::{Client, PageAsk};
use crate::error::Result;
use crate::fetch::Wanted;
use crate::fresh;
use crate::multipart::Multipart;
use crate::source::{Progress, Source};

/// Names the digest of a body (RFC 9530).
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// One file to be sent. Sending the same value again is a repeat, not a second upload.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Its bytes.
    pub source: Source,
    /// What to call it.
    pub name: FileName,
    /// What it is.
    pub media_type: MediaType,
    /// When it was made, by this machine's clock. None: the time the server has it.
    pub observed_at: Option<ObservedAt>,
    /// Names this upload.
    pub key: IdempotencyKey,
}

impl Upload {
    /// Of unknown kind, made now as far as anyone knows, under a new key.
    pub fn new(name: FileName, source: Source) -> Self {
        let (media_type, key) = (MediaType::octet_stream(), fresh::key());
        Self { source, name, media_type, observed_at: None, key }
    }
}

/// Many files to be sent as one unit. Sending the same value again is a repeat.
#[derive(Clone, Debug)]
pub struct Update {
    /// The files.
    pub files: Vec<UpdateFile>,
    /// When they are sent, by this machine's clock. None: now.
    pub sent_at: Option<SentAt>,
    /// What becomes of the others when some cannot be taken.
    pub on_invalid: OnInvalid,
    /// Names this update.
    pub key: IdempotencyKey,
}

/// One file of an update.
#[derive(Clone, Debug)]
pub struct UpdateFile {
    /// Its bytes.
    pub source: Source,
    /// What to call it.
    pub name: FileName,
    /// What it is.
    pub media_type: MediaType,
    /// When it was made, by this machine's clock.
    pub observed_at: ObservedAt,
}

/// What becomes of an update when some of its files cannot be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnInvalid {
    /// None is taken.
    #[default]
    Refuse,
    /// The others are.
    Skip,
}

impl Client {
    /// Sends one file. The answer comes once it is durable.
    pub async fn upload(
        &self,
        pool: &PoolName,
        upload: &Upload,
        progress: &Progress,
    ) -> Result<UploadReceipt> {
        let source = upload.source.clone();
        self.pool_call(route::UPLOAD, pool, &[])
            .query("name", Some(&upload.name))
            .query("observed_at", upload.observed_at)
            .query("sent_at", Some(sent_now()))
            .key(&upload.key)
            .header(CONTENT_TYPE, upload.media_type.as_str())
            .header(CONTENT_DIGEST, &digest_field(source.sha256()))
            .stream(source.size_bytes(), progress, move || source.chunks())
            .answer()
            .await
    }

    /// Sends many files as one unit. The answer comes once all of them are durable.
    pub async fn update(
        &self,
        pool: &PoolName,
        update: &Update,
        progress: &Progress,
    ) -> Result<UpdateReceipt> {
        let item = |file: &UpdateFile| UpdateItem {
            name: file.name.to_string(),
            observed_at: file.observed_at,
            media_type: Some(file.media_type.to_string()),
            sha256: Some(file.source.sha256()),
            size_bytes: Some(file.source.size_bytes()),
        };
        let sent_at = Some(update.sent_at.unwrap_or_else(sent_now));
        let items = update.files.iter().map(item).collect();
        let manifest = serde_json::to_vec(&UpdateManifest { sent_at, items })
            .expect("a manifest is made of texts and numbers");
        let parts = |file: &UpdateFile| (file.media_type.clone(), file.source.clone());
        let body = Multipart::new(&manifest, update.files.iter().map(parts).collect());
        let skip = (update.on_invalid == OnInvalid::Skip).then_some("skip");
        self.pool_call(route::UPDATE, pool, &[])
            .query("on_invalid", skip)
            .key(&update.key)
            .header(CONTENT_TYPE, &body.content_type())
            .stream(body.length_bytes(), progress, move || body.chunks())
            .answer()
            .await
    }

    /// Where an upload is now.
    pub async fn read_upload(&self, pool: &PoolName, upload: UploadId) -> Result<UploadView> {
        self.pool_call(route::READ_UPLOAD, pool, &[&upload]).answer().await
    }

    /// Fetches the bytes of an upload to `to`: one's own, or anyone's for those who may.
    pub async fn fetch_upload(
        &self,
        pool: &PoolName,
        upload: &UploadView,
        to: &Path,
        progress: &Progress,
    ) -> Result<()> {
        let call = self.pool_call(route::FETCH_UPLOAD, pool, &[&upload.upload]);
        let wanted = Wanted { size_bytes: upload.size_bytes, sha256: upload.sha256 };
        self.fetch(call, wanted, to, progress).await
    }

    /// A client's uploads in a pool, newest first.
    pub async fn history(
        &self,
        pool: &PoolName,
        client: AccountId,
        page: &PageAsk,
    ) -> Result<Page<UploadView>> {
        self.pool_call(route::READ_HISTORY, pool, &[&client]).page(page).answer().await
    }

    /// A client's uploads in all pools the caller may see, newest first.
    pub async fn client_history(
        &self,
        client: AccountId,
        page: &PageAsk,
    ) -> Result<Page<UploadView>> {
        self.call(route::CLIENT_HISTORY, &[&client]).page(page).answer().await
    }
}

/// A digest as the value of a digest field (RFC 9530, section 2).
pub(crate) fn digest_field(sha256: Digest) -> String {
    format!("sha-256=:{}:", BASE64.encode(sha256.bytes()))
}

fn sent_now() -> SentAt {
    SentAt::from_millis(fresh::now().millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_written_as_the_standard_says() {
        // The example of RFC 9530, appendix B.1.
        let digest = Digest::of(b"{\"hello\": \"world\"}\n");
        let field = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
        assert_eq!(digest_field(digest), field);
    }
}
