//! Writes what was taken in, in order, in groups, for as long as it takes.

use std::sync::Arc;
use std::time::Duration;

use schemas::topic::Topic;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Audit, Entry};
use crate::log::{Append, Draft};

/// Records appended in one go.
const GROUP_MAX: usize = 500;
/// How often what strangers were denied is recorded.
const COUNTED_EVERY: Duration = Duration::from_secs(1);
/// How long after an error it is tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// What is to be recorded and is not written yet.
#[derive(Debug)]
pub struct ToWrite {
    from: mpsc::Receiver<Entry>,
    audit: Audit,
}

impl ToWrite {
    pub(super) fn new(from: mpsc::Receiver<Entry>, audit: Audit) -> Self {
        Self { from, audit }
    }

    /// Writes what comes, until stopped: then what waits is written first. The topic must exist.
    pub async fn run(mut self, log: Arc<dyn Append>, token: CancellationToken) {
        let mut every = tokio::time::interval(COUNTED_EVERY);
        let mut entries = Vec::new();
        loop {
            let mut more = true;
            tokio::select! {
                got = self.from.recv_many(&mut entries, GROUP_MAX) => more = got > 0,
                _ = every.tick() => {}
                () = token.cancelled(), if !self.from.is_closed() => self.from.close(),
            }
            let (mut drafts, mut waiting) = (Vec::new(), Vec::new());
            for Entry { draft, written } in entries.drain(..) {
                drafts.push(draft);
                waiting.extend(written);
            }
            if drafts.is_empty() {
                drafts = self.audit.counted();
            }
            self.write(log.as_ref(), drafts).await;
            for written in waiting {
                // Who does not wait any more has answered already.
                _ = written.send(());
            }
            if !more {
                return;
            }
        }
    }

    /// Until they are in: a record that may be there already is written again, under its id.
    async fn write(&self, log: &dyn Append, drafts: Vec<Draft>) {
        if drafts.is_empty() {
            return;
        }
        let mut told = false;
        while let Err(error) = log.append(&Topic::audit(), drafts.clone()).await {
            if !told {
                tracing::error!(%error, records = drafts.len(), "the audit log is not written");
                told = true;
            }
            if !error.retryable() {
                self.audit.lost.inc_by(drafts.len() as u64);
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}
