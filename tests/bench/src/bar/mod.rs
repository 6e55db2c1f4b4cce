//! The bars: what is asked of us, each measured beside its floor.

mod append;
mod close;
mod fold;
mod listen;
mod people;
mod round;
mod slow;
mod tale;
mod uploads;
mod views;

use crate::Plan;
use crate::table::Row;

/// One bar.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bar {
    pub(crate) name: &'static str,
    /// What limits it, as far as was found.
    pub(crate) limit: &'static str,
    pub(crate) measure: fn(&Plan) -> anyhow::Result<Vec<Row>>,
}

/// All of them, in the order they run: what fills the disk comes last.
pub(crate) const ALL: &[Bar] = &[
    Bar {
        name: "fold",
        limit: "memory: an event moves in, a reference into its window's page, an output out",
        measure: fold::measure,
    },
    Bar {
        name: "append",
        limit: "CPU of SQLite's inserts and of waking each appender",
        measure: append::measure,
    },
    Bar { name: "close", limit: "two group commits behind the load's", measure: close::measure },
    Bar { name: "views", limit: "SQLite's inserts; one writer thread", measure: views::measure },
    Bar { name: "idle", limit: "hyper's connection and the stream's task", measure: listen::idle },
    Bar { name: "notify", limit: "CPU: a thousand writes", measure: listen::notify },
    Bar { name: "round", limit: "CPU of both sides on the same cores", measure: round::measure },
    Bar {
        name: "small",
        limit: "CPU, and the lock of a folder that ext4 takes to make a file",
        measure: uploads::small,
    },
    Bar { name: "stream", limit: "SHA-256, page cache and write-back", measure: uploads::stream },
    Bar { name: "slow", limit: "one piece of 64 KiB for each", measure: slow::measure },
];
