//! Making declared tables, and noticing one that is there but was declared otherwise.

use rusqlite::Connection;

use super::Failure;
use super::rows::{self, Stamps};
use crate::table::Table;

/// Makes the table as `name`, unless it is there.
pub(crate) fn make(
    connection: &Connection,
    table: &'static Table,
    name: &str,
    stamps: Stamps,
) -> Result<(), Failure> {
    let ddl = rows::create(table, name, stamps);
    connection.execute_batch(&ddl)?;
    let sql = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let there: String = connection.query_row(sql, [name], |row| row.get(0))?;
    // SQLite keeps the text but for these words.
    if there == ddl.replacen("IF NOT EXISTS ", "", 1) {
        Ok(())
    } else {
        Err(Failure::Otherwise(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Row;

    mod before {
        crate::row! { Named in "t" (id: i64; at: i64 = Asc) { name: String } }
    }
    mod after {
        crate::row! { Named in "t" (id: i64; at: i64 = Desc) { name: String } }
    }

    #[test]
    fn a_table_declared_otherwise_is_told() {
        let connection = Connection::open_in_memory().unwrap();
        let make = |table, name| make(&connection, table, name, Stamps::None);
        for _ in 0..2 {
            make(before::Named::TABLE, "t_1").unwrap();
        }
        let otherwise = Err(Failure::Otherwise("t_1".into()));
        assert_eq!(make(after::Named::TABLE, "t_1"), otherwise);
        make(after::Named::TABLE, "t_2").unwrap();
    }
}
