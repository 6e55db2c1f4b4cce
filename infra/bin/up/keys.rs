//! The secret that upload ids are made with: 32 bytes in a file of its owner's.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use infra::{fresh, secret_file};
use ingest::UploadKey;

/// What tokens and receipts are signed with, in the data folder.
pub(crate) const TOKEN_KEYS: &str = "keys/token.pem";

/// The key in this file; made when it is not there.
pub(crate) fn upload_key(path: &Path) -> anyhow::Result<UploadKey> {
    let named = || path.display().to_string();
    if !path.try_exists().with_context(named)? {
        secret_file::make(path, &fresh::bytes::<32>()).with_context(named)?;
    }
    let bytes = fs::read(path).with_context(named)?;
    let bytes = bytes.try_into().map_err(|_| anyhow!("{} does not hold 32 bytes", named()))?;
    Ok(UploadKey::from_bytes(bytes))
}
