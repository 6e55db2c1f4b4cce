//! The manifest of a leased revision, used only with the digest that was leased.

use client::{Client, Error};
use schemas::api::{BatchFile, Lease};
use schemas::digest::Digest;
use schemas::file::{FileRef, manifest_digest};
use schemas::name::PoolName;

/// Why there is no manifest to work by.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Call(#[from] Error),
    #[error("the manifest has {files} files and the digest {found}, not {expected}")]
    Other { files: usize, found: Digest, expected: Digest },
}

/// The files of the leased revision.
pub(crate) async fn fetch(
    client: &Client,
    pool: &PoolName,
    lease: &Lease,
) -> Result<Vec<FileRef>, Fault> {
    let files = client.whole_manifest(pool, lease.batch, lease.revision).await?;
    let (found, expected) = (digest(&files), lease.manifest_sha256);
    if found == expected {
        Ok(files.into_iter().map(|file| file.file).collect())
    } else {
        Err(Fault::Other { files: files.len(), found, expected })
    }
}

/// Page by page, each over the one before.
fn digest(files: &[BatchFile]) -> Digest {
    let pages = files.chunk_by(|a, b| a.page == b.page);
    let fold = |digest, page: &[BatchFile]| {
        Some(manifest_digest(digest, page.iter().map(|file| &file.file)))
    };
    pages.fold(None, fold).unwrap_or_else(|| manifest_digest(None, std::iter::empty()))
}
