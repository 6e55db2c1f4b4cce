//! SQLite as the embedded back ends use it: how their files are opened, read and written.
//!
//! Each back end has a file of its own, one thread that writes it ([`Worker`]) and a few connections
//! that read it ([`Readers`]). WAL mode, so neither waits for the other.

mod copy;
mod failure;
mod held;
mod make;
mod readers;
pub(crate) mod rows;
mod worker;

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

pub(crate) use copy::copy;
pub(crate) use failure::Failure;
pub(crate) use held::Held;
pub(crate) use make::make;
pub(crate) use readers::Readers;
pub(crate) use worker::{Bounds, Weigh, Worker};

/// When a commit is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durable {
    /// When it returns.
    AtCommit,
    /// A little later, never in part: for what can be rebuilt.
    Later,
    /// Not before the file is closed and synced: for a file that is thrown away if anything fails
    /// while it is made.
    OnceClosed,
}

/// Bytes the WAL may keep on disk once its pages are in the main file.
const WAL_BYTES_MAX: i64 = 64 * 1024 * 1024;

/// KiB of pages that the writer of tables keeps: a batch of rows touches leaves all over a table.
const CACHE_KIB: i64 = 16 * 1024;

/// Statements that a connection keeps prepared.
const STATEMENTS_MAX: usize = 256;

/// Opens the file to write it, made if it is not there. SQLite itself syncs the folder when it
/// makes a WAL beside a new file.
pub(crate) fn open_to_write(path: &Path, durable: Durable) -> Result<Connection, Failure> {
    open(path, durable, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
}

/// Opens a file that must be there to write it: one that went away must not begin anew, empty.
pub(crate) fn reopen_to_write(path: &Path, durable: Durable) -> Result<Connection, Failure> {
    open(path, durable, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

fn open(path: &Path, durable: Durable, flags: OpenFlags) -> Result<Connection, Failure> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "page_size", 4_096)?;
    let (journal, synchronous) = match durable {
        Durable::AtCommit => ("WAL", "FULL"),
        Durable::Later => ("WAL", "NORMAL"),
        Durable::OnceClosed => ("OFF", "OFF"),
    };
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", journal, |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case(journal) {
        let path = path.display();
        return Err(Failure::Broken(format!("{path} cannot have the journal {journal}: {mode}")));
    }
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_MAX)?;
    if durable != Durable::AtCommit {
        // Negative: KiB, not pages.
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    }
    Ok(connection)
}

/// Opens the file to read it, also while another process writes it.
pub(crate) fn open_to_read(path: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}
