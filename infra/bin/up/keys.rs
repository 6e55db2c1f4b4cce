//! The secret that upload ids are made with: 32 bytes in a file of its owner's.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use ingest::UploadKey;

/// The key in this file; made when it is not there. The data folder is this process's alone.
pub(crate) fn upload_key(path: &Path) -> anyhow::Result<UploadKey> {
    let named = || path.display().to_string();
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes.try_into().map_err(|_| anyhow!("{} does not hold 32 bytes", named()))?,
        Err(error) if error.kind() == ErrorKind::NotFound => make(path).with_context(named)?,
        Err(error) => return Err(error).with_context(named),
    };
    Ok(UploadKey::from_bytes(bytes))
}

/// A fresh key, there whole or not at all.
fn make(path: &Path) -> io::Result<[u8; 32]> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let fresh: [u8; 32] = infra::fresh::bytes();
    let beside = path.with_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(&fresh)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(folder)?.sync_all()?;
    Ok(fresh)
}
