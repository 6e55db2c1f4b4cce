//! Events into a pool's topics, and the fold's answers to those that are requests.

use std::sync::Arc;

use infra::directory::{Fold, Pool, said};
use infra::log::{Answered, Draft, Heard};
use schemas::event::{Body, Derived, Event, PoolLocated};
use schemas::topic::{Offset, Topic};

use crate::error::Error;
use crate::state::State;

/// Who says events.
const SOURCE: &str = "/sluice/ingest";

/// Where a pool's records are.
#[derive(Clone, Debug)]
pub(crate) struct Topics {
    pub(crate) events: Topic,
    pub(crate) batches: Topic,
    pub(crate) deliveries: Topic,
}

impl Topics {
    /// Of a pool as the directory knows it.
    pub(crate) fn of(pool: &Pool) -> Result<Self, Error> {
        let located = pool.located.as_deref().map(Self::located);
        located.ok_or(Error::Broken("a pool has a policy and no place"))
    }

    /// As data says.
    pub(crate) fn located(located: &PoolLocated) -> Self {
        let [events, batches, deliveries] =
            [&located.events, &located.batches, &located.deliveries].map(|name| Topic::named(name));
        Self { events, batches, deliveries }
    }
}

/// What became of a request.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    /// The fold has said yes, in these words.
    Yes {
        /// Where the request is.
        offset: Offset,
        /// The answer.
        heard: Arc<Heard>,
    },
    /// The request is in the log and not answered yet.
    Pending {
        /// Where it is.
        offset: Offset,
    },
}

impl State {
    /// Asks the fold. What it refuses for a reason of its own is an error.
    pub(crate) async fn ask(
        &self,
        topics: &Topics,
        event: impl Into<Event>,
    ) -> Result<Asked, Error> {
        let event = event.into();
        let draft = self.draft(&event, event.subject());
        let Topics { events, batches, .. } = topics;
        let asked = self.answers.ask(&*self.log, events, batches, draft, self.answer_max());
        let heard = match asked.await? {
            Answered::Pending { offset } => return Ok(Asked::Pending { offset }),
            Answered::With(heard) => heard,
        };
        if let Derived::RequestRefused(refused) = &heard.body {
            return Err(Error::Asked(refused.reason));
        }
        let cause = heard.attributes.cause.ok_or(Error::Broken("an answer without a cause"))?;
        Ok(Asked::Yes { offset: cause.offset, heard })
    }

    /// The record that says `body` now.
    pub(crate) fn draft(&self, body: &impl Body, subject: Option<String>) -> Draft {
        let key = subject.clone().unwrap_or_default();
        let mut attributes = said(SOURCE, self.clock.now());
        attributes.subject = subject;
        let draft = Draft::new(key, body, attributes);
        debug_assert!(
            u64::try_from(draft.value.len()).is_ok_and(|len| len <= self.limits.record_bytes_max),
            "every bound of a request keeps its record below the log's"
        );
        draft
    }

    /// Whether this process's directory shows it in time, so that what was just granted counts.
    pub(crate) async fn shows(&self, shown: impl Fn(&Fold) -> bool) -> bool {
        self.directory().wait_for(shown, self.answer_max()).await.is_ok()
    }
}
