//! Floors of the log: one thread that takes what waits, writes it, syncs once and answers all.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::thread::JoinHandle;

use bytes::Bytes;
use rusqlite::{Connection, params};
use tokio::sync::{mpsc, oneshot};

/// Most records of one group.
const GROUP_MAX: usize = 4_096;

type Job = (i64, Bytes, oneshot::Sender<()>);

/// A writer with its queue.
#[derive(Debug)]
pub(crate) struct Bare {
    jobs: mpsc::Sender<Job>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Bare {
    /// One table in SQLite as the log has it: WAL, synced at each commit.
    pub(crate) fn sqlite(path: &Path) -> anyhow::Result<Self> {
        let file = Connection::open(path)?;
        file.pragma_update(None, "page_size", 4_096)?;
        file.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        file.pragma_update(None, "synchronous", "FULL")?;
        file.execute_batch("CREATE TABLE records (id INTEGER PRIMARY KEY, value BLOB NOT NULL)")?;
        let mut ends = [0_i64; 64];
        Ok(Self::start(move |group| {
            file.execute_batch("BEGIN IMMEDIATE")?;
            let mut insert = file.prepare_cached("INSERT INTO records VALUES (?1, ?2)")?;
            for (topic, value, _) in group {
                let end = ends.get_mut(usize::try_from(*topic)?).expect("few topics");
                insert.execute(params![topic << 40 | *end, &**value])?;
                *end += 1;
            }
            file.execute_batch("COMMIT")?;
            Ok(())
        }))
    }

    /// A plain file.
    pub(crate) fn file(path: &Path) -> anyhow::Result<Self> {
        let mut file = File::create(path)?;
        let mut buffer = Vec::new();
        Ok(Self::start(move |group| {
            buffer.clear();
            for (_, value, _) in group {
                buffer.extend_from_slice(value);
            }
            file.write_all(&buffer)?;
            Ok(file.sync_data()?)
        }))
    }

    fn start(mut write: impl FnMut(&[Job]) -> anyhow::Result<()> + Send + 'static) -> Self {
        let (jobs, mut queue) = mpsc::channel::<Job>(1_024);
        let thread = std::thread::spawn(move || {
            let mut group = Vec::new();
            while let Some(first) = queue.blocking_recv() {
                group.push(first);
                while group.len() < GROUP_MAX
                    && let Ok(next) = queue.try_recv()
                {
                    group.push(next);
                }
                write(&group)?;
                group.drain(..).for_each(|(_, _, answer)| _ = answer.send(()));
            }
            Ok(())
        });
        Self { jobs, thread }
    }

    /// Appends to a topic; returns once it is durable.
    pub(crate) async fn append(&self, topic: i64, value: Bytes) -> anyhow::Result<()> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send((topic, value, answer)).await?;
        Ok(answered.await?)
    }

    /// Ends it.
    pub(crate) fn end(self) -> anyhow::Result<()> {
        drop(self.jobs);
        self.thread.join().map_err(|_| anyhow::anyhow!("the floor panicked"))?
    }
}
