//! The topics: their names, and how each is kept.

use std::fmt;
use std::sync::Arc;

use crate::name::PoolName;

/// A place in a topic: records are numbered from 0. Derived readers compare them, nothing more.
pub type Offset = u64;

/// Shards of `sluice.shards`: a fixed number, since a pool's shard must never change.
pub const SHARDS: u8 = 64;

/// A topic with one partition, by name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

/// How a topic is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// For ever.
    Keep,
    /// The newest record of each key.
    Compact,
}

impl Topic {
    /// What was said in a pool.
    pub fn events(pool: &PoolName) -> Self {
        Self(format!("sluice.pool.{pool}.events").into())
    }

    /// What follows from it.
    pub fn batches(pool: &PoolName) -> Self {
        Self(format!("sluice.pool.{pool}.batches").into())
    }

    /// Who has which result.
    pub fn deliveries(pool: &PoolName) -> Self {
        Self(format!("sluice.pool.{pool}.deliveries").into())
    }

    /// What every instance must know to let a request in.
    pub fn directory() -> Self {
        Self("sluice.directory".into())
    }

    /// What matters for security.
    pub fn audit() -> Self {
        Self("sluice.audit".into())
    }

    /// The topic of this name, as data says it.
    pub fn named(name: &str) -> Self {
        Self(name.into())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// How it is kept.
    pub fn cleanup(&self) -> Cleanup {
        if *self.0 == *"sluice.directory" { Cleanup::Compact } else { Cleanup::Keep }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The shard of a pool: FNV-1a over its name, so that any language can compute it.
pub fn shard_of(pool: &PoolName) -> u8 {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = pool.as_str().bytes().fold(0x811c_9dc5, step);
    u8::try_from(hash % u32::from(SHARDS)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let pool: PoolName = "a-2".parse().unwrap();
        assert_eq!(Topic::events(&pool).name(), "sluice.pool.a-2.events");
        assert_eq!(Topic::batches(&pool).cleanup(), Cleanup::Keep);
        assert_eq!(Topic::directory().cleanup(), Cleanup::Compact);
        assert_eq!(Topic::audit().cleanup(), Cleanup::Keep);
    }

    #[test]
    fn a_pools_shard_never_changes() {
        let shard = |name: &str| shard_of(&name.parse().unwrap());
        assert_eq!([shard("a-2"), shard("demo"), shard("north-sea")], [51, 54, 34]);
    }
}
