//! Copies of the embedded back ends' files, made while a server writes them.

use std::io;
use std::path::{Path, PathBuf};

use crate::blobs::Folder;
use crate::sqlite;

/// A copy could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failed(String);

/// Copies the tables in a file as they are at one moment to a file that is not there yet: all that
/// was committed before the call, nothing half done. Durable on return; blocks.
pub fn copy_tables(from: &Path, to: &Path) -> Result<(), Failed> {
    sqlite::copy(from, to).map_err(|failure| Failed(format!("{}: {failure}", from.display())))
}

/// The files of all whole objects under a folder of them, folder by folder, each in order. Nothing
/// is written: another process may have the folder open. Blocks.
pub fn object_files(root: &Path) -> impl Iterator<Item = io::Result<Vec<PathBuf>>> + use<> {
    Folder::object_files(root)
}
