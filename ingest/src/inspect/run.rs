//! One run: announced, done, and its verdict said.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use infra::faults::crash_point;
use infra::fresh;
use schemas::digest::Digest;
use schemas::event::{
    Derived, Event, FileFaults, Stage, UploadAccepted, UploadAttemptFailed,
    UploadInspectionStarted, UploadRejected,
};
use schemas::file::FileRef;
use schemas::id::RunId;
use schemas::name::PoolName;
use schemas::policy::{Inspection, Policy};
use sha2::{Digest as _, Sha256};

use super::csv::CsvCheck;
use crate::ask::{Asked, Topics};
use crate::error::Error;
use crate::state::State;

/// The wait before it is tried again: an answer, an append, or a whole run.
const AGAIN: Duration = Duration::from_secs(1);

/// Whether there is anything left to do about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It has a verdict, or has failed, here or elsewhere.
    Done,
    /// This run failed: there may be another.
    Again,
}

/// A file could not be inspected; that says nothing of the file.
#[derive(Debug)]
struct Broken(String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl State {
    /// Inspects one file.
    pub(super) async fn inspect(
        &self,
        pool: &PoolName,
        topics: &Topics,
        file: &Arc<FileRef>,
    ) -> Ended {
        let (upload, run) = (file.upload, RunId::from_uuid(fresh::uuid(self.clock.now())));
        let start = UploadInspectionStarted { upload, run };
        loop {
            match self.ask(topics, start.clone()).await {
                Ok(Asked::Yes { heard, .. }) if begins(&heard.body, run) => break,
                Ok(Asked::Yes { .. }) | Err(Error::Asked(_)) => return Ended::Done,
                // It may be announced: announced again it is the same run.
                Ok(Asked::Pending { .. }) => {}
                Err(error) => tracing::warn!(%pool, %upload, %error, "an inspection waits"),
            }
            tokio::time::sleep(AGAIN).await;
        }
        crash_point("ingest.inspection-begun");
        let policy = self.directory().pool(pool).and_then(|pool| pool.policy);
        let looked = match &policy {
            Some(copied) => self.look_at(file, &copied.policy).await,
            None => Err(Broken("its pool is not known".to_owned())),
        };
        let ended = if looked.is_ok() { Ended::Done } else { Ended::Again };
        let verdict = self.verdict(file, run, looked);
        crash_point("ingest.inspection-verdict");
        while let Err(error) = self.append(&topics.events, verdict.clone(), &[]).await {
            tracing::warn!(%pool, %upload, %error, "a verdict is said again");
            tokio::time::sleep(AGAIN).await;
        }
        if ended == Ended::Again {
            tokio::time::sleep(AGAIN).await;
        }
        ended
    }

    fn verdict(
        &self,
        file: &FileRef,
        run: RunId,
        looked: Result<Option<FileFaults>, Broken>,
    ) -> Event {
        let upload = file.upload;
        match looked {
            Ok(None) => {
                self.metrics.accepted.inc();
                UploadAccepted { upload, run }.into()
            }
            Ok(Some(rejection)) => {
                self.metrics.rejected.inc();
                UploadRejected { upload, run, rejection }.into()
            }
            Err(broken) => {
                self.metrics.attempts_failed.inc();
                tracing::warn!(%upload, %broken, "an inspection failed");
                let (client, name) = (file.client, file.name.clone());
                let (stage, reason) = (Stage::Inspection, broken.to_string().into());
                UploadAttemptFailed { upload, client, name, stage, run: Some(run), reason }.into()
            }
        }
    }

    /// Reads a file to its end past every inspection that its pool has for it now, and tells what
    /// the first finds wrong.
    async fn look_at(&self, file: &FileRef, policy: &Policy) -> Result<Option<FileFaults>, Broken> {
        let meant = |inspection: &&Inspection| file.inspections.contains(inspection.name());
        let mut checks: Vec<CsvCheck<'_>> =
            policy.inspections.iter().filter(meant).map(begin).collect();
        let unread = |_| Broken("its bytes cannot be read".to_owned());
        let mut body = self.blobs.get(&file.object, 0..file.size_bytes).await.map_err(unread)?;
        let (mut hash, mut came_bytes) = (Sha256::new(), 0);
        while let Some(piece) =
            body.try_next().await.map_err(|_| Broken("its bytes cannot be read".to_owned()))?
        {
            hash.update(&piece);
            came_bytes += piece.len() as u64;
            for check in &mut checks {
                check.take(&piece);
            }
        }
        let sha256 = Digest::from_bytes(hash.finalize().into());
        if came_bytes != file.size_bytes || sha256 != file.sha256 {
            return Err(Broken("its bytes are not those that came".to_owned()));
        }
        Ok(checks.into_iter().find_map(CsvCheck::end))
    }
}

fn begin(inspection: &Inspection) -> CsvCheck<'_> {
    match inspection {
        Inspection::Csv(csv) => CsvCheck::new(csv),
    }
}

fn begins(answer: &Derived, run: RunId) -> bool {
    matches!(answer, Derived::InspectionBegun(begun) if begun.run == run)
}
