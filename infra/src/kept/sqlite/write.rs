//! What the one thread does that writes the kept file: whatever waits is one transaction.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params_from_iter};
use tokio::sync::oneshot;

use crate::faults;
use crate::kept::Cells;
use crate::sqlite::rows::{self, Stamps};
use crate::sqlite::{Durable, Failure, Held, Weigh, make};
use crate::table::{Cell, Table};

/// A write that waits.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) write: Write,
    /// Told once it is durable: whether anything changed.
    pub(super) answer: oneshot::Sender<Result<bool, Failure>>,
}

/// A write. Its cells are as declared.
#[derive(Debug)]
pub(super) enum Write {
    Create(Vec<&'static Table>),
    InsertNew(Cells),
    Put(Cells),
    Delete(&'static Table, Vec<Cell>),
}

impl Weigh for Job {
    fn weight(&self) -> usize {
        1
    }
}

/// The writer of the file.
pub(super) struct Writer {
    held: Held,
}

impl Writer {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        Ok(Self { held: Held::open(path, Durable::AtCommit)? })
    }

    /// Writes a group of jobs and answers each once all are durable.
    pub(super) fn write(&mut self, jobs: Vec<Job>) {
        let written = self.held.with(|file| {
            let file = file.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut changed = Vec::with_capacity(jobs.len());
            for job in &jobs {
                changed.push(match job.write.run(&file) {
                    // It did nothing: the others are not concerned.
                    Err(failure @ (Failure::NoTable(_) | Failure::Otherwise(_))) => Err(failure),
                    done => Ok(done?),
                });
            }
            faults::crash_point("kept.before-commit");
            file.commit()?;
            faults::crash_point("kept.after-commit");
            Ok(changed)
        });
        match written {
            Ok(changed) => {
                for (job, changed) in jobs.into_iter().zip(changed) {
                    _ = job.answer.send(changed);
                }
            }
            Err(failure) => {
                tracing::warn!(jobs = jobs.len(), "not kept: {failure}");
                for job in jobs {
                    _ = job.answer.send(Err(failure.clone()));
                }
            }
        }
    }
}

impl Write {
    fn run(&self, file: &Connection) -> Result<bool, Failure> {
        let (sql, cells) = match self {
            Self::Create(tables) => {
                for table in tables {
                    make(file, table, table.name, Stamps::None)?;
                }
                return Ok(true);
            }
            Self::InsertNew(row) => (rows::insert_new(row.table, row.table.name), &row.cells),
            Self::Put(row) => (rows::upsert(row.table, row.table.name, Stamps::None), &row.cells),
            Self::Delete(table, key) => (rows::delete(table, table.name, Stamps::None), key),
        };
        Ok(file.prepare_cached(&sql)?.execute(params_from_iter(cells))? > 0)
    }
}
