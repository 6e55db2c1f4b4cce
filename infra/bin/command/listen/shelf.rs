//! The folder of received results, and what is remembered in it.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use schemas::api::ResultView;
use schemas::name::PoolName;
use schemas::time::EffectiveAt;
use serde::{Deserialize, Serialize};

/// Longest name of a file on the file systems there are, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// Results of one pool in a folder. One process at a time.
#[derive(Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
    latest_only: bool,
    notes: Notes,
    _lock: File,
}

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Notes {
    pool: PoolName,
    /// Sequence number of the last result.
    after: Option<u64>,
    /// The greatest one: its window's end, part and revision.
    latest: Option<(EffectiveAt, u32, u32)>,
    /// How often that one was corrected.
    #[serde(default)]
    correction: u32,
}

impl Shelf {
    pub(super) fn open(folder: PathBuf, pool: PoolName, latest_only: bool) -> anyhow::Result<Self> {
        let named = || folder.display().to_string();
        fs::create_dir_all(&folder).with_context(named)?;
        let lock = File::create(folder.join(".sluice.lock")).with_context(named)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("{}: another sluice listens here", named()),
            Err(TryLockError::Error(error)) => return Err(error).with_context(named),
        }
        let notes: Notes = match fs::read(notes_path(&folder)) {
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("{}: mend or remove it", notes_path(&folder).display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Notes { pool: pool.clone(), after: None, latest: None, correction: 0 }
            }
            Err(error) => return Err(error).with_context(named),
        };
        if notes.pool != pool {
            bail!("{} holds results of {}: choose another folder", named(), notes.pool);
        }
        Ok(Self { folder, latest_only, notes, _lock: lock })
    }

    pub(super) fn pool(&self) -> &PoolName {
        &self.notes.pool
    }

    pub(super) fn wants_latest_only(&self) -> bool {
        self.latest_only
    }

    pub(super) fn after(&self) -> Option<u64> {
        self.notes.after
    }

    /// Whether a result is still to be received. The latest never goes backwards.
    pub(super) fn lacks(&self, result: &ResultView) -> bool {
        if self.latest_only {
            (Some(rank(result)), result.correction) > self.notes.rank()
        } else {
            Some(result.seq) > self.notes.after
        }
    }

    /// Whether it is the greatest that was received.
    pub(super) fn is_newest(&self, result: &ResultView) -> bool {
        (Some(rank(result)), result.correction) == self.notes.rank()
    }

    /// Remembers that a result was received.
    pub(super) fn note(&mut self, result: &ResultView) -> anyhow::Result<()> {
        self.notes.after = self.notes.after.max(Some(result.seq));
        let greatest = self.notes.rank().max((Some(rank(result)), result.correction));
        (self.notes.latest, self.notes.correction) = greatest;
        let path = notes_path(&self.folder);
        let write = || -> anyhow::Result<()> {
            let file = tempfile::NamedTempFile::new_in(&self.folder)?;
            serde_json::to_writer(&file, &self.notes)?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            Ok(())
        };
        write().with_context(|| path.display().to_string())
    }

    /// Where a result is kept. Names of results may clash, so its place comes before its name.
    pub(super) fn path(&self, result: &ResultView) -> PathBuf {
        let name = result.name.as_str();
        let name = if !self.latest_only {
            let start = result.window.start.to_string().replace(':', "-").replace(".000", "");
            let correction = match result.correction {
                0 => String::new(),
                n => format!(".{n}"),
            };
            let place = format!("{start}_{}.{}{correction}_", result.part, result.revision);
            let room = NAME_BYTES_MAX - place.len();
            let cut = name.ceil_char_boundary(name.len().saturating_sub(room));
            place + name.get(cut..).unwrap_or_default()
        } else if name.starts_with('.') {
            // Names with a dot in front are ours here.
            let name = format!("result{name}");
            name.get(..name.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or_default().to_owned()
        } else {
            name.to_owned()
        };
        self.folder.join(name)
    }
}

impl Notes {
    fn rank(&self) -> (Option<(EffectiveAt, u32, u32)>, u32) {
        (self.latest, self.correction)
    }
}

fn notes_path(folder: &Path) -> PathBuf {
    folder.join(".sluice.json")
}

