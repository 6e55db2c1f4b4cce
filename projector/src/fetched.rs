//! Results that were served whole: written down in the background, in groups.
//!
//! Whether a result arrived only its member can say; that it was fetched is a hint for people. When
//! more come than can be written they are dropped, and counted.

use std::collections::HashMap;
use std::sync::Arc;

use infra::clock::Clock;
use infra::directory;
use infra::faults;
use infra::log::{Append, Draft};
use infra::telemetry::{Counter, Metrics};
use schemas::event::{Delivery, DeliveryFetched};
use schemas::id::{AccountId, ResultId};
use schemas::topic::{Offset, Topic};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Most that wait to be written.
const WAITING_MAX: usize = 10_000;

/// A result was served to a member, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    /// Where that is written down.
    pub(crate) topic: Topic,
    /// The result.
    pub(crate) result: ResultId,
    /// Its sequence number.
    pub(crate) seq: Offset,
    /// The member.
    pub(crate) member: AccountId,
}

/// Takes in what was served.
#[derive(Clone, Debug)]
pub struct Fetched {
    to: mpsc::Sender<Served>,
    dropped: Counter,
}

/// What was served and is not written yet.
#[derive(Debug)]
pub struct ToWrite(mpsc::Receiver<Served>);

impl Fetched {
    /// A pair: handlers hold the one, [`ToWrite::run`] works on the other.
    pub fn new(metrics: &Metrics) -> (Self, ToWrite) {
        let (to, from) = mpsc::channel(WAITING_MAX);
        let dropped = Counter::default();
        let help = "Fetches not written down because too many waited";
        metrics.add("fetches_dropped", help, dropped.clone());
        (Self { to, dropped }, ToWrite(from))
    }

    /// This was served.
    pub(crate) fn tell(&self, served: Served) {
        if self.to.try_send(served).is_err() {
            self.dropped.inc();
        }
    }
}

impl ToWrite {
    /// Writes what comes, until stopped: then what waits is written first.
    pub async fn run(
        mut self,
        append: Arc<dyn Append>,
        clock: Arc<dyn Clock>,
        token: CancellationToken,
    ) {
        let mut some = Vec::new();
        loop {
            tokio::select! {
                () = token.cancelled() => self.0.close(),
                _ = self.0.recv_many(&mut some, 1_000) => {}
            }
            if some.is_empty() && self.0.is_closed() {
                return;
            }
            let mut by_topic: HashMap<Topic, Vec<Draft>> = HashMap::new();
            for served in some.drain(..) {
                by_topic.entry(served.topic.clone()).or_default().push(draft(&served, &*clock));
            }
            for (topic, drafts) in by_topic {
                faults::crash_point("projector.before-fetched");
                if let Err(error) = append.append(&topic, drafts).await {
                    tracing::warn!(%topic, %error, "fetches not written down");
                }
            }
        }
    }
}

fn draft(served: &Served, clock: &dyn Clock) -> Draft {
    let Served { result, seq, member, .. } = *served;
    let body = Delivery::from(DeliveryFetched { result, seq, member });
    Draft::new(member.to_string(), &body, directory::said("/sluice/projector", clock.now()))
}
