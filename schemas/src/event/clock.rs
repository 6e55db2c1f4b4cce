//! The log's clock and the rules it is read by.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::BatchId;
use crate::time::{LogTime, Window};

/// Something the fold waits for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Timer {
    /// The end of a window and its grace, by the log's clock.
    WindowEnd(Window),
    /// The longest a window may wait.
    MaxWait(Window),
    /// The next moment of the pool's schedule.
    Schedule,
    /// Late files have been gathered for long enough.
    Debounce(BatchId),
    /// A lease must have been renewed once.
    Confirm(BatchId),
    /// A lease must have been renewed.
    Lease(BatchId),
    /// Bytes have been kept for long enough.
    Erase,
    /// The oldest group of files that gather has its end and its grace behind it, by the log's
    /// clock, or has waited as long as it may.
    Group,
}

/// A timer of the fold is due. It acts only if that timer is armed for that moment and this
/// record's append time has reached it: an owner with a fast clock cannot act early, and a second
/// such record does nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimerDue {
    /// Which.
    pub timer: Timer,
    /// The moment it is armed for.
    pub due: LogTime,
}

/// From here on the pool is folded by the rules of this number. A program that does not know them
/// halts the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SemanticsRaised {
    /// The rules.
    pub semantics: u32,
}
