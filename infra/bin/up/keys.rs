//! The secret that upload ids are made with: 32 bytes in a file of its owner's.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};

/// The key in this file; made when it is not there.
pub(crate) fn upload_key(path: &Path) -> anyhow::Result<[u8; 32]> {
    let named = || path.display().to_string();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(named)?;
    }
    let fresh: [u8; 32] = infra::fresh::bytes();
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(mut file) => {
            file.write_all(&fresh).and_then(|()| file.sync_all()).with_context(named)?;
            Ok(fresh)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let bytes = fs::read(path).with_context(named)?;
            bytes.try_into().map_err(|_| anyhow!("{} does not hold 32 bytes", named()))
        }
        Err(error) => Err(error).with_context(named),
    }
}
