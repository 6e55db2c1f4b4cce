//! What all requests share.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use infra::blobs::Blobs;
use infra::clock::Clock;
use infra::directory::Directory;
use infra::http::Access;
use infra::identity::Notary;
use infra::kept::Kept;
use infra::known::Known;
use infra::log::{Answers, Append};
use infra::room::Room;
use infra::webhooks::{Poster, Webhooks};
use schemas::limit::Limits;

use crate::metrics::IngestMetrics;
use crate::quota::Reservations;
use crate::receipt::Acknowledged;
use crate::upload::{Clocks, Flights, UploadKey};
use crate::work::{Desks, Renewals};

/// Who may make an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignUps {
    /// Anyone.
    #[default]
    Open,
    /// Whoever has a pool's join token, which makes it in one call.
    Invite,
    /// Nobody over HTTP, but for API clients of those who have one.
    Closed,
}

/// What ingest is made of.
#[derive(Debug)]
pub struct Parts {
    /// Where events go.
    pub log: Arc<dyn Append>,
    /// Where the fold's answers come from; someone else runs it.
    pub answers: Arc<Answers>,
    /// Where bytes go.
    pub blobs: Arc<dyn Blobs>,
    /// Whether there is room for more bytes.
    pub room: Arc<Room>,
    /// Who may do what.
    pub access: Access,
    /// Where quota reservations are kept; their table is made by [`prepare`](crate::prepare).
    pub kept: Arc<dyn Kept>,
    /// What the tables know.
    pub known: Arc<dyn Known>,
    /// Whom notices are sent to.
    pub webhooks: Arc<Webhooks>,
    /// Where they may be sent.
    pub poster: Arc<Poster>,
    /// What is stamped on events.
    pub clock: Arc<dyn Clock>,
    /// Who may make an account.
    pub sign_ups: SignUps,
    /// How much a request may bring.
    pub limits: Arc<Limits>,
    /// What upload ids are made with.
    pub upload_key: UploadKey,
    /// What signs receipts.
    pub notary: Notary,
    /// What is counted.
    pub metrics: IngestMetrics,
}

/// What all requests share.
#[derive(Clone, Debug)]
pub struct State {
    pub(crate) log: Arc<dyn Append>,
    pub(crate) answers: Arc<Answers>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) room: Arc<Room>,
    pub(crate) access: Access,
    pub(crate) kept: Arc<dyn Kept>,
    pub(crate) reservations: Arc<Reservations>,
    pub(crate) known: Arc<dyn Known>,
    pub(crate) webhooks: Arc<Webhooks>,
    pub(crate) poster: Arc<Poster>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sign_ups: SignUps,
    pub(crate) limits: Arc<Limits>,
    pub(crate) upload_key: Arc<UploadKey>,
    pub(crate) metrics: Arc<IngestMetrics>,
    pub(crate) flights: Arc<Flights>,
    pub(crate) desks: Arc<Desks>,
    pub(crate) renewals: Arc<Renewals>,
    pub(crate) notary: Arc<Notary>,
    pub(crate) acknowledged: Arc<Acknowledged>,
    pub(crate) clocks: Arc<Clocks>,
}

impl State {
    /// The state of one process.
    pub fn new(parts: Parts) -> Self {
        Self {
            log: parts.log,
            answers: parts.answers,
            blobs: parts.blobs,
            room: parts.room,
            access: parts.access,
            kept: parts.kept,
            reservations: Arc::default(),
            known: parts.known,
            webhooks: parts.webhooks,
            poster: parts.poster,
            clock: parts.clock,
            sign_ups: parts.sign_ups,
            limits: parts.limits,
            upload_key: Arc::new(parts.upload_key),
            metrics: Arc::new(parts.metrics),
            flights: Arc::default(),
            desks: Arc::default(),
            renewals: Arc::default(),
            notary: Arc::new(parts.notary),
            acknowledged: Arc::default(),
            clocks: Arc::default(),
        }
    }

    pub(crate) fn directory(&self) -> &Arc<Directory> {
        self.access.directory()
    }

    /// How long a request waits for the fold, or for the directory to show what it decided.
    pub(crate) fn answer_max(&self) -> Duration {
        Duration::from_millis(self.limits.answer_ms_max)
    }
}

impl FromRef<State> for Access {
    fn from_ref(state: &State) -> Self {
        state.access.clone()
    }
}
