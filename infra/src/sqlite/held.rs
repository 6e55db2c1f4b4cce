//! The connection that writes a file of tables, opened anew after it failed.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::{Durable, Failure, open_to_write, reopen_to_write};

/// A connection, or the lack of one.
#[derive(Debug)]
pub(crate) struct Held {
    path: PathBuf,
    durable: Durable,
    connection: Option<Connection>,
}

impl Held {
    /// Opens the file, made if it is not there.
    pub(crate) fn open(path: &Path, durable: Durable) -> Result<Self, Failure> {
        let connection = Some(open_to_write(path, durable)?);
        Ok(Self { path: path.to_owned(), durable, connection })
    }

    /// Does something with the connection. One that failed in a way not understood is closed.
    pub(crate) fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => reopen_to_write(&self.path, self.durable)?,
        };
        let result = work(&mut connection);
        if connection.is_autocommit() && !matches!(result, Err(Failure::Broken(_))) {
            self.connection = Some(connection);
        }
        result
    }
}
