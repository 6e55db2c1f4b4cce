//! What SQLite says went wrong, in the few kinds that back ends act on.

use rusqlite::ErrorCode;

use crate::table::BadRow;

/// Why SQLite did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The disk is full: nothing happened.
    #[error("no room left on the disk")]
    Full,
    /// Another process holds the file, or what is to go is in use: nothing happened.
    #[error("in use: {0}")]
    Busy(String),
    /// There is no such table.
    #[error("no table {0}")]
    NoTable(String),
    /// The table is there, but not as it is declared now.
    #[error("table {0} is there with other columns: raise the version of its view")]
    Otherwise(String),
    /// A row was not as declared.
    #[error(transparent)]
    BadRow(#[from] BadRow),
    /// Anything else: the connection is not to be trusted any more.
    #[error("{0}")]
    Broken(String),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(text),
            _ => match text.strip_prefix("no such table: ") {
                // With a statement at hand, rusqlite goes on with " in <statement> at offset <n>".
                Some(rest) => Self::NoTable(rest.split(' ').next().unwrap_or_default().to_owned()),
                None => Self::Broken(text),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::{Connection, Error, ffi};

    #[test]
    fn what_nothing_happened_after_is_told_from_the_rest() {
        let failure = |code| Failure::from(Error::SqliteFailure(ffi::Error::new(code), None));
        assert_eq!(failure(ffi::SQLITE_FULL), Failure::Full);
        assert!(matches!(failure(ffi::SQLITE_BUSY), Failure::Busy(_)));
        for broken in [
            ffi::SQLITE_IOERR,
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_NOTADB,
        ] {
            assert!(matches!(failure(broken), Failure::Broken(_)), "{broken}");
        }
    }

    #[test]
    fn a_missing_table_is_named() {
        let connection = Connection::open_in_memory().unwrap();
        for sql in ["SELECT a FROM gone_1 WHERE a = 1", "INSERT INTO gone_1 VALUES (1)"] {
            let error = connection.prepare(sql).unwrap_err();
            assert_eq!(Failure::from(error), Failure::NoTable("gone_1".into()), "{sql}");
        }
    }
}
