//! A copy of a file as it was at one moment, made while another process writes it.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::{Failure, open_to_read};

/// All of it in one step: within one read transaction, so that no write in between is seen, and
/// none is kept waiting (WAL). What was committed before the call is in the copy.
const ALL_PAGES: i32 = -1;

/// Copies `from` to `to`, which must not be there. Durable on return.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let source = open_to_read(from)?;
    let mut target = Connection::open(to)?;
    target.pragma_update(None, "synchronous", "FULL")?;
    let step = Backup::new(&source, &mut target)?.step(ALL_PAGES)?;
    if step != StepResult::Done {
        return Err(Failure::Broken(format!("{} could not be copied: {step:?}", from.display())));
    }
    let found: String = target.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(Failure::Broken(format!("the copy of {}: {found}", from.display())));
    }
    target.close().map_err(|(_, error)| error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::{Durable, open_to_write};

    #[test]
    fn a_copy_has_what_was_committed_and_nothing_half_done() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["a", "b"].map(|name| folder.path().join(name));
        let connection = open_to_write(&from, Durable::AtCommit).unwrap();
        connection.execute_batch("CREATE TABLE t (n); INSERT INTO t VALUES (1), (2)").unwrap();
        connection.execute_batch("BEGIN; INSERT INTO t VALUES (3)").unwrap();
        copy(&from, &to).unwrap();
        connection.execute_batch("COMMIT").unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4, "no WAL of the copy");
        let count = |path: &Path| -> i64 {
            let connection = open_to_read(path).unwrap();
            connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
        };
        assert_eq!((count(&from), count(&to)), (3, 2));
        assert!(copy(&folder.path().join("none"), &folder.path().join("c")).is_err());
    }
}
