//! The worker: claims a batch, reads every file of it, gives back one summary.

use worker::{Batch, Ended, Failed, Output, Worker};

use super::readings::{SUMMARY_HEAD, summary_row};
use super::troupe::{Part, Troupe};
use crate::print::bytes;

impl Troupe {
    /// Works until dropped.
    pub(super) async fn work(&self) -> anyhow::Result<()> {
        let member = self.one(Part::Worker)?;
        let worker = Worker::new(member.client.clone(), self.pool.clone());
        let worker = worker.working_in(&member.folder);
        while let Some(ended) = worker.next(|batch| self.summarise(batch)).await? {
            let told = match ended {
                Ended::Published { batch, revision, result } => {
                    format!("gives result {result} for batch {batch}, revision {revision}")
                }
                Ended::Failed { batch, reason, .. } => {
                    format!("gives batch {batch} back: {reason}")
                }
                Ended::Lost { batch, .. } => format!("has lost batch {batch} to another worker"),
            };
            self.tell.step("worker", &told);
        }
        Ok(())
    }

    async fn summarise(&self, batch: Batch) -> Result<Output, Failed> {
        let size: u64 = batch.files.iter().map(|input| input.file.size_bytes).sum();
        self.tell.step(
            "worker",
            &format!(
                "has claimed batch {}, revision {}, attempt {}, and fetched its {} files, {}",
                batch.batch,
                batch.revision,
                batch.attempt,
                batch.files.len(),
                bytes(size),
            ),
        );
        let files = batch.files;
        let rows = tokio::task::spawn_blocking(move || {
            let row = |input: &worker::InputFile| {
                std::fs::read(&input.path).map(|bytes| summary_row(&input.file, &bytes))
            };
            files.iter().map(row).collect::<std::io::Result<String>>()
        });
        let summary = format!("{SUMMARY_HEAD}{}", rows.await??);
        Ok(Output::bytes("summary.csv".parse()?, "text/csv".parse()?, summary))
    }
}
