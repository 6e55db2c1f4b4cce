//! The files of a batch, fetched into a folder, each with the digest it should have.

use std::path::Path;
use std::time::Duration;

use client::{Client, fresh};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use schemas::api::Lease;
use schemas::file::FileRef;
use schemas::id::UploadId;
use schemas::name::{FileName, PoolName};
use schemas::problem::Code;

use crate::batch::{InputFile, inputs};
use crate::manifest::{self, Fault};

/// How often a manifest that is not there yet is asked for: the tables may be a moment behind the
/// lease.
const MANIFEST_TRIES_MAX: u32 = 6;
/// Longest extension that is kept in a file's name in the folder.
const EXTENSION_BYTES_MAX: usize = 16;

/// Bounds of what is fetched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    /// Files under way at once.
    pub(crate) fetches_max: usize,
    /// Bytes of a batch's files, all together.
    pub(crate) input_bytes_max: u64,
    /// Longest pause before something is asked for once more.
    pub(crate) pause_max: Duration,
}

/// Why there are no files to work on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("{0}")]
    Manifest(#[from] Fault),
    #[error("{name}: {error}")]
    File { name: String, error: client::Error },
    #[error("the batch has {bytes} bytes, this worker takes {bytes_max}")]
    TooLarge { bytes: u64, bytes_max: u64 },
    #[error(transparent)]
    Folder(client::Error),
}

impl Trouble {
    /// The call or the file operation that failed.
    pub(crate) fn error(&self) -> Option<&client::Error> {
        match self {
            Self::Manifest(Fault::Call(error)) | Self::File { error, .. } | Self::Folder(error) => {
                Some(error)
            }
            Self::Manifest(_) | Self::TooLarge { .. } => None,
        }
    }
}

/// Fetches all files of the leased revision below `folder`. What is there already is right, and
/// not fetched again.
pub(crate) async fn gather(
    client: &Client,
    pool: &PoolName,
    lease: &Lease,
    folder: &Path,
    reach: Reach,
) -> Result<Vec<InputFile>, Trouble> {
    let files = patient_manifest(client, pool, lease, reach.pause_max).await?;
    let (bytes, bytes_max) =
        (files.iter().map(|file| file.size_bytes).sum(), reach.input_bytes_max);
    if bytes > bytes_max {
        return Err(Trouble::TooLarge { bytes, bytes_max });
    }
    let inputs = inputs(folder);
    let made = tokio::fs::create_dir_all(&inputs).await;
    made.map_err(|source| Trouble::Folder(client::Error::Local { path: inputs.clone(), source }))?;
    let fetch = |file: FileRef| {
        let path = inputs.join(local_name(&file.name, file.upload));
        async move {
            if !path.exists() {
                let fetched = client.fetch_batch_file(pool, lease.batch, &file, &path).await;
                fetched.map_err(|error| Trouble::File { name: file.name.to_string(), error })?;
            }
            Ok(InputFile { file, path })
        }
    };
    stream::iter(files).map(fetch).buffered(reach.fetches_max.max(1)).try_collect().await
}

async fn patient_manifest(
    client: &Client,
    pool: &PoolName,
    lease: &Lease,
    pause_max: Duration,
) -> Result<Vec<FileRef>, Fault> {
    let mut wait = Duration::from_millis(100).min(pause_max);
    for _ in 1..MANIFEST_TRIES_MAX {
        match manifest::fetch(client, pool, lease).await {
            Err(Fault::Call(error)) if error.code() != Some(Code::NotFound) => {
                return Err(Fault::Call(error));
            }
            Err(fault) => tracing::debug!(%fault, "the manifest is not there yet"),
            fetched => return fetched,
        }
        tokio::time::sleep(wait / 2 + fresh::jitter(wait / 2)).await;
        wait = (wait * 2).min(pause_max);
    }
    manifest::fetch(client, pool, lease).await
}

/// The upload's id, which is unique, and the extension of the client's name, by which programs
/// tell what a file is.
fn local_name(name: &FileName, upload: UploadId) -> String {
    let extension = name.extension();
    let is_plain = extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_plain && (1..=EXTENSION_BYTES_MAX).contains(&extension.len()) {
        format!("{upload}.{extension}")
    } else {
        upload.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_folder_are_ours() {
        let check = |name: &str, ending: &str| {
            let upload = UploadId::from_bits(7);
            let local = local_name(&name.parse().unwrap(), upload);
            assert_eq!(local, format!("{upload}{ending}"), "{name}");
        };
        check("a.CSV", ".csv");
        check("a.tar.gz", ".gz");
        check("a", "");
        check("a.", "");
        check("a.b c", "");
        check("a.seventeencharacte", "");
    }
}
