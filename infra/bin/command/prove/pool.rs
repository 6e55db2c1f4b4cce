//! What a pool says of itself: histories, batches, deliveries, its log.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use client::PageAsk;
use schemas::api::{BatchView, Page, UploadState};
use schemas::id::{BatchId, UploadId};
use schemas::name::PoolName;

use super::held::Held;
use super::{Check, Proof, is_not_allowed};
use crate::print::{or_dash, word};
use crate::replay;

/// The check of deliveries: what is wrong there may come right by itself.
pub(super) const UNDELIVERED: &str = "undelivered";
/// The check of the log.
pub(super) const REPLAY: &str = "replay";

const DOUBLED: &str = "doubled in batches";

impl Proof<'_> {
    /// The caller's own history has each upload once.
    pub(super) async fn history(&self) -> anyhow::Result<Check> {
        let mut check = Check::new("doubled in history");
        let who = self.session.user_id(&self.client).await?;
        let (mut page, mut seen) = (PageAsk::default(), HashSet::new());
        loop {
            let Page { items, next_cursor } = self.client.history(self.pool, who, &page).await?;
            for upload in items {
                let first = seen.insert(upload.upload);
                check.look((!first).then(|| format!("upload {} is there twice", upload.upload)));
            }
            page.cursor = next_cursor;
            if page.cursor.is_none() {
                return Ok(check);
            }
        }
    }

    /// No file is in two batches, and those with receipts are in the batch that history names.
    pub(super) async fn doubled(&self, held: &Held) -> anyhow::Result<Check> {
        let mut check = Check::new(DOUBLED);
        let mut places: HashMap<UploadId, BatchId> = HashMap::new();
        let mut page = PageAsk::default();
        loop {
            let listed = match self.client.batches(self.pool, &page).await {
                Err(error) if is_not_allowed(&error) => {
                    return Ok(Check::refused(DOUBLED));
                }
                listed => listed?,
            };
            // Ranges are views: they take nothing away from the windows.
            for batch in listed.items.iter().filter(|batch| word(&batch.window.kind) != "range") {
                self.place(batch, &mut places, &mut check).await?;
            }
            page.cursor = listed.next_cursor;
            if page.cursor.is_none() {
                break;
            }
        }
        for (upload, view) in &held.uploads {
            let found = places.get(upload).copied();
            let expected = view.batch.filter(|_| view.state == UploadState::Batched);
            let (said, is) = (or_dash(expected), or_dash(found));
            let fault = format!("upload {upload} is in batch {is}, and history says {said}");
            // Between the two looks a window may have closed.
            let gathered = view.state == UploadState::Gathering;
            let fits =
                found == expected || (expected.is_none() && (gathered || found == view.batch));
            check.look((!fits).then_some(fault));
        }
        Ok(check)
    }

    async fn place(
        &self,
        batch: &BatchView,
        places: &mut HashMap<UploadId, BatchId>,
        check: &mut Check,
    ) -> anyhow::Result<()> {
        let (id, revision) = (batch.batch, batch.revision);
        for file in self.client.whole_manifest(self.pool, id, revision).await? {
            let upload = file.file.upload;
            let before = places.insert(upload, id);
            check.look(before.map(|before| format!("upload {upload} is in {before} and in {id}")));
        }
        Ok(())
    }

    /// Every member that should have a result has it.
    pub(super) async fn undelivered(&self) -> anyhow::Result<Check> {
        let mut check = Check::new(UNDELIVERED);
        let mut page = PageAsk::default();
        loop {
            let results = self.client.results_after(self.pool, None, &page).await?;
            for result in results.items.iter().filter(|result| result.is_owed()) {
                let of = result.result;
                let one = PageAsk { cursor: None, limit: Some(1) };
                let view = match self.client.deliveries(self.pool, of, true, &one).await {
                    Err(error) if is_not_allowed(&error) => {
                        return Ok(Check::refused(UNDELIVERED));
                    }
                    view => view?,
                };
                let missing = view.entitled - view.acknowledged;
                let fault = format!("result {of}: {missing} of {} have not got it", view.entitled);
                check.look((missing > 0).then_some(fault));
            }
            page.cursor = results.next_cursor;
            if page.cursor.is_none() {
                return Ok(check);
            }
        }
    }
}

/// The derived records follow from the events, byte for byte.
pub(super) async fn replay(
    data: &Path,
    log: Option<&str>,
    pool: &PoolName,
) -> anyhow::Result<Check> {
    let mut check = Check::new(REPLAY);
    let verified = replay::verified(data, log, pool).await?;
    check.looked_at = verified.equal + verified.copies;
    if let Some(differs) = verified.differs {
        check.look(Some(format!("record {} does not follow from the events", differs.offset)));
    }
    Ok(check)
}
