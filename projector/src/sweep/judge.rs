//! What is to become of one object: who names it, and whether that can be told.

use std::collections::HashMap;

use infra::blobs::Stale;
use infra::directory::Pool;
use infra::log::Find;
use infra::table::Field as _;
use infra::views;
use schemas::event::Event;
use schemas::id::{BatchId, UploadId};
use schemas::name::{ObjectKey, PoolName};
use schemas::time::{LogTime, Wall};
use schemas::topic::Topic;
use schemas::wire;

use super::{SweepDeps, SweepError, put_at};
use crate::project::{BatchResultRow, ErasedRow, ResultRow};
use crate::read::upload_of;

/// Bytes of events read ahead.
const AHEAD_BYTES_MAX: usize = 1024 * 1024;

/// What is to become of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Something names it: it stays.
    Named,
    /// Nothing names it; it is too young to go.
    Young,
    /// Nothing names it, and not for long enough: it stays for now.
    Suspect,
    /// Whether something names it cannot be told: it stays.
    Doubtful,
    /// Nothing names it: it goes.
    Unnamed,
    /// What names it says that it has been kept for long enough: it goes.
    Erased,
}

/// What is known of a pool in one round.
#[derive(Clone, Debug)]
struct Known {
    pool: Pool,
    erased: ErasedRow,
    /// Whether the tables know of every file and result that its events tell of; once asked.
    told: Option<bool>,
}

/// One round.
pub(super) struct Round<'a> {
    deps: &'a SweepDeps,
    /// Only what was put before then may go as unnamed.
    old: Wall,
    pools: HashMap<PoolName, Option<Known>>,
}

/// Who would name an object, by its key.
enum Kind {
    Upload(UploadId),
    Result(BatchId),
    Snapshot,
}

fn parse(key: &ObjectKey) -> Option<(PoolName, Kind)> {
    let mut parts = key.as_str().split('/');
    let kind = parts.next()?;
    let pool = parts.next()?.parse().ok()?;
    let of = parts.next()?;
    Some((
        pool,
        match kind {
            "u" => Kind::Upload(of.parse().ok()?),
            "r" => Kind::Result(of.parse().ok()?),
            "s" => Kind::Snapshot,
            _ => return None,
        },
    ))
}

impl<'a> Round<'a> {
    pub(super) async fn begin(deps: &'a SweepDeps) -> Result<Self, SweepError> {
        deps.directory.catch_up().await?;
        let old = deps.clock.now().minus(deps.limits.sweep_age_ms_min);
        Ok(Self { deps, old, pools: HashMap::new() })
    }

    pub(super) async fn judge(&mut self, stale: &Stale) -> Result<Verdict, SweepError> {
        let is_old = put_at(stale) < self.old;
        let key = match stale {
            Stale::Object { key, .. } => key,
            // Nothing names an object that was never finished.
            Stale::Multipart { .. } if is_old => return Ok(Verdict::Unnamed),
            Stale::Multipart { .. } => return Ok(Verdict::Young),
        };
        let Some((pool, kind)) = parse(key) else { return Ok(Verdict::Doubtful) };
        let Some(known) = self.pool(&pool).await? else { return Ok(Verdict::Doubtful) };
        let erased_before = match kind {
            Kind::Upload(_) => known.erased.inputs_before,
            Kind::Result(_) => known.erased.results_before,
            Kind::Snapshot => None,
        };
        let named_at = match kind {
            Kind::Upload(upload) => self.upload(&pool, upload, key).await?,
            Kind::Result(batch) => self.result(batch, key).await?,
            Kind::Snapshot if is_snapshot(&known.pool, key) => Some(LogTime::default()),
            Kind::Snapshot => None,
        };
        Ok(match named_at {
            Some(at) if erased_before.is_some_and(|before| at < before) => Verdict::Erased,
            Some(_) => Verdict::Named,
            None if !is_old => Verdict::Young,
            None if self.told(&pool).await? => Verdict::Unnamed,
            None => Verdict::Doubtful,
        })
    }

    /// When an upload that has this object was placed.
    async fn upload(
        &self,
        pool: &PoolName,
        upload: UploadId,
        key: &ObjectKey,
    ) -> views::Result<Option<LogTime>> {
        let row = upload_of(&self.deps.tables, pool, upload).await?;
        Ok(row.filter(|row| row.object == *key).map(|row| row.at))
    }

    /// When a result of the batch that has this object was published.
    async fn result(&self, batch: BatchId, key: &ObjectKey) -> views::Result<Option<LogTime>> {
        let mut after = None;
        loop {
            let some = self.deps.tables.some::<BatchResultRow>([batch.cell()], after, 100);
            let (rows, more) = some.await?;
            for row in &rows {
                let result = self.deps.tables.one::<ResultRow>([row.result.cell()]).await?;
                if let Some(result) = result.filter(|result| result.object == *key) {
                    return Ok(Some(result.at));
                }
            }
            after = rows
                .last()
                .map(|row| vec![row.revision.cell(), row.correction.cell()])
                .filter(|_| more);
            if after.is_none() {
                return Ok(None);
            }
        }
    }

    async fn pool(&mut self, name: &PoolName) -> Result<Option<Known>, SweepError> {
        if let Some(known) = self.pools.get(name) {
            return Ok(known.clone());
        }
        let known = match self.deps.directory.pool(name) {
            None => None,
            Some(pool) => {
                let erased = self.deps.tables.one::<ErasedRow>([name.clone().cell()]).await?;
                let none =
                    || ErasedRow { pool: name.clone(), inputs_before: None, results_before: None };
                Some(Known { pool, erased: erased.unwrap_or_else(none), told: None })
            }
        };
        self.pools.insert(name.clone(), known.clone());
        Ok(known)
    }

    /// Whether the tables know of every file and result that the pool's events told of when this
    /// was asked first in the round. All that is older than the round is in there.
    async fn told(&mut self, name: &PoolName) -> Result<bool, SweepError> {
        let Some(Some(known)) = self.pools.get(name) else { return Ok(false) };
        if let Some(told) = known.told {
            return Ok(told);
        }
        let Some(located) = known.pool.located.clone() else { return Ok(false) };
        let told = self.has_told(name, &Topic::named(&located.events)).await?;
        if let Some(Some(known)) = self.pools.get_mut(name) {
            known.told = Some(told);
        }
        Ok(told)
    }

    /// The tables have what follows from the events before a place; those after it must say
    /// nothing of objects.
    async fn has_told(&self, name: &PoolName, events: &Topic) -> Result<bool, SweepError> {
        let end = self.deps.read.find(events, Find::End).await?;
        let mut from = end;
        from.next = self.deps.progress.events(name);
        if from.next >= end.next {
            return Ok(true);
        }
        let mut tail = self.deps.read.tail(AHEAD_BYTES_MAX).await?;
        tail.watch(events, Some(from));
        loop {
            let chunk = tail.next().await?;
            for record in chunk.records.iter().filter(|record| record.offset < end.next) {
                // What cannot be read may name anything.
                let Ok((event, _)) = wire::decode::<Event>(&record.value) else { return Ok(false) };
                let names = matches!(
                    event,
                    Event::UploadReceived(_)
                        | Event::UpdateReceived(_)
                        | Event::ResultOffered(_)
                        | Event::ResultCorrected(_)
                );
                if names {
                    return Ok(false);
                }
            }
            if chunk.end >= end.next {
                return Ok(true);
            }
        }
    }
}

fn is_snapshot(pool: &Pool, key: &ObjectKey) -> bool {
    pool.snapshot.as_ref().is_some_and(|snapshot| snapshot.object == *key)
}
