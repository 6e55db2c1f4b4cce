//! The SQLite dialect of a declared [`Table`]: its DDL, its writes, its reads in clustering order.
//!
//! Tables have no rowid: a partition's rows lie beside each other, sorted as declared, so that a
//! page is one seek and a walk. A stamped table has one column more, `stamp_us`, last.

use bytes::Bytes;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, ToSql, params_from_iter};
use uuid::Uuid;

use super::Failure;
use crate::table::{BadRow, Cell, Column, Kind, Order, Page, Scan, Table};

/// Most rows of one page, whatever the scan asks for.
pub(crate) const PAGE_ROWS_MAX: usize = 10_000;

/// Whether rows carry a stamp that guards them from older writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stamps {
    /// They do.
    Guarded,
    /// The last write wins.
    None,
}

fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| format!("\"{}\"", column.name)).collect::<Vec<_>>().join(", ")
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}

fn key(table: &'static Table) -> &'static [Column] {
    table.columns.get(..table.key_len()).unwrap_or_default()
}

fn rest(table: &'static Table) -> &'static [Column] {
    table.columns.get(table.key_len()..).unwrap_or_default()
}

/// The clustering columns, each with its order.
fn cluster(table: &'static Table) -> impl Iterator<Item = (&'static Column, Order)> {
    table.columns.iter().skip(table.partition).zip(table.cluster.iter().copied())
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Id | Kind::Bytes => "BLOB",
        Kind::Int | Kind::Time | Kind::Bool => "INTEGER",
        Kind::Text => "TEXT",
    }
}

/// Makes the table as `name`.
pub(crate) fn create(table: &'static Table, name: &str, stamps: Stamps) -> String {
    let key_len = table.key_len();
    let column = |(at, column): (usize, &Column)| {
        let null = if at < key_len { " NOT NULL" } else { "" };
        format!("\"{}\" {}{null}", column.name, type_name(column.kind))
    };
    let mut parts: Vec<String> = table.columns.iter().enumerate().map(column).collect();
    if stamps == Stamps::Guarded {
        parts.push("stamp_us INTEGER NOT NULL".to_owned());
    }
    let partition = table.columns.iter().take(table.partition);
    let sorted = partition.map(|column| (column, Order::Asc)).chain(cluster(table));
    let primary: Vec<_> = sorted
        .map(|(column, order)| {
            let order = if order == Order::Desc { " DESC" } else { "" };
            format!("\"{}\"{order}", column.name)
        })
        .collect();
    parts.push(format!("PRIMARY KEY ({})", primary.join(", ")));
    format!("CREATE TABLE IF NOT EXISTS \"{name}\" ({}) STRICT, WITHOUT ROWID", parts.join(", "))
}

/// Puts a row, or replaces it: unless stamped and older than what is there.
pub(crate) fn upsert(table: &'static Table, name: &str, stamps: Stamps) -> String {
    let mut columns = names(table.columns);
    let mut count = table.columns.len();
    let mut sets: Vec<String> = rest(table)
        .iter()
        .map(|column| format!("\"{0}\" = excluded.\"{0}\"", column.name))
        .collect();
    let mut guard = "";
    if stamps == Stamps::Guarded {
        columns += ", stamp_us";
        count += 1;
        sets.push("stamp_us = excluded.stamp_us".to_owned());
        guard = " WHERE excluded.stamp_us >= stamp_us";
    }
    let set =
        if sets.is_empty() { "NOTHING".into() } else { format!("UPDATE SET {}", sets.join(", ")) };
    format!(
        "INSERT INTO \"{name}\" ({columns}) VALUES ({}) ON CONFLICT ({}) DO {set}{guard}",
        marks(count),
        names(key(table)),
    )
}

/// Puts a row unless its key is there. For tables without stamps.
pub(crate) fn insert_new(table: &'static Table, name: &str) -> String {
    let (columns, marks) = (names(table.columns), marks(table.columns.len()));
    format!("INSERT INTO \"{name}\" ({columns}) VALUES ({marks}) ON CONFLICT DO NOTHING")
}

/// Deletes the row of a key: unless stamped and newer than the delete.
pub(crate) fn delete(table: &'static Table, name: &str, stamps: Stamps) -> String {
    let key: Vec<_> = key(table).iter().map(|column| format!("\"{}\" = ?", column.name)).collect();
    let guard = if stamps == Stamps::Guarded { " AND stamp_us <= ?" } else { "" };
    format!("DELETE FROM \"{name}\" WHERE {}{guard}", key.join(" AND "))
}

fn beyond(order: Order) -> char {
    if order == Order::Asc { '>' } else { '<' }
}

/// The condition that a row comes after the one whose clustering columns these are, and which of
/// their cells it binds, in order.
fn after(columns: &[(&'static Column, Order)]) -> (String, Vec<usize>) {
    let Some((_, first_order)) = columns.first() else { return ("0".into(), Vec::new()) };
    if columns.iter().all(|(_, order)| order == first_order) {
        let names: Vec<_> =
            columns.iter().map(|(column, _)| format!("\"{}\"", column.name)).collect();
        let condition =
            format!("({}) {} ({})", names.join(", "), beyond(*first_order), marks(columns.len()));
        return (condition, (0..columns.len()).collect());
    }
    // Mixed orders: a >= ? AND (a > ? OR (b < ? …)). The first half lets SQLite seek.
    let last = columns.len() - 1;
    let mut binds = Vec::new();
    let mut condition = String::new();
    for (at, (column, order)) in columns.iter().enumerate().rev() {
        let (name, beyond) = (column.name, beyond(*order));
        if at == last {
            condition = format!("\"{name}\" {beyond} ?");
            binds.push(at);
        } else {
            condition =
                format!("\"{name}\" {beyond}= ? AND (\"{name}\" {beyond} ? OR ({condition}))");
            binds.splice(0..0, [at, at]);
        }
    }
    (condition, binds)
}

/// Reads a page of a scan of the table that is `name`.
pub(crate) fn page(connection: &Connection, name: &str, scan: &Scan) -> Result<Page, Failure> {
    let table = scan.table;
    check(key(table).get(..scan.key.len()), &scan.key)?;
    if scan.key.len() < table.partition {
        return Err(BadRow { column: key(table).get(scan.key.len()).map_or("", |c| c.name) }.into());
    }
    let left: Vec<_> = cluster(table).skip(scan.key.len() - table.partition).collect();
    let mut conditions: Vec<_> =
        key(table).iter().take(scan.key.len()).map(|c| format!("\"{}\" = ?", c.name)).collect();
    let mut cells: Vec<&Cell> = scan.key.iter().collect();
    if let Some(last) = &scan.after {
        check(key(table).get(scan.key.len()..), last)?;
        let (condition, binds) = after(&left);
        conditions.push(format!("({condition})"));
        cells.extend(binds.into_iter().filter_map(|at| last.get(at)));
    }
    let order = |(column, order): &(&Column, Order)| {
        format!("\"{}\" {}", column.name, if *order == Order::Asc { "ASC" } else { "DESC" })
    };
    let orders: Vec<_> = left.iter().map(order).collect();
    let sorted = if orders.is_empty() { "" } else { " ORDER BY " };
    let limit = scan.limit.min(PAGE_ROWS_MAX);
    let sql = format!(
        "SELECT {} FROM \"{name}\" WHERE {}{sorted}{} LIMIT {}",
        names(table.columns),
        conditions.join(" AND "),
        orders.join(", "),
        limit + 1
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(cells))?;
    let mut page = Page::default();
    let mut count = 0;
    while let Some(row) = rows.next()? {
        if count == limit {
            page.more = true;
            break;
        }
        count += 1;
        for (at, column) in table.columns.iter().enumerate() {
            page.cells.push(read(row, at, column)?);
        }
    }
    Ok(page)
}

/// Checks the cells of a whole row.
pub(crate) fn check_row(table: &'static Table, cells: &[Cell]) -> Result<(), BadRow> {
    check_key(table, cells.get(..table.key_len()).unwrap_or(cells))?;
    check_nullable(Some(table.columns), cells)
}

/// Checks the cells of a whole key.
pub(crate) fn check_key(table: &'static Table, cells: &[Cell]) -> Result<(), BadRow> {
    check(Some(key(table)), cells)
}

fn check(columns: Option<&'static [Column]>, cells: &[Cell]) -> Result<(), BadRow> {
    check_nullable(columns, cells)?;
    let null = columns.into_iter().flatten().zip(cells).find(|(_, cell)| **cell == Cell::Null);
    null.map_or(Ok(()), |(column, _)| Err(BadRow { column: column.name }))
}

fn check_nullable(columns: Option<&'static [Column]>, cells: &[Cell]) -> Result<(), BadRow> {
    let columns = columns.unwrap_or_default();
    if let Some(column) = columns.get(cells.len()) {
        return Err(BadRow { column: column.name });
    }
    if cells.len() > columns.len() {
        return Err(BadRow { column: columns.last().map_or("", |column| column.name) });
    }
    let wrong = columns.iter().zip(cells).find(|(column, cell)| {
        let kind = match cell {
            Cell::Null => return false,
            Cell::Id(_) => Kind::Id,
            Cell::Int(_) => Kind::Int,
            Cell::Time(_) => Kind::Time,
            Cell::Text(_) => Kind::Text,
            Cell::Bytes(_) => Kind::Bytes,
            Cell::Bool(_) => Kind::Bool,
        };
        kind != column.kind
    });
    wrong.map_or(Ok(()), |(column, _)| Err(BadRow { column: column.name }))
}

fn read(row: &Row<'_>, at: usize, column: &'static Column) -> Result<Cell, Failure> {
    let cell = match (column.kind, row.get_ref(at)?) {
        (_, ValueRef::Null) => Some(Cell::Null),
        (Kind::Id, ValueRef::Blob(bytes)) => Uuid::from_slice(bytes).ok().map(Cell::Id),
        (Kind::Int, ValueRef::Integer(value)) => Some(Cell::Int(value)),
        (Kind::Time, ValueRef::Integer(value)) => Some(Cell::Time(value)),
        (Kind::Bool, ValueRef::Integer(value)) => Some(Cell::Bool(value != 0)),
        (Kind::Text, ValueRef::Text(text)) => {
            std::str::from_utf8(text).ok().map(|text| Cell::Text(text.into()))
        }
        (Kind::Bytes, ValueRef::Blob(bytes)) => Some(Cell::Bytes(Bytes::copy_from_slice(bytes))),
        _ => None,
    };
    cell.ok_or(Failure::BadRow(BadRow { column: column.name }))
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Id(id) => ValueRef::Blob(id.as_bytes()),
            Self::Int(value) | Self::Time(value) => ValueRef::Integer(*value),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
            Self::Bool(value) => ValueRef::Integer(i64::from(*value)),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::row! {
        /// A row with all kinds, in mixed orders.
        Mixed in "mixed" (pool: i64; at: i64 = Desc, name: String = Asc, part: i64 = Desc) {
            id: Option<Uuid>,
            bytes: Bytes,
            yes: bool,
        }
    }

    crate::row! {
        /// A row that is only its key.
        Bare in "bare" (pool: i64) {}
    }

    impl crate::table::Field for Uuid {
        const KIND: Kind = Kind::Id;
        fn cell(self) -> Cell {
            Cell::Id(self)
        }
        fn read(cell: Cell) -> Option<Self> {
            if let Cell::Id(id) = cell { Some(id) } else { None }
        }
    }

    const TABLE: &Table = <Mixed as crate::table::Row>::TABLE;

    #[test]
    fn sql_is_as_it_reads_best() {
        let check = |sql: String, expected: &str| assert_eq!(sql, expected);
        check(
            create(TABLE, "mixed_2", Stamps::Guarded),
            r#"CREATE TABLE IF NOT EXISTS "mixed_2" ("pool" INTEGER NOT NULL, "at" INTEGER NOT NULL, "name" TEXT NOT NULL, "part" INTEGER NOT NULL, "id" BLOB, "bytes" BLOB, "yes" INTEGER, stamp_us INTEGER NOT NULL, PRIMARY KEY ("pool", "at" DESC, "name", "part" DESC)) STRICT, WITHOUT ROWID"#,
        );
        check(
            upsert(TABLE, "m", Stamps::Guarded),
            r#"INSERT INTO "m" ("pool", "at", "name", "part", "id", "bytes", "yes", stamp_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT ("pool", "at", "name", "part") DO UPDATE SET "id" = excluded."id", "bytes" = excluded."bytes", "yes" = excluded."yes", stamp_us = excluded.stamp_us WHERE excluded.stamp_us >= stamp_us"#,
        );
        check(
            upsert(<Bare as crate::table::Row>::TABLE, "b", Stamps::None),
            r#"INSERT INTO "b" ("pool") VALUES (?) ON CONFLICT ("pool") DO NOTHING"#,
        );
        check(
            delete(TABLE, "m", Stamps::Guarded),
            r#"DELETE FROM "m" WHERE "pool" = ? AND "at" = ? AND "name" = ? AND "part" = ? AND stamp_us <= ?"#,
        );
        let columns: Vec<_> = cluster(TABLE).collect();
        assert_eq!(after(&columns[1..2]).0, r#"("name") > (?)"#);
        assert_eq!(
            after(&columns),
            (
                r#""at" <= ? AND ("at" < ? OR ("name" >= ? AND ("name" > ? OR ("part" < ?))))"#
                    .into(),
                vec![0, 0, 1, 1, 2]
            )
        );
    }

    /// Every scan of a page must be a search of the key without sorting, or pages get slow.
    #[test]
    fn a_page_is_one_seek_and_a_walk() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(&create(TABLE, "mixed", Stamps::Guarded)).unwrap();
        let (condition, _) = after(&cluster(TABLE).collect::<Vec<_>>());
        let sql = format!(
            r#"EXPLAIN QUERY PLAN SELECT * FROM "mixed" WHERE "pool" = ? AND ({condition}) ORDER BY "at" DESC, "name" ASC, "part" DESC"#
        );
        let mut statement = connection.prepare(&sql).unwrap();
        let plan: Vec<String> = statement
            .query_map([1, 2, 2, 3, 3, 4], |row| row.get(3))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(plan, ["SEARCH mixed USING PRIMARY KEY (pool=? AND at<?)"]);
    }

    #[test]
    fn rows_not_as_declared_are_told() {
        let good = [Cell::Int(1), Cell::Int(2), Cell::Text("a".into()), Cell::Int(3)];
        let bad = |at: usize, cell: Cell| {
            let mut cells = good.clone();
            cells[at] = cell;
            check_key(TABLE, &cells)
        };
        assert_eq!(check_key(TABLE, &good), Ok(()));
        assert_eq!(check_key(TABLE, &good[..3]), Err(BadRow { column: "part" }));
        assert_eq!(bad(1, Cell::Time(2)), Err(BadRow { column: "at" }));
        assert_eq!(bad(2, Cell::Null), Err(BadRow { column: "name" }));
        let rest = [Cell::Null, Cell::Bytes(Bytes::new()), Cell::Bool(true)];
        let row = [good.as_slice(), &rest].concat();
        assert_eq!(check_row(TABLE, &row), Ok(()));
        assert_eq!(check_row(TABLE, &row[..6]), Err(BadRow { column: "yes" }));
        assert_eq!(
            check_row(TABLE, &[row, vec![Cell::Null]].concat()),
            Err(BadRow { column: "yes" })
        );
    }

    #[test]
    fn a_scan_needs_the_whole_partition_key_and_the_whole_cursor() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(&create(TABLE, "mixed", Stamps::None)).unwrap();
        let read = |scan: &Scan| page(&connection, "mixed", scan);
        assert_eq!(read(&Scan::of::<Mixed>([])), Err(Failure::BadRow(BadRow { column: "pool" })));
        let short = Scan::of::<Mixed>([Cell::Int(1)]).after(Some(vec![Cell::Int(1)]));
        assert_eq!(read(&short), Err(Failure::BadRow(BadRow { column: "name" })));
        assert_eq!(read(&Scan::of::<Mixed>([Cell::Int(1)])), Ok(Page::default()));
        assert_eq!(
            page(&connection, "gone", &Scan::of::<Mixed>([Cell::Int(1)])),
            Err(Failure::NoTable("gone".into()))
        );
    }
}
