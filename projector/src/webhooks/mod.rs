//! Webhooks: notices sent to targets, each at least once and in order, however often they fail.
//!
//! A lane per target reads the pool's derived topic from where the target has got, and sends one
//! message at a time. How far it has got is kept, so that a restart goes on there. A target that is
//! slow or dead holds up nothing but its own lane.

mod body;
mod lane;
mod schedule;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use infra::clock::Clock;
use infra::directory::Directory;
use infra::log::{self, Read};
use infra::telemetry::{Counter, Metrics};
use infra::webhooks::{Outcome, Poster, Webhooks, Which};
use schemas::limit::Limits;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::notices::Hub;
use crate::progress::Progress;
use lane::Lane;

/// Messages that may be under way at once, those to slow targets among them: a pool has far fewer
/// targets, so that one pool's cannot take all places.
const POSTING_MAX: usize = 64;
/// Lanes that may read at once.
const READING_MAX: usize = 8;

/// What deliveries work with.
#[derive(Clone, Debug)]
pub struct WebhookDeps {
    /// Where derived records are read.
    pub read: Arc<dyn Read>,
    /// How far the tables have got: what is told can be read.
    pub progress: Arc<Progress>,
    /// Where pools are.
    pub directory: Arc<Directory>,
    /// When to try again.
    pub clock: Arc<dyn Clock>,
    /// Whom to send to.
    pub webhooks: Arc<Webhooks>,
    /// What sends.
    pub poster: Arc<Poster>,
    /// Who is told that nothing more is sent.
    pub hub: Arc<Hub>,
    /// What paths in messages begin with; may be empty.
    pub public_url: String,
}

/// What a lane cannot do now.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Kept(#[from] infra::kept::Error),
    #[error(transparent)]
    Log(#[from] log::Error),
    #[error("what it is to be told cannot be read: {0}")]
    Read(std::io::Error),
    #[error("where its pool is, is not known yet")]
    NoPool,
}

/// What all lanes share.
struct Shared {
    read: Arc<dyn Read>,
    progress: Arc<Progress>,
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    webhooks: Arc<Webhooks>,
    poster: Arc<Poster>,
    hub: Arc<Hub>,
    public_url: String,
    first_wait_ms: u64,
    posting: Semaphore,
    reading: Arc<Semaphore>,
    delivered: Counter,
    failed: Counter,
}

impl Shared {
    fn count(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Delivered => self.delivered.inc(),
            Outcome::Gone | Outcome::Failed { .. } => self.failed.inc(),
        };
    }
}

/// Delivers to all targets.
pub struct Deliveries(Arc<Shared>);

impl fmt::Debug for Deliveries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deliveries")
    }
}

impl Deliveries {
    /// Nothing is delivered until [`run`](Self::run) runs.
    pub fn new(deps: WebhookDeps, limits: &Limits, metrics: &Metrics) -> Arc<Self> {
        let (delivered, failed) = (Counter::default(), Counter::default());
        metrics.add("webhooks_delivered", "Messages that targets took", delivered.clone());
        metrics.add("webhooks_failed", "Tries to send one that failed", failed.clone());
        let WebhookDeps { read, progress, directory, clock, .. } = deps;
        let WebhookDeps { webhooks, poster, hub, public_url, .. } = deps;
        Arc::new(Self(Arc::new(Shared {
            read,
            progress,
            directory,
            clock,
            webhooks,
            poster,
            hub,
            public_url,
            first_wait_ms: limits.webhook_first_wait_ms,
            posting: Semaphore::new(POSTING_MAX),
            reading: Arc::new(Semaphore::new(READING_MAX)),
            delivered,
            failed,
        })))
    }

    /// Delivers until cancelled. Only one may run at a time.
    pub async fn run(self: Arc<Self>, token: CancellationToken) -> Result<(), infra::kept::Error> {
        tokio::select! {
            () = token.cancelled() => Ok(()),
            outcome = self.deliver() => outcome,
        }
    }

    /// A lane for each webhook that has something to be sent.
    async fn deliver(&self) -> Result<(), infra::kept::Error> {
        let mut changes = self.0.webhooks.subscribe();
        let mut lanes: FuturesUnordered<BoxFuture<'static, Which>> = FuturesUnordered::new();
        lanes.push(Box::pin(std::future::pending()));
        let mut there = HashSet::new();
        loop {
            for webhook in self.0.webhooks.all().await? {
                if webhook.is_live() && there.insert(webhook.which.clone()) {
                    lanes.push(Box::pin(Lane::run(Arc::clone(&self.0), webhook)));
                }
            }
            tokio::select! {
                _ = changes.changed() => {}
                // It may have been enabled again while it ended.
                ended = lanes.next() => if let Some(which) = ended { there.remove(&which); },
            }
        }
    }
}
