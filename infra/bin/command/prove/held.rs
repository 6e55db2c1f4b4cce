//! What receipts say against what the pool says now.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context as _;
use client::Progress;
use infra::identity::Verifier;
use schemas::api::{Stated, StatedOf, UploadState, UploadView};
use schemas::id::UploadId;

use super::{Check, Proof, ProveArgs};
use crate::receipts;

/// The check of bytes.
pub(super) const ALTERED: &str = "altered bytes";

/// What receipts of this pool say, those that hold.
#[derive(Debug, Default)]
pub(super) struct Held {
    stated: Vec<Stated>,
    /// The uploads among them, as the pool shows them.
    pub(super) uploads: HashMap<UploadId, UploadView>,
}

/// Reads the receipts and checks what they are signed with. They are looked up later.
pub(super) async fn read(
    args: &ProveArgs,
    proof: &Proof<'_>,
    checks: &mut Vec<Check>,
) -> anyhow::Result<Held> {
    let mut check = Check::new("receipts");
    let mut held = Held::default();
    if args.receipts.is_empty() {
        checks.push(Check::left_out("receipts", "none were named"));
        return Ok(held);
    }
    let keys = proof.client.keys().await.context("fetch the server's keys")?;
    let mut verifier = Verifier::default();
    verifier.believe(keys.to_string().as_bytes())?;
    for file in &args.keys {
        receipts::believe(&mut verifier, file)?;
    }
    for path in &args.receipts {
        for file in receipts::files_of(path)? {
            let beside = receipts::keys_beside(&file).filter(|_| args.keys.is_empty());
            if let Some(beside) = beside {
                receipts::believe(&mut verifier, &beside)?;
            }
            for kept in receipts::read(&file)? {
                check.look(take(&mut held, proof, &verifier, &file, &kept.receipt));
            }
        }
    }
    checks.push(check);
    for stated in &held.stated {
        if let StatedOf::Upload { upload, .. } = stated.of {
            match proof.client.read_upload(proof.pool, upload).await {
                Ok(view) => _ = held.uploads.insert(upload, view),
                Err(error) if error.status() == Some(404) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(held)
}

/// Takes one; gives what is wrong with it.
fn take(
    held: &mut Held,
    proof: &Proof<'_>,
    verifier: &Verifier,
    file: &Path,
    receipt: &str,
) -> Option<String> {
    match verifier.read(receipt) {
        Ok(stated) if stated.pool == *proof.pool => {
            held.stated.push(stated);
            None
        }
        // Of another pool: it holds, and is not looked up here.
        Ok(_) => None,
        Err(bad) => Some(format!("{}: {bad}", file.display())),
    }
}

impl Proof<'_> {
    /// Everything that was acknowledged is there, as it was acknowledged.
    pub(super) async fn lost(&self, held: &Held) -> anyhow::Result<Check> {
        let mut check = Check::new("lost");
        for stated in &held.stated {
            let fault = match stated.of {
                StatedOf::Upload { upload, .. } => lost_upload(stated, held.uploads.get(&upload)),
                StatedOf::Result { result, .. } => {
                    match self.client.read_result(self.pool, result).await {
                        Ok(view) if view.sha256 == stated.sha256 => None,
                        Ok(_) => Some(format!("result {result} has other bytes than published")),
                        Err(error) if error.status() == Some(404) => {
                            Some(format!("result {result} is lost: published at {}", stated.at))
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                // What a member has acknowledged is counted with the deliveries.
                StatedOf::Delivery { .. } => None,
            };
            check.look(fault);
        }
        Ok(check)
    }

    /// The bytes are those that were acknowledged.
    pub(super) async fn altered(&self, held: &Held) -> anyhow::Result<Check> {
        let mut check = Check::new(ALTERED);
        let folder = tempfile::tempdir()?;
        for (upload, view) in &held.uploads {
            let to = folder.path().join("file");
            let fetched = self.client.fetch_upload(self.pool, view, &to, &Progress::none()).await;
            _ = std::fs::remove_file(&to);
            check.look(fetched.err().map(|error| format!("upload {upload}: {error}")));
        }
        Ok(check)
    }
}

fn lost_upload(stated: &Stated, view: Option<&UploadView>) -> Option<String> {
    let StatedOf::Upload { upload, client } = stated.of else { return None };
    let Some(view) = view else {
        return Some(format!("upload {upload} is lost: received at {}", stated.at));
    };
    let same = view.sha256 == stated.sha256
        && view.client == client
        && stated.size_bytes.is_none_or(|size_bytes| size_bytes == view.size_bytes);
    if !same {
        return Some(format!("upload {upload} is shown otherwise than it was acknowledged"));
    }
    let placed = matches!(view.state, UploadState::Accepted | UploadState::Batched);
    (placed && view.batch.is_none()).then(|| format!("upload {upload} is in no batch and not held"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::digest::Digest;
    use schemas::id::{AccountId, PoolId};
    use schemas::time::Wall;

    #[test]
    fn an_upload_is_there_as_it_was_acknowledged() {
        let (upload, client) = (UploadId::from_bits(3), AccountId::from_bits(4));
        let stated = Stated {
            of: StatedOf::Upload { upload, client },
            pool: "north".parse().unwrap(),
            pool_id: PoolId::from_bits(5),
            sha256: Digest::of(b"hello"),
            size_bytes: Some(5),
            topic: "sluice.pool.north.events".into(),
            offset: 7,
            at: Wall::from_millis(5),
        };
        let view: UploadView = serde_json::from_value(serde_json::json!({
            "upload": upload, "pool": "north", "client": client, "name": "a.csv", "size_bytes": 5,
            "sha256": stated.sha256, "media_type": "text/csv", "received_at": stated.at,
            "effective_at": stated.at, "state": "accepted", "late": false,
            "window": { "start": stated.at, "end": stated.at, "kind": "grid" },
            "batch": upload, "revision": 1,
        }))
        .unwrap();
        assert_eq!(lost_upload(&stated, Some(&view)), None);
        assert!(lost_upload(&stated, None).unwrap().contains("lost"));
        let other = UploadView { sha256: Digest::of(b"hallo"), ..view.clone() };
        assert!(lost_upload(&stated, Some(&other)).unwrap().contains("otherwise"));
        let nowhere = UploadView { batch: None, ..view };
        assert!(lost_upload(&stated, Some(&nowhere)).unwrap().contains("no batch"));
    }
}
