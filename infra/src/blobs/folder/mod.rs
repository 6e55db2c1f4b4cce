//! Blobs in a folder: each object a file, whole or not there.
//!
//! An object is streamed under a name that says it is not whole, synced, renamed, and its folder
//! synced: then it counts. Opening looks at every name once to remove what a crash left behind.

mod disk;
mod parts;
mod place;
mod put;
mod read;
mod sweep;
mod threads;
#[cfg(feature = "faults")]
mod volatile;

#[cfg(test)]
#[cfg(feature = "faults")]
mod killed_tests;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use schemas::name::ObjectKey;
use schemas::time::Wall;

use self::threads::Threads;
use super::{Blobs, Body, Multipart, Part, Result, Stale, Stat, Verb};

/// When it may help to ask again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Blobs in a folder.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    threads: Threads,
}

impl Folder {
    /// Opens the folder, made if it is not there. Only one process may have it open: the caller
    /// holds the lock of the data folder.
    pub async fn open(root: &Path) -> Result<Self> {
        let folder = Self { root: root.to_owned(), threads: Threads::new() };
        let root = folder.root.clone();
        folder.threads.run(move || prepare(&root).map_err(disk::refused)).await?;
        Ok(folder)
    }

    /// The files of all whole objects, folder by folder, without opening it.
    pub(crate) fn object_files(
        root: &Path,
    ) -> impl Iterator<Item = io::Result<Vec<PathBuf>>> + use<> {
        place::fans(root).map(|fan| {
            let mut files = Vec::new();
            for entry in fs::read_dir(&fan)? {
                let name = entry?.file_name();
                if name.to_str().is_some_and(|name| place::object_key(name).is_some()) {
                    files.push(fan.join(name));
                }
            }
            files.sort();
            Ok(files)
        })
    }

    fn object(&self, key: &ObjectKey) -> PathBuf {
        place::fan(&self.root, key).join(place::object_name(key))
    }
}

fn prepare(root: &Path) -> io::Result<()> {
    fs::create_dir_all(root)?;
    for fan in place::fans(root) {
        match fs::create_dir(&fan) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    disk::sync_folder_of(&root.join("any"))?;
    disk::sync_folder_of(root)?;
    sweep::remove_leftovers(root)
}

#[async_trait]
impl Blobs for Folder {
    async fn put(&self, key: &ObjectKey, size_bytes: Option<u64>, body: Body) -> Result<()> {
        put::put(&self.threads, self.object(key), size_bytes, body).await
    }

    async fn begin(&self, key: &ObjectKey) -> Result<Multipart> {
        let upload = Multipart { key: key.clone(), token: place::token() };
        let folder = parts::folder(&self.root, &upload)?;
        self.threads.run(move || parts::begin(&folder)).await?;
        Ok(upload)
    }

    async fn part(&self, of: &Multipart, number: u16, bytes: Vec<Bytes>) -> Result<Part> {
        let folder = parts::folder(&self.root, of)?;
        self.threads.run(move || parts::part(&folder, number, &bytes)).await
    }

    async fn finish(&self, of: &Multipart, parts: &[Part]) -> Result<()> {
        let folder = parts::folder(&self.root, of)?;
        let (parts, object) = (parts.to_vec(), self.object(&of.key));
        self.threads.run(move || parts::finish(&folder, &parts, &object)).await
    }

    async fn get(&self, key: &ObjectKey, range: Range<u64>) -> Result<Body> {
        read::get(&self.threads, self.object(key), range).await
    }

    async fn stat(&self, key: &ObjectKey) -> Result<Option<Stat>> {
        let path = self.object(key);
        self.threads.run(move || read::stat(path)).await
    }

    async fn stale(&self, before: Wall) -> Result<BoxStream<'static, Result<Stale>>> {
        Ok(sweep::walk(&self.threads, &self.root, before))
    }

    async fn remove(&self, stale: Stale) -> Result<()> {
        let root = self.root.clone();
        self.threads.run(move || sweep::remove(&root, &stale)).await
    }

    /// Never: clients cannot reach a folder.
    fn presign(&self, _: &ObjectKey, _: Verb, _: Duration) -> Option<String> {
        None
    }
}