fn rank(result: &ResultView) -> (EffectiveAt, u32, u32) {
    (result.window.end, result.part, result.revision)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn result(seq: u64, start: &str, part: u32, revision: u32, name: &str) -> ResultView {
        let id = "0199f3a2-5c1e-7d53-b0a4-3d2f0c7f9a11";
        let value = json!({
            "result": id, "seq": seq, "batch": id, "part": part, "revision": revision,
            "name": name, "window": {"start": start, "end": start, "kind": "grid"},
            "media_type": "text/csv", "size_bytes": 1, "published_at": start,
            "sha256": schemas::digest::Digest::of(b"x"),
        });
        serde_json::from_value(value).unwrap()
    }

    fn open(folder: &Path, latest_only: bool) -> Shelf {
        Shelf::open(folder.to_owned(), "north".parse().unwrap(), latest_only).unwrap()
    }

    const EARLY: &str = "2026-11-21T10:30:00.000Z";
    const LATER: &str = "2026-11-21T10:35:00.000Z";

    #[test]
    fn results_are_received_once_across_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = open(folder.path(), false);
        assert!(shelf.lacks(&result(0, EARLY, 1, 1, "a")) && shelf.after().is_none());
        shelf.note(&result(7, EARLY, 1, 1, "a")).unwrap();
        drop(shelf);
        let shelf = open(folder.path(), false);
        assert_eq!(shelf.after(), Some(7));
        assert!(!shelf.lacks(&result(7, EARLY, 1, 1, "a")));
        assert!(shelf.lacks(&result(8, EARLY, 1, 1, "a")));
    }

    #[test]
    fn the_latest_never_goes_backwards() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = open(folder.path(), true);
        shelf.note(&result(7, LATER, 1, 2, "a")).unwrap();
        assert!(
            !shelf.lacks(&result(8, EARLY, 9, 9, "a")),
            "published later, of an earlier window"
        );
        assert!(!shelf.lacks(&result(8, LATER, 1, 1, "a")));
        assert!(shelf.lacks(&result(8, LATER, 1, 3, "a")));
        assert!(shelf.lacks(&result(8, LATER, 2, 1, "a")));
        shelf.note(&result(6, EARLY, 1, 1, "a")).unwrap();
        assert!(!shelf.lacks(&result(9, LATER, 1, 2, "a")));
        let corrected = ResultView { correction: 1, ..result(10, LATER, 1, 2, "a") };
        assert!(shelf.lacks(&corrected), "a correction of the newest");
        shelf.note(&corrected).unwrap();
        assert!(!shelf.lacks(&corrected) && shelf.is_newest(&corrected));
        assert!(shelf.lacks(&result(11, LATER, 1, 3, "a")));
    }

    #[test]
    fn names_tell_results_apart_and_fit() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = open(folder.path(), false);
        let name = |shelf: &Shelf, name: &str| {
            let path = shelf.path(&result(1, EARLY, 2, 3, name));
            path.file_name().unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(name(&shelf, "mean.csv"), "2026-11-21T10-30-00Z_2.3_mean.csv");
        let corrected = ResultView { correction: 2, ..result(1, EARLY, 2, 3, "mean.csv") };
        assert!(shelf.path(&corrected).ends_with("2026-11-21T10-30-00Z_2.3.2_mean.csv"));
        let long = name(&shelf, &format!("{}.csv", "ä".repeat(125)));
        assert!(long.len() <= 255 && long.ends_with("ä.csv") && long.starts_with("2026"), "{long}");
        drop(shelf);
        let shelf = open(folder.path(), true);
        assert_eq!(name(&shelf, "mean.csv"), "mean.csv");
        assert_eq!(name(&shelf, ".sluice.json"), "result.sluice.json");
    }

    #[test]
    fn a_folder_is_one_pools_and_one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = open(folder.path(), false);
        let again =
            |pool: &str| Shelf::open(folder.path().to_owned(), pool.parse().unwrap(), false);
        assert!(again("north").unwrap_err().to_string().contains("another sluice"));
        shelf.note(&result(1, EARLY, 1, 1, "a")).unwrap();
        drop(shelf);
        assert!(again("south").unwrap_err().to_string().contains("results of north"));
        assert!(again("north").is_ok());
    }
}
