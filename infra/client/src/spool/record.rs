//! The update under way as it stands on disk, and every change of files that it goes through.
//! All of this blocks.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::time::Duration;

use schemas::file::REFERENCES_BYTES_MAX;
use schemas::limit::Limits;
use schemas::name::{IdempotencyKey, PoolName};
use schemas::time::SentAt;
use serde::{Deserialize, Serialize};

use super::{Error, Item, Result, Spool, item};
use crate::fresh;

/// What a process that was killed left half copied is removed after this long.
const LEFTOVER_AGE: Duration = Duration::from_hours(24);

/// An update under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Names the update, however often it is sent.
    pub(super) key: IdempotencyKey,
    /// When it was first sent.
    pub(super) sent_at: SentAt,
    /// What it consists of.
    pub(super) items: Vec<IdempotencyKey>,
    /// Set once the server's receipt is here: from then on nothing is sent, only put away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) received: Option<Vec<RefusedItem>>,
}

/// A file the server will not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedItem {
    /// The item.
    pub key: IdempotencyKey,
    /// Why.
    pub reason: String,
}

/// What was put away.
#[derive(Debug, Default)]
pub(super) struct Settled {
    pub(super) sent: usize,
    pub(super) refused: Vec<RefusedItem>,
}

/// An update to be sent.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) record: Record,
    pub(super) items: Vec<Item>,
    /// Whether it has never been sent before.
    pub(super) is_new: bool,
}

impl Spool {
    /// Finishes what an earlier process had a receipt for, and clears up after it.
    pub(super) fn recover(&self, pool: &PoolName) -> Result<Settled> {
        self.sweep()?;
        match self.record(pool)? {
            Some(Record { received: Some(refused), items, .. }) => {
                self.settle(pool, &items, refused)
            }
            _ => Ok(Settled::default()),
        }
    }

    /// The update that an earlier flush left, or else a new one of what waits, written down.
    pub(super) fn next(&self, pool: &PoolName, files_max: usize) -> Result<Option<Pending>> {
        if let Some(record) = self.record(pool)? {
            let items = record.items.iter().map(|key| self.sent_item(key)).collect::<Result<_>>();
            return Ok(Some(Pending { record, items: items?, is_new: false }));
        }
        let items = self.oldest(pool, files_max)?;
        if items.is_empty() {
            return Ok(None);
        }
        let sent_at = SentAt::from_millis(fresh::now().millis());
        let keys = items.iter().map(|item| item.key.clone()).collect();
        let record = Record { key: fresh::key(), sent_at, items: keys, received: None };
        self.write_record(pool, &record)?;
        Ok(Some(Pending { record, items, is_new: true }))
    }

    fn sent_item(&self, key: &IdempotencyKey) -> Result<Item> {
        item::load(&self.folder, key)?.ok_or_else(|| Error::Broken {
            path: item::json_path(&self.folder, key),
            reason: "it is gone, but may have been sent; put it back".into(),
        })
    }

    /// As many of the oldest items as one update can take.
    fn oldest(&self, pool: &PoolName, files_max: usize) -> Result<Vec<Item>> {
        let bytes_max = Limits::default().update_bytes_max;
        let (mut bytes, mut references_bytes, mut items) = (0, 0, Vec::new());
        for item in self.items()?.into_iter().filter(|item| item.facts.pool == *pool) {
            bytes += item.size_bytes;
            references_bytes += reference_bytes_max(&item);
            let is_over = bytes > bytes_max || references_bytes > REFERENCES_BYTES_MAX;
            if items.len() == files_max || (is_over && !items.is_empty()) {
                break;
            }
            items.push(item);
        }
        Ok(items)
    }

    /// The server's receipt is here: that is written down first, then acted on.
    pub(super) fn received(
        &self,
        pool: &PoolName,
        record: Record,
        refused: Vec<RefusedItem>,
    ) -> Result<Settled> {
        let record = Record { received: Some(refused.clone()), ..record };
        self.write_record(pool, &record)?;
        self.settle(pool, &record.items, refused)
    }

    /// Puts away what the server has answered for. Done again after a kill, it does the rest.
    fn settle(
        &self,
        pool: &PoolName,
        items: &[IdempotencyKey],
        refused: Vec<RefusedItem>,
    ) -> Result<Settled> {
        self.put_aside(&refused)?;
        let aside: BTreeSet<&IdempotencyKey> = refused.iter().map(|item| &item.key).collect();
        let sent = items.iter().filter(|key| !aside.contains(key));
        for key in sent.clone() {
            item::remove(&item::json_path(&self.folder, key))?;
            item::remove(&item::data_path(&self.folder, key))?;
        }
        let sent = sent.count();
        // The items must be gone for good before the record that says they may go is.
        self.sync()?;
        self.dissolve(pool)?;
        Ok(Settled { sent, refused })
    }

    /// Moves what the server will not take to `refused/`.
    pub(super) fn put_aside(&self, refused: &[RefusedItem]) -> Result<()> {
        let aside = self.folder.join("refused");
        for refused in refused {
            let why = aside.join(format!("{}.why.json", refused.key));
            item::write_json(&why, refused)?;
            for path in [item::json_path, item::data_path] {
                let from = path(&self.folder, &refused.key);
                match fs::rename(&from, path(&aside, &refused.key)) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        return Err(Error::local(from)(error));
                    }
                    _ => {}
                }
            }
        }
        self.sync()
    }

    /// Forgets the update under way.
    pub(super) fn dissolve(&self, pool: &PoolName) -> Result<()> {
        item::remove(&self.record_path(pool))?;
        self.sync()
    }

    fn record(&self, pool: &PoolName) -> Result<Option<Record>> {
        item::read_json(&self.record_path(pool))
    }

    fn write_record(&self, pool: &PoolName, record: &Record) -> Result<()> {
        item::write_json(&self.record_path(pool), record)
    }

    fn sync(&self) -> Result<()> {
        item::sync_folder(&self.folder).map_err(Error::local(&self.folder))
    }

    /// Removes what killed processes left half copied.
    fn sweep(&self) -> Result<()> {
        for path in self.paths()? {
            let is_half = path.extension().is_some_and(|extension| extension == "part");
            let is_orphan = item::key_of(&path, "data")
                .is_some_and(|key| !item::json_path(&self.folder, &key).exists());
            let age = || fs::metadata(&path).ok()?.modified().ok()?.elapsed().ok();
            if (is_half || is_orphan) && age().is_some_and(|age| age > LEFTOVER_AGE) {
                item::remove(&path)?;
            }
        }
        Ok(())
    }
}

/// As `FileRef::json_bytes_max` reckons, with room for the object's key.
fn reference_bytes_max(item: &Item) -> usize {
    840 + 2 * (item.facts.name.as_str().len() + item.facts.media_type.as_str().len())
}
