//! A secret in a file of its owner's, made once.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::fresh;

/// Makes the file, under another name first so that no one ever reads half a secret. Where another
/// process was first, its secret stays.
pub fn make(path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = write_draft(path, content)?;
    // Unlike a rename this fails when another process was first.
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => File::open(folder_of(path))?.sync_all(),
    }
}

/// Puts a file of its owner's in the place of the one that is there, if one is, as a whole.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::rename(write_draft(path, content)?, path)?;
    File::open(folder_of(path))?.sync_all()
}

/// A durable file of this content, under a name of its own beside `path`.
fn write_draft(path: &Path, content: &[u8]) -> io::Result<OsString> {
    fs::create_dir_all(folder_of(path))?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{:016x}", u64::from_ne_bytes(fresh::bytes())));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok(draft)
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_secret_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/one");
        make(&path, b"first").unwrap();
        make(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
        replace(&path, b"third").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"third");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
