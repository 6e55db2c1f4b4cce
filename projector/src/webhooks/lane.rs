//! One target: its notices one after the other, each until it was taken.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use infra::fresh;
use infra::log::{Find, Record};
use infra::webhooks::{Ended, Outcome, Progress, Signed, Webhook, Which};
use schemas::api::Notice;
use schemas::event::Derived;
use schemas::name::PoolName;
use schemas::time::{LogTime, Wall};
use schemas::topic::{Offset, Topic};
use schemas::wire;
use tokio::sync::watch;

use super::body::{Where, body, kind};
use super::schedule::wait;
use super::{Error, Shared};
use crate::notices::{catch_up, notice};

/// Records that are read at once: what one target holds in memory.
const RECORDS_MAX: u64 = 100;
/// The wait before what is kept is asked for again.
const KEPT_WAIT_MS: u64 = 1_000;
/// Records that were of no kind to be told, after which it is kept how far it has got.
const UNTOLD_MAX: u64 = 1_000;
/// How long the tables are waited for before it is looked whether the webhook is still there.
const LOOK_EVERY: Duration = Duration::from_mins(10);

/// A target that is delivered to.
pub(super) struct Lane {
    shared: Arc<Shared>,
    changes: watch::Receiver<u64>,
    webhook: Webhook,
    progress: Progress,
    /// How far it is kept that it has got.
    kept_next: Offset,
}

/// A record that is told of, as it was read.
pub(super) struct Told {
    id: Offset,
    cause: Offset,
    at: LogTime,
    notice: Notice,
}

fn told(pool: &PoolName, record: &Record) -> Option<Told> {
    let (body, attributes) = wire::decode::<Derived>(&record.value).ok()?;
    let (_, _, notice) = notice(pool, record.offset, record.at, &body)?;
    let cause = attributes.cause.map_or(0, |cause| cause.offset);
    Some(Told { id: record.offset, cause, at: record.at, notice })
}

/// Whether a lane goes on.
enum Step {
    On,
    /// An admin has ended it, or the target has.
    Over,
}

impl Lane {
    /// Delivers until there is nothing more to deliver to.
    pub(super) async fn run(shared: Arc<Shared>, webhook: Webhook) -> Which {
        let which = webhook.which.clone();
        let changes = shared.webhooks.subscribe();
        let progress = webhook.progress.clone().unwrap_or_default();
        let kept_next = progress.next;
        let mut lane = Self { shared, changes, webhook, progress, kept_next };
        loop {
            match lane.step().await {
                Ok(Step::On) => {}
                Ok(Step::Over) => return which,
                Err(error) => {
                    let Which { pool, webhook } = &which;
                    tracing::warn!(%error, %pool, %webhook, "a webhook waits");
                    lane.pause(KEPT_WAIT_MS).await;
                }
            }
        }
    }

    fn pool(&self) -> &PoolName {
        &self.webhook.which.pool
    }

    /// Waits, unless an admin says something before.
    async fn pause(&mut self, millis: u64) {
        let until = self.shared.clock.now().plus(millis);
        self.pause_until(until).await;
    }

    async fn pause_until(&mut self, until: Wall) {
        tokio::select! {
            () = self.shared.clock.sleep_until(until) => {}
            _ = self.changes.changed() => {}
        }
    }

    /// What an admin says of it now; false when it is to end.
    async fn look(&mut self) -> Result<bool, Error> {
        self.changes.borrow_and_update();
        let known = self.shared.webhooks.one(&self.webhook.which).await?;
        let Some(webhook) = known.filter(|webhook| webhook.enabled) else { return Ok(false) };
        if webhook.version != self.webhook.version {
            // Enabled anew: what failed before counts no longer.
            self.progress = Progress { next: self.progress.next, ..Progress::default() };
        }
        self.webhook = webhook;
        Ok(true)
    }

    async fn step(&mut self) -> Result<Step, Error> {
        if !self.look().await? {
            return Ok(Step::Over);
        }
        let topic = self.topic()?;
        if self.webhook.progress.is_none() {
            self.begin(&topic).await?;
        }
        let (progress, pool) = (&self.shared.progress, self.pool().clone());
        let next = self.progress.next;
        tokio::select! {
            // What is told can be read: the tables have it.
            _ = progress.wait_batches(&pool, next + 1, LOOK_EVERY) => {}
            _ = self.changes.changed() => return Ok(Step::On),
        }
        let end = self.shared.progress.batches(&pool).min(next.saturating_add(RECORDS_MAX));
        if end <= next {
            return Ok(Step::On);
        }
        let (read, room) = (Arc::clone(&self.shared.read), Arc::clone(&self.shared.reading));
        let records = catch_up::told(read, room, (pool, topic), next..end, told);
        let all: Vec<Told> = records.try_collect().await.map_err(Error::Read)?;
        for told in all {
            let wanted =
                kind(&told.notice).is_some_and(|kind| self.webhook.notices.contains(&kind));
            if wanted && let Step::Over = self.deliver(&told).await? {
                return Ok(Step::Over);
            }
        }
        self.progress.next = self.progress.next.max(end);
        if self.progress.next - self.kept_next >= UNTOLD_MAX {
            self.keep().await?;
        }
        Ok(Step::On)
    }

