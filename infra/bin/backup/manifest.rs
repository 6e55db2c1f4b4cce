//! What a backup consists of: each file with its length and digest, and a digest over all of that.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use schemas::digest::Digest;
use schemas::time::Wall;
use serde::{Deserialize, Serialize};

/// The file of the manifest: written last, so that a folder without one is no backup.
pub(crate) const MANIFEST_FILE: &str = "manifest.json";
/// The form of backups that this program makes and reads.
pub(crate) const FORM: u32 = 1;

/// What a backup consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) form: u32,
    /// The program that made it.
    pub(crate) sluice: String,
    /// All that was acknowledged before is in it.
    pub(crate) began_at: Wall,
    pub(crate) files: Vec<Entry>,
    /// Digest of the entries.
    pub(crate) sha256: Digest,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Its place in the data folder, parts separated by `/`.
    pub(crate) path: String,
    pub(crate) size_bytes: u64,
    pub(crate) sha256: Digest,
}

impl Manifest {
    /// Of these files.
    pub(crate) fn new(began_at: Wall, files: Vec<Entry>) -> Self {
        let sha256 = digest(&files);
        let sluice = crate::up::VERSION.to_owned();
        Self { form: FORM, sluice, began_at, files, sha256 }
    }

    /// The one in this folder, if it is whole.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(MANIFEST_FILE);
        let named = || format!("{} is no whole backup: {MANIFEST_FILE}", folder.display());
        let text = fs::read(&path).with_context(named)?;
        let manifest: Self = serde_json::from_slice(&text).with_context(named)?;
        if manifest.form != FORM {
            bail!("the backup has form {}, this program reads {FORM}", manifest.form);
        }
        if digest(&manifest.files) != manifest.sha256 {
            bail!("{}: its list of files was changed", named());
        }
        let is_inside = |entry: &Entry| {
            entry
                .path
                .split('/')
                .all(|part| !matches!(part, "" | "." | "..") && !part.contains('\\'))
        };
        match manifest.files.iter().find(|entry| !is_inside(entry)) {
            Some(outside) => bail!("{}: {} leads out of it", named(), outside.path),
            None => Ok(manifest),
        }
    }
}

fn digest(files: &[Entry]) -> Digest {
    let mut text = String::new();
    for Entry { path, size_bytes, sha256 } in files {
        writeln!(text, "{sha256} {size_bytes} {path}").expect("a string");
    }
    Digest::of(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_was_changed_is_no_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let entry = |path: &str| Entry {
            path: path.to_owned(),
            size_bytes: 1,
            sha256: Digest::of(path.as_bytes()),
        };
        let put = |manifest: &Manifest| {
            let text = serde_json::to_vec(manifest).unwrap();
            fs::write(folder.path().join(MANIFEST_FILE), text).unwrap();
        };
        let good = Manifest::new(Wall::from_millis(5), vec![entry("a"), entry("b/c")]);
        put(&good);
        assert_eq!(Manifest::read(folder.path()).unwrap(), good);
        let mut shorter = good.clone();
        shorter.files.pop();
        put(&shorter);
        assert!(Manifest::read(folder.path()).is_err());
        for path in ["../a", "a/../../b", "/etc/passwd", "a//b"] {
            put(&Manifest::new(Wall::from_millis(5), vec![entry(path)]));
            assert!(Manifest::read(folder.path()).is_err(), "{path}");
        }
        put(&Manifest { form: 2, ..good });
        assert!(Manifest::read(folder.path()).is_err());
    }
}
