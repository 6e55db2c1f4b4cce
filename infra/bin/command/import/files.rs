//! The files of a folder and of those in it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// Files of one import at most.
const FILES_MAX: usize = 1_000_000;

/// All files below a folder, in the order of their paths.
pub(super) fn below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        let named = || folder.display().to_string();
        for entry in fs::read_dir(&folder).with_context(named)? {
            let entry = entry.with_context(named)?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            // Of a link this is the link's own: it is neither.
            let kind = entry.file_type().with_context(named)?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
        if files.len() > FILES_MAX {
            bail!("there are more than {FILES_MAX} files: import the folders in it one by one");
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_below_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("b/c")).unwrap();
        for name in ["z", "b/c/x", "b/a", ".hidden"] {
            fs::write(at(name), name).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(at("z"), at("link")).unwrap();
        assert_eq!(below(folder.path()).unwrap(), [at("b/a"), at("b/c/x"), at("z")]);
        assert!(below(&at("none")).is_err());
    }
}