    fn topic(&self) -> Result<Topic, Error> {
        let pool = self.shared.directory.pool(self.pool());
        let located = pool.and_then(|pool| pool.located).ok_or(Error::NoPool)?;
        Ok(Topic::named(&located.batches))
    }

    /// Begins with what happened first after it was made.
    async fn begin(&mut self, topic: &Topic) -> Result<(), Error> {
        let made_at = LogTime::from_millis(self.webhook.made_at.millis());
        self.progress.next = self.shared.read.find(topic, Find::At(made_at)).await?.next;
        self.keep().await?;
        self.webhook.progress = Some(self.progress.clone());
        Ok(())
    }

    async fn keep(&mut self) -> Result<(), Error> {
        let Webhook { which, version, .. } = &self.webhook;
        self.shared.webhooks.reached(which, *version, self.progress.clone()).await?;
        self.kept_next = self.progress.next;
        Ok(())
    }

    /// Sends it until it is taken. What is kept says that it was before the next one is sent: after
    /// a restart it may be sent again, under the same id, and none is left out.
    async fn deliver(&mut self, told: &Told) -> Result<Step, Error> {
        let at = Where {
            pool: &self.webhook.which.pool,
            id: told.id,
            cause: told.cause,
            at: told.at,
            public_url: &self.shared.public_url,
        };
        let Some(body) = body(at, &told.notice) else { return Ok(Step::On) };
        let body = serde_json::to_vec(&body).expect("texts and numbers always serialise");
        let body = Bytes::from(body);
        loop {
            while let Some(due_at) = self.progress.due_at
                && due_at > self.shared.clock.now()
            {
                self.pause_until(due_at).await;
                if !self.look().await? {
                    return Ok(Step::Over);
                }
            }
            // A secret that was just renewed signs.
            if !self.look().await? {
                return Ok(Step::Over);
            }
            if self.tried(told, body.clone()).await? {
                return Ok(if self.progress.ended.is_some() { Step::Over } else { Step::On });
            }
        }
    }

    /// Sends it once; true when it is not to be sent again.
    async fn tried(&mut self, told: &Told, body: Bytes) -> Result<bool, Error> {
        let outcome = self.post(told.id, body).await;
        let now = self.shared.clock.now();
        let over = match outcome {
            Outcome::Delivered => {
                self.progress = Progress { next: told.id + 1, ..Progress::default() };
                true
            }
            Outcome::Gone => {
                self.failed("answered 410".to_owned(), now);
                self.progress.ended = Some(Ended::Gone);
                true
            }
            Outcome::Failed { why, retry_after } => {
                self.failed(why, now);
                let dice = u32::from_le_bytes(fresh::bytes());
                let first_ms = self.shared.first_wait_ms;
                let due = wait(self.progress.failures, first_ms, retry_after, dice);
                self.progress.due_at = due.map(|wait| now.plus(wait));
                self.progress.ended = due.is_none().then_some(Ended::GivenUp);
                due.is_none()
            }
        };
        self.keep_surely().await;
        if let Some(ended) = self.progress.ended {
            self.say_ended(ended);
        }
        Ok(over)
    }

    fn failed(&mut self, why: String, now: Wall) {
        self.progress.failures = self.progress.failures.saturating_add(1);
        self.progress.failing_since.get_or_insert(now);
        (self.progress.failure, self.progress.due_at) = (Some(why), None);
    }

    async fn post(&self, id: Offset, body: Bytes) -> Outcome {
        // Never closed; were it, nothing would bound us.
        let Ok(_place) = self.shared.posting.acquire().await else {
            return Outcome::Failed { why: "not sent".to_owned(), retry_after: None };
        };
        let webhook = self.webhook.which.webhook;
        // The same whenever it is sent, another for each target.
        let id = format!("msg_{}_{id}", webhook.uuid().as_simple());
        let signed = Signed::new(id, self.shared.clock.now(), &body, &self.webhook.keys);
        let outcome = self.shared.poster.post(&self.webhook.url, &signed, body).await;
        self.shared.count(&outcome);
        outcome
    }

    /// What is not kept would be sent once more by the next process, not by this one.
    async fn keep_surely(&mut self) {
        while let Err(error) = self.keep().await {
            tracing::warn!(%error, "how far a webhook has got is not kept yet");
            let until = self.shared.clock.now().plus(KEPT_WAIT_MS);
            self.shared.clock.sleep_until(until).await;
        }
    }

    fn say_ended(&self, ended: Ended) {
        let Which { pool, webhook } = &self.webhook.which;
        let failure = self.progress.failure.clone().unwrap_or_default();
        tracing::warn!(%pool, %webhook, failure, "nothing more is sent to a target");
        let state = ended.state();
        let notice = Notice::WebhookEnded { webhook: *webhook, state, failure };
        self.shared.hub.announce(pool, "webhook-ended", notice);
    }
}
