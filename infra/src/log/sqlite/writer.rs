//! The one thread that writes: whatever waits becomes one transaction, and is answered once that
//! is durable.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::BytesMut;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use schemas::time::LogTime;
use schemas::topic::{Cleanup, Offset, Topic};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::known::{Known, KnownTopic};
use super::stored::{self, Insert, StoredTopic};
use crate::clock::Clock;
use crate::faults::{self, Bug};
use crate::fresh;
use crate::log::{Appended, Draft, Error, Record, Result};
use crate::sqlite::{Durable, Failure, Weigh, reopen_to_write};

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    /// Append to a topic.
    Append(Appending),
    /// Make a topic, unless it is there.
    Ensure(Topic, oneshot::Sender<Result<()>>),
    /// Look what the file has, should that be uncertain.
    Look(oneshot::Sender<Result<()>>),
}

/// An append that waits.
#[derive(Debug)]
pub(super) struct Appending {
    pub(super) to: Arc<KnownTopic>,
    pub(super) drafts: Vec<Draft>,
    pub(super) answer: oneshot::Sender<Result<Appended>>,
    /// Its share of the bytes that may wait.
    pub(super) room: OwnedSemaphorePermit,
}

impl Weigh for Job {
    fn weight(&self) -> usize {
        // Bytes; a row costs about as much as half a KiB of them.
        let rows = |drafts: &[Draft]| drafts.iter().map(|draft| 512 + draft.value.len()).sum();
        if let Self::Append(job) = self { rows(&job.drafts) } else { 512 }
    }
}

/// How a transaction is committed. Tests put in one that fails.
pub(super) type Commit = Box<dyn FnMut(Transaction<'_>) -> rusqlite::Result<()> + Send>;

/// The writer: the only one that changes the file, or what is known of it.
pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) known: Arc<Known>,
    /// None once it is not to be trusted any more: opened anew before the next transaction.
    pub(super) connection: Option<Connection>,
    /// The time of the last record of the whole log.
    pub(super) last_at: LogTime,
    pub(super) commit: Commit,
}

/// A transaction that did not go through.
enum Undone {
    /// It certainly did not happen.
    Refused(Failure),
    /// It may have happened.
    Unknown(Failure),
}

/// What a transaction did.
#[derive(Default)]
struct Written {
    at: LogTime,
    made: Vec<StoredTopic>,
    /// Where each append's last record went, in the order of the jobs.
    lasts: Vec<Offset>,
    buffer: BytesMut,
    places: Vec<(Arc<KnownTopic>, Offset, Range<usize>)>,
}

impl Writer {
    /// Writes a group of jobs and answers each.
    pub(super) fn write(&mut self, mut jobs: Vec<Job>) {
        let mut connection = match self.connection.take().map_or_else(|| self.reopen(), Ok) {
            Ok(connection) => connection,
            Err(failure) => return fail(jobs, &super::refused(&failure)),
        };
        match self.transact(&mut connection, &mut jobs) {
            Ok(written) => {
                self.connection = Some(connection);
                self.last_at = written.at;
                let lasts = self.publish(written);
                answer(jobs, &lasts, self.last_at);
            }
            Err(undone) => {
                let error = self.recover(connection, undone);
                tracing::warn!(jobs = jobs.len(), "log not written: {error}");
                fail(jobs, &error);
            }
        }
    }

    /// Makes sure that what is known is what the file has, before anyone is told of the failure.
    fn recover(&mut self, connection: Connection, undone: Undone) -> Error {
        let (failure, error) = match undone {
            Undone::Refused(failure) => (super::refused(&failure), failure),
            Undone::Unknown(failure) => {
                self.known.set_uncertain();
                (Error::Unknown(failure.to_string()), failure)
            }
        };
        if matches!(error, Failure::Full | Failure::Busy(_)) && connection.is_autocommit() {
            self.connection = Some(connection);
        } else {
            drop(connection);
            self.connection = self.reopen().ok();
        }
        failure
    }

    /// Opens the file anew, and looks what it has: an unknown commit may have gone through.
    fn reopen(&mut self) -> Result<Connection, Failure> {
        let connection = reopen_to_write(&self.path, Durable::AtCommit)?;
        let topics = stored::topics(&connection)?;
        let last_at = topics.iter().map(|topic| topic.last_at).max();
        self.last_at = self.last_at.max(last_at.unwrap_or_default());
        self.known.looked_at(topics);
        Ok(connection)
    }

