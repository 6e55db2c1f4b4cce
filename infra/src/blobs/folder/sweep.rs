//! Walking through the folder: what may be of no use, and what a crash left behind.

use std::fs::{self, DirEntry, ReadDir};
use std::io;
use std::path::{Path, PathBuf};

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use schemas::time::Wall;

use super::threads::Threads;
use super::{disk, parts, place, read};
use crate::blobs::{Result, Stale};

/// Entries that are looked at in one go.
const ENTRIES_MAX: usize = 256;

/// Where a walk is.
struct Walk {
    fans: Box<dyn Iterator<Item = PathBuf> + Send>,
    folder: Option<ReadDir>,
}

impl Walk {
    /// The next entries; `None` at the end.
    fn step(mut self, before: Wall) -> Result<Option<(Vec<Stale>, Self)>> {
        let Some(folder) = &mut self.folder else {
            let Some(fan) = self.fans.next() else { return Ok(None) };
            self.folder = Some(fs::read_dir(fan).map_err(disk::refused)?);
            return Ok(Some((Vec::new(), self)));
        };
        let mut found = Vec::new();
        for _ in 0..ENTRIES_MAX {
            let Some(entry) = folder.next() else {
                self.folder = None;
                break;
            };
            found.extend(stale(&entry.map_err(disk::refused)?, before));
        }
        Ok(Some((found, self)))
    }
}

/// What this is, if it is from before then. What vanished meanwhile is nothing.
fn stale(entry: &DirEntry, before: Wall) -> Option<Stale> {
    let name = entry.file_name().into_string().ok()?;
    let metadata = entry.metadata().ok()?;
    if let Some(upload) = place::parts_of(&name) {
        let begun_at = read::made_at(&metadata);
        return (begun_at < before).then_some(Stale::Multipart { upload, begun_at });
    }
    let put_at = read::written_at(&metadata);
    let key = place::object_key(&name)?;
    (put_at < before).then_some(Stale::Object { key, put_at })
}

/// What was put or begun before then, read as it is asked for.
pub(super) fn walk(
    threads: &Threads,
    root: &Path,
    before: Wall,
) -> BoxStream<'static, Result<Stale>> {
    let threads = threads.clone();
    let walk = Walk { fans: Box::new(place::fans(root)), folder: None };
    let steps = stream::try_unfold(walk, move |walk| {
        let threads = threads.clone();
        async move { threads.run(move || walk.step(before)).await }
    });
    steps.map_ok(|found| stream::iter(found).map(Ok)).try_flatten().boxed()
}

/// Removes it, or finds it gone.
pub(super) fn remove(root: &Path, stale: &Stale) -> Result<()> {
    let removed = match stale {
        Stale::Object { key, .. } => {
            let path = place::fan(root, key).join(place::object_name(key));
            fs::remove_file(disk::seen(path))
        }
        Stale::Multipart { upload, .. } => fs::remove_dir_all(parts::folder(root, upload)?),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk::refused(error)),
        _ => Ok(()),
    }
}

/// Removes what a crash left behind. Parts that are durable stay.
pub(super) fn remove_leftovers(root: &Path) -> io::Result<()> {
    for fan in place::fans(root) {
        remove_unfinished(&fan)?;
    }
    Ok(())
}

fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if place::parts_of(name).is_some() {
            remove_unfinished(&entry.path())?;
        } else if place::is_unfinished(name) && entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else if place::is_unfinished(name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
