//! Sending what waits: one update at a time, written down before it is sent.

use std::collections::BTreeSet;

use schemas::api::UpdateReceipt;
use schemas::limit::Limits;
use schemas::name::PoolName;
use schemas::problem::{Code, FieldError};

use super::record::{Pending, RefusedItem, Settled};
use super::{Item, Result, Spool};
use crate::client::Client;
use crate::error::Error as CallError;
use crate::source::{Progress, Source};
use crate::uploads::{OnInvalid, Update, UpdateFile};

/// What a flush did.
#[derive(Debug, Default)]
pub struct Flushed {
    /// Files the server has now.
    pub sent: usize,
    /// Its receipts, one for each update.
    pub receipts: Vec<UpdateReceipt>,
    /// What it will not take: moved to `refused/`, with the reason beside it.
    pub refused: Vec<RefusedItem>,
    /// Why the rest still waits, if it does.
    pub left: Option<CallError>,
}

impl Flushed {
    fn add(&mut self, settled: Settled) {
        self.sent += settled.sent;
        self.refused.extend(settled.refused);
    }
}

impl Spool {
    /// Sends all that waits for `pool`, oldest first, as one update or as few as the limits allow.
    ///
    /// When the server cannot be reached, all stays as it is. An update whose outcome is not known
    /// stays written down: the next flush sends the very same one under the same key.
    pub async fn flush(
        &self,
        client: &Client,
        pool: &PoolName,
        progress: &Progress,
    ) -> Result<Flushed> {
        let _lock = self.lock()?;
        let mut flushed = Flushed::default();
        flushed.add(self.off_thread(pool, Self::recover).await?);
        let mut files_max = usize::try_from(Limits::default().update_files_max).unwrap_or(1_000);
        loop {
            let next = self.off_thread(pool, move |spool, pool| spool.next(pool, files_max));
            let Some(pending) = next.await? else { return Ok(flushed) };
            match client.update(pool, &self.update_of(&pending), progress).await {
                Ok(receipt) => {
                    let refused = not_taken(&pending.items, &receipt);
                    flushed.receipts.push(receipt);
                    let settle = move |spool: &Self, pool: &PoolName| {
                        spool.received(pool, pending.record, refused)
                    };
                    flushed.add(self.off_thread(pool, settle).await?);
                }
                Err(error) if is_about_files(&error) => {
                    let refused = blamed(&pending.items, &error);
                    if refused.is_empty() {
                        files_max = pending.items.len() / 2;
                    }
                    let settle = move |spool: &Self, pool: &PoolName| {
                        spool.dissolve(pool)?;
                        spool.put_aside(&refused)?;
                        Ok(Settled { sent: 0, refused })
                    };
                    flushed.add(self.off_thread(pool, settle).await?);
                }
                Err(error) => {
                    // It never arrived: what is added by then may go with it the next time.
                    if pending.is_new && !error.may_be_done() {
                        self.off_thread(pool, Self::dissolve).await?;
                    }
                    flushed.left = Some(error);
                    return Ok(flushed);
                }
            }
        }
    }

    fn update_of(&self, pending: &Pending) -> Update {
        let file = |item: &Item| UpdateFile {
            source: Source::known_file(self.data_path(&item.key), item.size_bytes, item.sha256),
            name: item.facts.name.clone(),
            media_type: item.facts.media_type.clone(),
            observed_at: item.facts.observed_at,
        };
        Update {
            files: pending.items.iter().map(file).collect(),
            sent_at: Some(pending.record.sent_at),
            on_invalid: OnInvalid::Skip,
            key: pending.record.key.clone(),
        }
    }

    async fn off_thread<T: Send + 'static>(
        &self,
        pool: &PoolName,
        work: impl FnOnce(&Self, &PoolName) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (spool, pool) = (self.clone(), pool.clone());
        super::blocking(move || work(&spool, &pool)).await
    }
}

/// What the server skipped: those it names, and those it gave no receipt for.
fn not_taken(items: &[Item], receipt: &UpdateReceipt) -> Vec<RefusedItem> {
    let mut refused = named_in(items, &receipt.skipped);
    if receipt.items.len() + refused.len() < items.len() {
        let named: BTreeSet<_> = refused.iter().map(|item| item.key.clone()).collect();
        let taken: BTreeSet<_> = receipt.items.iter().map(|item| item.sha256).collect();
        let untold = |item: &&Item| !named.contains(&item.key) && !taken.contains(&item.sha256);
        let reason = "the receipt does not name it";
        refused.extend(items.iter().filter(untold).map(|item| refuse(item, reason)));
    }
    refused
}

/// The items that an update was refused for; none when fewer of them at a time may do.
fn blamed(items: &[Item], error: &CallError) -> Vec<RefusedItem> {
    let faults = error.refusal().map(|refusal| refusal.problem.errors.as_slice());
    let named = named_in(items, faults.unwrap_or_default());
    match items {
        [only] if named.is_empty() => vec![refuse(only, &error.to_string())],
        _ => named,
    }
}

/// The items that these faults point at: `/items/3` and what lies below it.
fn named_in(items: &[Item], faults: &[FieldError]) -> Vec<RefusedItem> {
    let mut seen = BTreeSet::new();
    let named = |fault: &FieldError| {
        let below = fault.pointer.strip_prefix("/items/")?;
        let index: usize = below.split('/').next()?.parse().ok()?;
        let item = items.get(index)?;
        seen.insert(index).then(|| refuse(item, &fault.detail))
    };
    faults.iter().filter_map(named).collect()
}

fn refuse(item: &Item, reason: &str) -> RefusedItem {
    RefusedItem { key: item.key.clone(), reason: reason.to_owned() }
}

/// Whether the server refused because of what the files are. Then none of the update was taken,
/// now or before: had it been, the answer would be its receipt.
fn is_about_files(error: &CallError) -> bool {
    error.code().is_some_and(|code| {
        matches!(
            code,
            Code::UpdateTooLarge
                | Code::BodyTooLarge
                | Code::FileTooLarge
                | Code::UpdateInvalid
                | Code::InvalidField
                | Code::EmptyFile
                | Code::InvalidFileName
                | Code::ForbiddenFileType
                | Code::TypeMismatch
        )
    })
}