    fn transact(
        &mut self,
        connection: &mut Connection,
        jobs: &mut Vec<Job>,
    ) -> Result<Written, Undone> {
        let refused = |failure: Failure| Undone::Refused(failure);
        faults::crash_point("log.before-insert");
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| refused(error.into()))?;
        let written = self.insert(&transaction, jobs).map_err(refused)?;
        if faults::planted(Bug::AckBeforeCommit) {
            let appends = jobs.extract_if(.., |job| matches!(job, Job::Append(_))).collect();
            answer(appends, &written.lasts, written.at);
            pause_of_the_bug();
        }
        faults::crash_point("log.before-commit");
        (self.commit)(transaction).map_err(|error| match error.into() {
            failure @ (Failure::Full | Failure::Busy(_)) => Undone::Refused(failure),
            failure => Undone::Unknown(failure),
        })?;
        faults::crash_point("log.after-commit");
        Ok(written)
    }

    fn insert(&self, to: &Transaction<'_>, jobs: &[Job]) -> Result<Written, Failure> {
        let now = LogTime::from_millis(self.clock.now().millis());
        let mut written = Written { at: now.max(self.last_at), ..Written::default() };
        let mut ends: HashMap<i64, Offset> = HashMap::new();
        let mut insert = Insert::new(to)?;
        for job in jobs {
            match job {
                Job::Append(job) => {
                    let end = ends.entry(job.to.number).or_insert_with(|| job.to.end());
                    for draft in &job.drafts {
                        written.insert(&mut insert, &job.to, *end, draft)?;
                        *end += 1;
                    }
                    written.lasts.push(*end - 1);
                }
                Job::Ensure(name, _) => self.insert_topic(to, name, &mut written)?,
                Job::Look(_) => {}
            }
        }
        Ok(written)
    }

    fn insert_topic(
        &self,
        to: &Transaction<'_>,
        name: &Topic,
        written: &mut Written,
    ) -> Result<(), Failure> {
        if self.known.topic(name).is_some() || written.made.iter().any(|made| made.name == *name) {
            return Ok(());
        }
        let id = fresh::uuid(self.clock.now());
        let number = stored::insert_topic(to, name, id)?;
        written.made.push(StoredTopic {
            number,
            name: name.clone(),
            id,
            cleanup: name.cleanup(),
            start: 0,
            end: 0,
            last_at: LogTime::default(),
        });
        Ok(())
    }

    fn publish(&self, written: Written) -> Vec<Offset> {
        let Written { at, made, lasts, buffer, places } = written;
        self.known.made(made);
        let buffer = buffer.freeze();
        let record =
            |(topic, offset, place)| (topic, Record { offset, at, value: buffer.slice(place) });
        self.known.appended(places.into_iter().map(record).collect());
        lasts
    }
}

impl Written {
    fn insert(
        &mut self,
        insert: &mut Insert<'_>,
        topic: &Arc<KnownTopic>,
        offset: Offset,
        draft: &Draft,
    ) -> Result<(), Failure> {
        let key = (topic.cleanup == Cleanup::Compact).then_some(&*draft.key);
        insert.record(topic.number, offset, self.at, (key, &draft.value))?;
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&draft.value);
        self.places.push((Arc::clone(topic), offset, start..self.buffer.len()));
        Ok(())
    }
}

fn answer(jobs: Vec<Job>, lasts: &[Offset], at: LogTime) {
    let mut lasts = lasts.iter();
    for job in jobs {
        // Whoever asked may have gone: then nobody is told.
        match job {
            Job::Append(job) => {
                drop(job.room);
                let last = lasts.next().copied().expect("one for each append");
                _ = job.answer.send(Ok(Appended { last, at }));
            }
            Job::Ensure(_, answer) | Job::Look(answer) => _ = answer.send(Ok(())),
        }
    }
}

fn fail(jobs: Vec<Job>, error: &Error) {
    for job in jobs {
        match job {
            Job::Append(job) => _ = job.answer.send(Err(error.clone())),
            Job::Ensure(_, answer) | Job::Look(answer) => _ = answer.send(Err(error.clone())),
        }
    }
}

/// Long enough for a test to end the process between answer and commit.
#[allow(
    clippy::disallowed_methods,
    reason = "the writer's own thread, and only with a planted bug"
)]
fn pause_of_the_bug() {
    std::thread::sleep(std::time::Duration::from_millis(50));
}
