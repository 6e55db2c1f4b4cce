//! The embedded log passes the suite, and what only it can promise.

use tempfile::TempDir;

use super::*;
use crate::clock::SystemClock;
use crate::log::suite::{self, Rig};

struct SqliteRig {
    folder: TempDir,
    options: Options,
    log: Arc<SqliteLog>,
    named: u32,
}

impl SqliteRig {
    async fn new(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = open(&folder, options).await;
        Self { folder, options, log, named: 0 }
    }
}

async fn open(folder: &TempDir, options: Options) -> Arc<SqliteLog> {
    let path = folder.path().join("log.sqlite");
    Arc::new(SqliteLog::open(&path, options, SystemClock::new()).await.unwrap())
}

#[async_trait]
impl Rig for SqliteRig {
    fn append(&self) -> Arc<dyn Append> {
        Arc::clone(&self.log) as Arc<dyn Append>
    }

    fn read(&self) -> Arc<dyn Read> {
        Arc::clone(&self.log) as Arc<dyn Read>
    }

    fn fresh(&mut self, what: &str) -> Topic {
        self.named += 1;
        Topic::named(&format!("suite.{what}.{}", self.named))
    }

    fn record_bytes_max(&self) -> usize {
        self.options.record_bytes_max
    }

    async fn reopen(&mut self) {
        self.log.close().await;
        self.log = open(&self.folder, self.options).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite() {
    suite::run(&mut SqliteRig::new(Options::default()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite_with_nothing_kept_in_memory() {
    let options = Options { recent_bytes_max: 0, ..Options::default() };
    suite::run(&mut SqliteRig::new(options).await).await;
}

#[tokio::test]
async fn passes_the_suite_on_one_thread_with_little_memory() {
    let options = Options { recent_bytes_max: 10_000, ..Options::default() };
    suite::run(&mut SqliteRig::new(options).await).await;
}
