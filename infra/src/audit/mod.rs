//! The audit log: what matters for security, as it was done, asked or denied, once each.
//!
//! It is derived in one place, from the table of routes and from what became of each request: the
//! layer around all requests follows them, and what only handlers know they note ([`trail`]). A
//! record is durable before its request's answer goes out, unless the log keeps it waiting for
//! longer than an answer may; then it waits on in a queue of bounded size. While that is full
//! nothing is let in that would have to be recorded (docs/decisions/0014).
//!
//! Denials of callers whom nobody knows are counted, and recorded together once a second: however
//! many strangers ask, they do not get to fill the log.

mod judge;
pub mod trail;
mod write;

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemas::event::{Audit as Record, AuditOutcome, AuditRecorded};
use schemas::id::ObjectId;
use schemas::limit::Limits;
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::route::Route;
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::sync::{Semaphore, oneshot};

use crate::clock::Clock;
use crate::directory::said;
use crate::http::Refused;
use crate::log::Draft;
use crate::telemetry::{Counter, Metrics};
use judge::{Verdict, judge};
use trail::{Notes, Trail};
pub use write::ToWrite;

/// Who says audit records.
const SOURCE: &str = "/sluice/audit";

/// A record on its way, and who waits for it.
#[derive(Debug)]
struct Entry {
    draft: Draft,
    written: Option<oneshot::Sender<()>>,
}

