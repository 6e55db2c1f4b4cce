//! The pools of the shards this process owns, as both the shards and the directory change.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use schemas::name::PoolName;
use schemas::topic::shard_of;
use tokio::sync::watch;

use super::Directory;
use crate::log::{Group, Owned, Read, Result};

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// These pools are ours, and new or changed in the directory.
    Ours(Vec<PoolName>),
    /// The pools of a shard are ours no longer: [`Ours::owns`] says which. Stop writing for them.
    Lost,
}

/// Which pools this process works on.
pub struct Ours {
    directory: Arc<Directory>,
    owned: BoxStream<'static, Result<Owned>>,
    version: watch::Receiver<u64>,
    shards: BTreeSet<u8>,
    seen: u64,
}

impl fmt::Debug for Ours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ours {{ shards: {:?} }}", self.shards)
    }
}

impl Ours {
    /// Joins the group.
    pub async fn join(read: &dyn Read, group: Group, directory: &Arc<Directory>) -> Result<Self> {
        Ok(Self {
            directory: Arc::clone(directory),
            owned: read.own(group).await?,
            version: directory.subscribe(),
            shards: BTreeSet::new(),
            seen: 0,
        })
    }

    /// Whether this process works on the pool.
    pub fn owns(&self, pool: &PoolName) -> bool {
        self.shards.contains(&shard_of(pool))
    }

    /// What has changed next; `None` when the log or the directory has ended. May be dropped and
    /// called again without loss.
    pub async fn next(&mut self) -> Option<Result<Change>> {
        tokio::select! {
            owned = self.owned.next() => match owned? {
                Ok(Owned::Gained(shard)) => {
                    self.shards.insert(shard);
                    self.seen = 0;
                    Some(Ok(self.look()))
                }
                Ok(Owned::Lost(shard)) => {
                    self.shards.remove(&shard);
                    Some(Ok(Change::Lost))
                }
                Err(error) => Some(Err(error)),
            },
            changed = self.version.changed() => changed.ok().map(|()| Ok(self.look())),
        }
    }

    fn look(&mut self) -> Change {
        let mut changes = self.directory.changes_since(self.seen);
        self.seen = changes.upto;
        changes.pools.retain(|pool| self.owns(pool));
        Change::Ours(changes.pools)
    }
}
