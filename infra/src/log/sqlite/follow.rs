//! A log that another process writes: looked at for news, never written.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use rusqlite::Connection;
use schemas::topic::Topic;

use super::known::Known;
use super::recent::Recent;
use super::tail::SqliteTail;
use super::{READERS_MAX, refused, stored};
use crate::log::{Find, Group, Owned, Position, Read, Result, Tail};
use crate::sqlite::{Failure, Readers, open_to_read};

/// How often a reader that waits looks for news.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Looks whether the file has changed.
#[derive(Debug)]
pub(super) struct Follower {
    known: Arc<Known>,
    file: Arc<Mutex<Followed>>,
}

#[derive(Debug)]
struct Followed {
    connection: Connection,
    /// SQLite's own count of changes by others.
    version: i64,
}

impl Follower {
    /// Waits a little, then looks. It may return without news.
    pub(super) async fn wait(&self) {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Err(failure) = self.look().await {
            tracing::warn!("cannot look for news in the log: {failure}");
        }
    }

    /// Looks for news now.
    pub(super) async fn look(&self) -> Result<(), Failure> {
        let (known, file) = (Arc::clone(&self.known), Arc::clone(&self.file));
        let look = tokio::task::spawn_blocking(move || {
            let mut file = file.lock().expect("nothing panics while holding it");
            let version = file.connection.pragma_query_value(None, "data_version", |v| v.get(0))?;
            if version != file.version {
                known.looked_at(stored::topics(&file.connection)?);
                file.version = version;
            }
            Ok(())
        });
        look.await.map_err(|_| Failure::Broken("the process is ending".to_owned()))?
    }
}

/// The embedded log, read while another process may write it.
#[derive(Debug)]
pub struct SqliteLogReader {
    known: Arc<Known>,
    follower: Arc<Follower>,
}

impl SqliteLogReader {
    /// Opens the log in this file, which must be there. It is never written.
    pub async fn open(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            let connection = open_to_read(&path)?;
            let version = connection.pragma_query_value(None, "data_version", |v| v.get(0))?;
            let topics = stored::topics(&connection)?;
            let known = Known::new(topics, Recent::new(0), Readers::new(path, READERS_MAX));
            let file = Arc::new(Mutex::new(Followed { connection, version }));
            let follower = Arc::new(Follower { known: Arc::clone(&known), file });
            Ok(Self { known, follower })
        });
        let opened = opened.await.unwrap_or_else(|e| Err(Failure::Broken(e.to_string())));
        opened.map_err(|failure| refused(&failure))
    }
}

#[async_trait]
impl Read for SqliteLogReader {
    async fn find(&self, topic: &Topic, at: Find) -> Result<Position> {
        self.follower.look().await.map_err(|failure| refused(&failure))?;
        self.known.find(topic, at).await
    }

    async fn tail(&self, ahead_bytes_max: usize) -> Result<Box<dyn Tail>> {
        let follower = Some(Arc::clone(&self.follower));
        Ok(Box::new(SqliteTail::new(Arc::clone(&self.known), follower, ahead_bytes_max)))
    }

    /// A reader owns nothing: it must not write.
    async fn own(&self, _: Group) -> Result<BoxStream<'static, Result<Owned>>> {
        Ok(stream::pending().boxed())
    }
}