/// What strangers were denied and is not recorded yet: the act, the reason, the pool.
type Tally = BTreeMap<(String, &'static str, Option<PoolName>), u32>;

/// Follows requests, and takes in what is to be recorded.
#[derive(Clone, Debug)]
pub struct Audit {
    to: mpsc::Sender<Entry>,
    strangers: Arc<Mutex<Tally>>,
    clock: Arc<dyn Clock>,
    lost: Counter,
    wait_max: Duration,
}

impl Audit {
    /// A pair: the layer around requests holds the one, [`ToWrite::run`] works on the other.
    pub fn new(clock: Arc<dyn Clock>, limits: &Limits, metrics: &Metrics) -> (Self, ToWrite) {
        let waiting_max = usize::try_from(limits.audit_waiting_max).unwrap_or(usize::MAX);
        let (to, from) = mpsc::channel(waiting_max.clamp(1, Semaphore::MAX_PERMITS));
        let lost = Counter::default();
        metrics.add("audit_lost", "Acts and denials that the audit log has not got", lost.clone());
        let wait_max = Duration::from_millis(limits.audit_wait_ms_max);
        let audit = Self { to, strangers: Arc::default(), clock, lost, wait_max };
        let to_write = ToWrite::new(from, audit.clone());
        (audit, to_write)
    }

    /// Begins to follow a request of this route; refuses it when it could not be recorded.
    pub(crate) fn follow(&self, route: &'static Route, path: &str) -> Result<Followed, Refused> {
        let permit = if route.is_audited() {
            let permit = self.to.clone().try_reserve_owned();
            Some(permit.map_err(|_| {
                tracing::error!(path = route.path, "too much waits to be in the audit log");
                Refused::from(Code::Unavailable)
            })?)
        } else {
            None
        };
        let (audit, place) = (self.clone(), Place::of(route, path));
        Ok(Followed { audit, route, place, permit, trail: Trail::default(), is_told: false })
    }

    /// A request was refused for its address asking too often, before anyone looked at it.
    pub(crate) fn limited(&self, route: &'static Route) {
        if route.is_audited() && !route.act.needs_token() {
            self.count((route.audit_name(), Code::RateLimited.as_str(), None));
        }
    }

    fn count(&self, what: (String, &'static str, Option<PoolName>)) {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        let times = strangers.entry(what).or_default();
        *times = times.saturating_add(1);
    }

    /// What strangers were denied since this was asked last.
    fn counted(&self) -> Vec<Draft> {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = mem::take(&mut *strangers);
        drop(strangers);
        let draft = |((act, reason, pool), times): ((String, &str, _), u32)| {
            self.draft(AuditRecorded {
                actor: None,
                act: act.into(),
                pool,
                object: None,
                outcome: AuditOutcome::Denied,
                reason: Some(reason.into()),
                platform_admin: false,
                times,
            })
        };
        counted.into_iter().map(draft).collect()
    }

    fn draft(&self, body: AuditRecorded) -> Draft {
        let key = body.actor.map(|actor| actor.to_string()).unwrap_or_default();
        Draft::new(key, &Record::from(body), said(SOURCE, self.clock.now()))
    }
}

/// What the path of a request names.
#[derive(Debug, Default)]
struct Place {
    pool: Option<PoolName>,
    object: Option<ObjectId>,
}

impl Place {
    /// Ids and names of pools only: other parts of a path are what somebody typed.
    fn of(route: &Route, path: &str) -> Self {
        let mut place = Self::default();
        for (name, value) in route.path.split('/').zip(path.split('/')) {
            match name {
                "{pool}" => place.pool = value.parse().ok(),
                _ if name.starts_with('{') => place.object = value.parse().ok().or(place.object),
                _ => {}
            }
        }
        place
    }
}

/// A request that is followed until its answer is known.
#[derive(Debug)]
pub(crate) struct Followed {
    audit: Audit,
    route: &'static Route,
    place: Place,
    /// Room in the queue, for what must be recorded once it is done.
    permit: Option<OwnedPermit<Entry>>,
    trail: Trail,
    is_told: bool,
}

impl Followed {
    /// Has `work` note what it learns.
    pub(crate) async fn through<T>(&self, work: impl Future<Output = T>) -> T {
        self.trail.of(work).await
    }

    /// The answer is known: records what is to be recorded of it, and waits for that as long as an
    /// answer may wait.
    pub(crate) async fn tell(mut self, status: u16, code: Option<Code>) {
        self.is_told = true;
        let notes = self.trail.notes();
        let Some(verdict) = judge(self.route, &notes, status, code) else { return };
        if let (AuditOutcome::Denied, Some(reason)) = verdict
            && !notes.names_someone()
        {
            self.audit.count((self.route.audit_name(), reason, notes.pool));
            return;
        }
        let (written, heard) = oneshot::channel();
        let draft = self.record(notes, verdict);
        let entry = Entry { draft, written: Some(written) };
        if let Some(permit) = self.permit.take() {
            permit.send(entry);
        } else {
            self.send(entry).await;
        }
        if tokio::time::timeout(self.audit.wait_max, heard).await.is_err() {
            tracing::warn!(path = self.route.path, "answered before the audit log had it");
        }
    }

    /// A denial, for which no room was kept.
    async fn send(&self, entry: Entry) {
        let sent = tokio::time::timeout(self.audit.wait_max, self.audit.to.send(entry)).await;
        if !matches!(sent, Ok(Ok(()))) {
            self.audit.lost.inc();
            tracing::error!(path = self.route.path, "a denial is not in the audit log");
        }
    }

    fn record(&self, notes: Notes, (outcome, reason): Verdict) -> Draft {
        self.audit.draft(AuditRecorded {
            actor: notes.actor,
            act: self.route.audit_name().into(),
            pool: notes.pool.or_else(|| self.place.pool.clone()),
            object: notes.object.or(self.place.object),
            outcome,
            reason: reason.map(Into::into),
            platform_admin: notes.over_others,
            times: 1,
        })
    }
}

/// Whoever asked is gone before the answer: what was begun may have been done.
impl Drop for Followed {
    fn drop(&mut self) {
        let notes = self.trail.notes();
        if self.is_told || notes.actor.is_none() {
            return;
        }
        if let Some(permit) = self.permit.take() {
            let draft = self.record(notes, (AuditOutcome::Unknown, None));
            permit.send(Entry { draft, written: None });
        }
    }
}
