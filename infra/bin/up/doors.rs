//! Opens the doors: the back ends that what was said chooses.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use engines::kafka::{KafkaConfig, KafkaLog};
use infra::blobs::{Blobs, Folder};
use infra::clock::Clock;
use infra::kept::{Kept, SqliteKept};
use infra::log::{self, Append, Read, SqliteLog, SqliteLogReader};
use infra::views::{SqliteViews, Views};
use schemas::limit::Limits;

use super::config::LogUrl;

/// How long Kafka may take to hear that we are gone.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// The doors of one process.
pub(crate) struct Doors {
    pub(crate) append: Arc<dyn Append>,
    pub(crate) read: Arc<dyn Read>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) views: Arc<dyn Views>,
    pub(crate) kept: Arc<dyn Kept>,
    /// The log, where it is on Kafka: closing it takes more than dropping it.
    kafka: Option<Arc<KafkaLog>>,
    /// Held as long as the doors are: no other process may write this folder.
    _lock: File,
}

/// Takes the folder for this process alone.
fn lock(data: &Path) -> anyhow::Result<File> {
    std::fs::create_dir_all(data).with_context(|| format!("make {}", data.display()))?;
    let path = data.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            bail!("{} is in use by another process", data.display())
        }
        Err(std::fs::TryLockError::Error(error)) => Err(error).context("lock the data folder"),
    }
}

impl Doors {
    /// Opens all of them in this folder.
    pub(crate) async fn open(
        data: &Path,
        log: &LogUrl,
        limits: &Limits,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let lock = lock(data)?;
        let (append, read, kafka) =
            open_log(data, log, limits, clock).await.context("open the log")?;
        let blobs = Folder::open(&data.join("blobs")).await.context("open the files")?;
        let views =
            SqliteViews::open(&data.join("views.sqlite")).await.context("open the tables")?;
        let kept =
            SqliteKept::open(&data.join("kept.sqlite")).await.context("open what is kept")?;
        let (blobs, views, kept) = (Arc::new(blobs), Arc::new(views), Arc::new(kept));
        Ok(Self { append, read, blobs, views, kept, kafka, _lock: lock })
    }

    /// Tells Kafka that this process is gone: others have its shards at once then, and not only
    /// when they have not heard of it for a session. All that reads must have ended.
    pub(crate) async fn close(&self) {
        if let Some(kafka) = &self.kafka
            && !kafka.close(CLOSE_MAX).await
        {
            tracing::warn!("the log did not close in time: its shards are free later");
        }
    }
}

/// A log's two sides, and itself where it is on Kafka.
type OpenLog = (Arc<dyn Append>, Arc<dyn Read>, Option<Arc<KafkaLog>>);

async fn open_log(
    data: &Path,
    log: &LogUrl,
    limits: &Limits,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<OpenLog> {
    let record_bytes_max = usize::try_from(limits.record_bytes_max)?;
    match log {
        LogUrl::File => {
            let options = log::Options { record_bytes_max, ..log::Options::default() };
            let path = data.join("log.sqlite");
            let log = Arc::new(SqliteLog::open(&path, options, Arc::clone(clock)).await?);
            Ok((Arc::<SqliteLog>::clone(&log), log, None))
        }
        LogUrl::Kafka(addresses) => {
            let config = KafkaConfig { record_bytes_max, ..KafkaConfig::new(addresses) };
            let log = KafkaLog::open(config)?;
            Ok((Arc::<KafkaLog>::clone(&log), Arc::<KafkaLog>::clone(&log), Some(log)))
        }
    }
}

/// Opens the log to read it beside the process that writes it.
pub(crate) async fn open_log_to_read(data: &Path, log: &LogUrl) -> anyhow::Result<Arc<dyn Read>> {
    match log {
        LogUrl::File => {
            let path = data.join("log.sqlite");
            if !path.try_exists()? {
                bail!("there is no log in {}", data.display());
            }
            Ok(Arc::new(SqliteLogReader::open(&path).await?))
        }
        LogUrl::Kafka(addresses) => Ok(KafkaLog::open(KafkaConfig::new(addresses))?),
    }
}
