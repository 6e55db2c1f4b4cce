//! The worker: claims a batch, reads every file of it, gives back one summary.

use worker::{Batch, Ended, Failed, Output, Worker};

use super::readings::{SUMMARY_HEAD, summary_row};
use super::tell::{count, short};
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
                    let (result, batch) = (short(result), short(batch));
                    format!("gives result {result} for batch {batch}, revision {revision}")
                }
                Ended::Failed { batch, reason, .. } => {
                    format!("gives batch {} back: {reason}", short(batch))
                }
                Ended::Lost { batch, .. } => format!("has lost batch {}", short(batch)),
            };
            self.tell.step("worker", &told);
        }
        Ok(())
    }

    async fn summarise(&self, batch: Batch) -> Result<Output, Failed> {
        let size: u64 = batch.files.iter().map(|input| input.file.size_bytes).sum();
        let files = count(batch.files.len() as u64, "file");
        let (id, revision, attempt) = (short(batch.batch), batch.revision, batch.attempt);
        let told = format!(
            "has claimed batch {id}, revision {revision}, attempt {attempt}: {files}, {}, fetched",
            bytes(size)
        );
        self.tell.step("worker", &told);
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
