//! Sweeping up objects.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::ObjectKey;

/// What a round of sweeping found, or would find.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SweepReport {
    /// Whether nothing was removed.
    pub dry_run: bool,
    /// Whether all objects were looked at: one round looks at `sweep_objects_max`.
    pub complete: bool,
    /// Objects looked at.
    pub looked_at: u64,
    /// Those that something names: they stay.
    pub named: u64,
    /// Those that nothing names and that are too young to go.
    pub young: u64,
    /// Those of which it cannot be told: they stay.
    pub doubtful: u64,
    /// Those that nothing names, found so not long enough ago.
    pub suspect: u64,
    /// Those that nothing names: they go.
    pub unnamed: u64,
    /// Those that were kept for as long as their pool keeps them: they go.
    pub erased: u64,
    /// The first hundred of those that go.
    pub objects: Vec<ObjectKey>,
}
