//! What the one thread does that writes the views' file.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{
    CachedStatement, Connection, Transaction, TransactionBehavior, params, params_from_iter,
};

use super::active;
use crate::faults::{self, Bug};
use crate::sqlite::rows::{self, Stamps};
use crate::sqlite::{Durable, Failure, Held, make};
use crate::table::{Cell, Table};
use crate::views::{Checkpoint, Op, View, Writes};

/// Names that no view's table can have: those end in a number.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS sluice_active (
        view TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS sluice_tables (
        view TEXT NOT NULL, version INTEGER NOT NULL, name TEXT NOT NULL,
        PRIMARY KEY (view, version, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS sluice_checkpoints (
        view TEXT NOT NULL, version INTEGER NOT NULL, topic TEXT NOT NULL,
        topic_id BLOB NOT NULL, next INTEGER NOT NULL, cause INTEGER, cause_index INTEGER,
        stamp_us INTEGER NOT NULL, PRIMARY KEY (view, version, topic)
    ) STRICT, WITHOUT ROWID;
";

/// The statements of one table of one version.
struct Statements {
    upsert: String,
    delete: String,
}

/// The writer of the file.
pub(super) struct Writer {
    held: Held,
    statements: HashMap<(&'static str, u32), Statements>,
}

/// The table of this version.
pub(super) fn table_name(table: &'static Table, version: u32) -> String {
    format!("{}_{version}", table.name)
}

impl Writer {
    pub(super) fn open(path: &Path, durable: Durable) -> Result<Self, Failure> {
        let mut held = Held::open(path, durable)?;
        held.with(|file| Ok(file.execute_batch(TABLES)?))?;
        Ok(Self { held, statements: HashMap::new() })
    }

    pub(super) fn create(&mut self, view: View, tables: &[&'static Table]) -> Result<(), Failure> {
        self.transact(|file| {
            for table in tables {
                let name = table_name(table, view.version);
                make(file, table, &name, Stamps::Guarded)?;
                file.execute(
                    "INSERT INTO sluice_tables VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                    params![view.name, view.version, name],
                )?;
            }
            Ok(())
        })
    }

    pub(super) fn apply(
        &mut self,
        view: View,
        writes: &Writes,
        upto: &[Checkpoint],
    ) -> Result<(), Failure> {
        for (op, cells) in writes.iter() {
            let check = if op.delete { rows::check_key } else { rows::check_row };
            check(op.table, cells)?;
        }
        if faults::planted(Bug::OffsetBeforeEffect) {
            self.transact(|file| save(file, view, upto))?;
        }
        let Self { held, statements } = self;
        held.with(|file| {
            let file = file.transaction_with_behavior(TransactionBehavior::Immediate)?;
            faults::crash_point("views.before-rows");
            write(&file, view.version, writes, statements)?;
            faults::crash_point("views.before-checkpoint");
            save(&file, view, upto)?;
            file.commit()?;
            faults::crash_point("views.after-commit");
            Ok(())
        })
    }

    pub(super) fn activate(&mut self, view: View) -> Result<(), Failure> {
        self.transact(|file| {
            if names(file, view)?.is_empty() {
                return Err(Failure::NoTable(format!("of {} {}", view.name, view.version)));
            }
            file.execute(
                "INSERT INTO sluice_active VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET version = excluded.version",
                params![view.name, view.version],
            )?;
            Ok(())
        })
    }

    pub(super) fn discard(&mut self, view: View) -> Result<(), Failure> {
        self.transact(|file| {
            if active(file, view.name)? == Some(view.version) {
                return Err(Failure::Busy(format!("{} {} is being read", view.name, view.version)));
            }
            for name in names(file, view)? {
                file.execute_batch(&format!("DROP TABLE \"{name}\""))?;
            }
            for table in ["sluice_tables", "sluice_checkpoints"] {
                let sql = format!("DELETE FROM {table} WHERE view = ?1 AND version = ?2");
                file.execute(&sql, params![view.name, view.version])?;
            }
            Ok(())
        })
    }

    fn transact(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.held.with(|file| {
            let file = file.transaction_with_behavior(TransactionBehavior::Immediate)?;
            work(&file)?;
            Ok(file.commit()?)
        })
    }
}

/// The tables that were made for a version.
fn names(file: &Connection, view: View) -> Result<Vec<String>, Failure> {
    let mut names =
        file.prepare_cached("SELECT name FROM sluice_tables WHERE view = ?1 AND version = ?2")?;
    let names = names.query_map(params![view.name, view.version], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Writes the rows. A statement is looked up once for each table, not once for each row.
fn write(
    file: &Connection,
    version: u32,
    writes: &Writes,
    statements: &mut HashMap<(&'static str, u32), Statements>,
) -> Result<(), Failure> {
    let mut prepared: Vec<(&'static str, bool, CachedStatement<'_>)> = Vec::new();
    for (op, cells) in writes.iter() {
        let name = op.table.name;
        let known = prepared
            .iter()
            .position(|(table, delete, _)| std::ptr::eq(*table, name) && *delete == op.delete);
        let at = known.unwrap_or(prepared.len());
        if known.is_none() {
            let sql = sql(op, version, statements);
            prepared.push((name, op.delete, file.prepare_cached(sql)?));
        }
        let Some((_, _, statement)) = prepared.get_mut(at) else { continue };
        let stamp = Cell::Int(op.stamp_us);
        statement.execute(params_from_iter(cells.iter().chain([&stamp])))?;
    }
    Ok(())
}

fn sql<'a>(
    op: &Op,
    version: u32,
    statements: &'a mut HashMap<(&'static str, u32), Statements>,
) -> &'a str {
    let statements = statements.entry((op.table.name, version)).or_insert_with(|| {
        let name = table_name(op.table, version);
        Statements {
            upsert: rows::upsert(op.table, &name, Stamps::Guarded),
            delete: rows::delete(op.table, &name, Stamps::Guarded),
        }
    });
    if op.delete { &statements.delete } else { &statements.upsert }
}

fn save(file: &Connection, view: View, checkpoints: &[Checkpoint]) -> Result<(), Failure> {
    let mut save = file.prepare_cached(
        "INSERT INTO sluice_checkpoints VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT DO UPDATE SET topic_id = excluded.topic_id, next = excluded.next,
         cause = excluded.cause, cause_index = excluded.cause_index, stamp_us = excluded.stamp_us",
    )?;
    for upto in checkpoints {
        save.execute(params![
            view.name,
            view.version,
            upto.topic.name(),
            upto.position.topic_id.as_bytes(),
            upto.position.next.cast_signed(),
            upto.pair.map(|(cause, _)| cause.cast_signed()),
            upto.pair.map(|(_, index)| index),
            upto.stamp_us,
        ])?;
    }
    Ok(())
}
