//! The server: takes connections in, holds each to its pace, and ends them all in order.
//!
//! A loop of our own on hyper, since axum's has no bound on connections, on a first head that never
//! comes, or on open streams at the end. When the process drains it takes nothing more in; requests
//! under way finish, and streams end by [`Draining`].

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::response::Response;
use futures_util::{Stream, StreamExt};
use http::Request;
use http::request::Parts;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use schemas::limit::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::pace::{Noted, Of, Pace, PaceLimits, Paced};
use super::tls::{Tls, Wire};
use crate::clock::SystemClock;
use crate::supervise::{OnError, Tasks};
use crate::telemetry::{Gauge, HttpMetrics, Metrics};

/// Most that is read ahead of a handler per connection.
const READ_BYTES_MAX: usize = 65_536;
/// How long the rest of a body that nobody reads is thrown away, so that the peer gets to read why.
const LINGER_MAX: Duration = Duration::from_secs(2);
/// The wait after a connection could not be taken in, for want of file descriptors mostly.
const ACCEPT_WAIT: Duration = Duration::from_millis(50);

/// Where to listen, and how.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The address; port 0 takes a free one.
    pub at: SocketAddr,
    /// Whether other machines may connect without TLS.
    pub insecure: bool,
    /// The certificate to show; none: in the clear.
    pub tls: Option<Arc<Tls>>,
}

/// The server cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Other machines could connect, and read what is sent.
    #[error(
        "{0} is not a loopback address: tokens would cross the network in the clear. Say --tls-cert and --tls-key, or put TLS in front and say --insecure"
    )]
    NotLoopback(SocketAddr),
    /// The address cannot be had.
    #[error("cannot listen on {at} ({source}): say another address with --listen")]
    Bind {
        /// The address.
        at: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// What a server runs on.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where its tasks are begun.
    pub tasks: Tasks,
    /// What it is held to.
    pub limits: Arc<Limits>,
    /// Where it counts.
    pub metrics: Metrics,
}

/// Cancelled when the process drains: what would stream on for ever ends then.
#[derive(Clone, Debug, Default)]
pub struct Draining(CancellationToken);

impl Draining {
    /// The stream, ended when the process drains.
    pub fn end<S: Stream>(self, stream: S) -> impl Stream<Item = S::Item> {
        stream.take_until(self.0.cancelled_owned())
    }

    /// Returns when the process drains.
    pub async fn begun(&self) {
        self.0.cancelled().await;
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Draining {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

/// Serves `router` until the stage of its tasks ends; returns the address it listens on.
pub async fn serve(
    listen: Listen,
    router: Router,
    server: &Server,
) -> Result<SocketAddr, ServeError> {
    let Listen { at, insecure, tls } = listen;
    if !insecure && tls.is_none() && !at.ip().is_loopback() {
        return Err(ServeError::NotLoopback(at));
    }
    let bind = |source| ServeError::Bind { at, source };
    let listener = TcpListener::bind(at).await.map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let front = Arc::new(Front::new(router, tls, server));
    server.tasks.spawn("http accept", OnError::Stop, accept(listener, front));
    Ok(address)
}

/// What all connections of a server share.
#[derive(Debug)]
struct Front {
    router: Router,
    tls: Option<Arc<Tls>>,
    tasks: Tasks,
    draining: Draining,
    http: http1::Builder,
    pace: PaceLimits,
    clock: Arc<SystemClock>,
    slots: Arc<Semaphore>,
    metrics: HttpMetrics,
}

impl Front {
    fn new(router: Router, tls: Option<Arc<Tls>>, server: &Server) -> Self {
        let limits = &server.limits;
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let pace = PaceLimits {
            head_max: Duration::from_millis(limits.head_wait_ms_max),
            idle_max: Duration::from_millis(limits.idle_ms_max),
            stall_max: Duration::from_millis(limits.body_pause_ms_max),
        };
        let head_bytes_max = bytes(limits.headers_bytes_max);
        let mut http = http1::Builder::new();
        // The pace is ours to watch; the library's timer, which counts idle time as part of the
        // next head, only stands behind it.
        http.timer(TokioTimer::new())
            .header_read_timeout(pace.head_max + pace.idle_max)
            .max_header_size(head_bytes_max)
            .max_buf_size(head_bytes_max.max(READ_BYTES_MAX));
        let connections_max = bytes(limits.connections_max).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            router,
            tls,
            tasks: server.tasks.clone(),
            draining: Draining(server.tasks.token()),
            http,
            pace,
            clock: SystemClock::new(),
            slots: Arc::new(Semaphore::new(connections_max)),
            metrics: server.metrics.http.clone(),
        }
    }
}

impl Front {
    /// The connection, once its peer has been shown who we are; none where it wants nothing of it.
    async fn shake_hands(&self, socket: TcpStream, peer: SocketAddr) -> Option<Wire> {
        let Some(tls) = &self.tls else { return Some(Wire::Plain(socket)) };
        match tokio::time::timeout(self.pace.head_max, tls.accept(socket)).await {
            Ok(Ok(wire)) => Some(wire),
            Ok(Err(error)) => {
                tracing::debug!(%error, %peer, "no tls with a peer");
                None
            }
            Err(_) => {
                tracing::debug!(%peer, "a connection was too slow");
                self.metrics.slow_connections.inc();
                None
            }
        }
    }
}

/// Takes connections in, as many as may be; the others wait in the system's queue.
async fn accept(listener: TcpListener, front: Arc<Front>) -> Result<(), Infallible> {
    loop {
        let next = async {
            // The semaphore is never closed.
            let slot = Arc::clone(&front.slots).acquire_owned().await.ok();
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            () = front.draining.begun() => return Ok(()),
            next = next => next,
        };
        match accepted {
            Ok((socket, peer)) => {
                let held = Arc::new(Held::new(slot, front.metrics.connections.clone()));
                let place = Place { tasks: front.tasks.clone(), held };
                let connection = connection(socket, peer, Arc::clone(&front), place);
                front.tasks.spawn("http connection", OnError::Log, connection);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken in");
                tokio::time::sleep(ACCEPT_WAIT).await;
            }
        }
    }
}

/// Where what outlives its request runs: a connection that has become something else keeps its
/// place among those that may be.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) tasks: Tasks,
    pub(super) held: Arc<Held>,
}

/// A connection's place among those that may be, counted.
#[derive(Debug)]
pub(super) struct Held {
    _slot: Option<OwnedSemaphorePermit>,
    connections: Gauge,
}

impl Held {
    fn new(slot: Option<OwnedSemaphorePermit>, connections: Gauge) -> Self {
        connections.inc();
        Self { _slot: slot, connections }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.connections.dec();
    }
}

async fn connection(
    socket: TcpStream,
    peer: SocketAddr,
    front: Arc<Front>,
    place: Place,
) -> Result<(), Infallible> {
    // An answer is written in few large pieces; waiting for more to send only delays the last.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, %peer, "TCP_NODELAY");
    }
    let Some(socket) = front.shake_hands(socket, peer).await else { return Ok(()) };
    let pace = Pace::new(Arc::clone(&front.clock));
    let (paced, back) = Paced::lend(socket, pace.clone());
    let on_time = drive(paced, (peer, place.clone()), &front, &pace).await;
    if on_time && pace.has_left_unread() {
        Box::pin(linger(&back)).await;
    }
    Ok(())
}

/// Answers requests until the connection ends; false when it was too slow.
async fn drive(paced: Paced, from: (SocketAddr, Place), front: &Arc<Front>, pace: &Pace) -> bool {
    let peer = from.0;
    let service =
        service_fn(|request| answer(request, from.clone(), Arc::clone(front), pace.clone()));
    let connection = front.http.serve_connection(TokioIo::new(paced), service).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let mut looks = tokio::time::interval(front.pace.look_every());
    let mut draining = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, %peer, "a connection failed");
                }
                return true;
            }
            _ = looks.tick() => if pace.is_overdue(&front.pace) {
                tracing::debug!(%peer, "a connection was too slow");
                front.metrics.slow_connections.inc();
                return false;
            },
            () = front.draining.begun(), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    (peer, place): (SocketAddr, Place),
    front: Arc<Front>,
    pace: Pace,
) -> Result<Response<Noted<Body>>, Infallible> {
    pace.busy();
    let noting = pace.clone();
    let mut request = request.map(|body| Body::new(Noted::new(body, noting, Of::Request)));
    request.extensions_mut().insert(ConnectInfo(peer));
    request.extensions_mut().insert(front.draining.clone());
    request.extensions_mut().insert(place);
    let answer = front.router.clone().oneshot(request).await?;
    Ok(answer.map(|body| Noted::new(body, pace, Of::Answer)))
}

/// Reads and forgets what the peer still sends. Closing at once would make the system throw away
/// our answer with it.
async fn linger(back: &Mutex<Option<Wire>>) {
    let socket = back.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut socket) = socket else { return };
    let mut waste = vec![0; 16_384];
    let rest = async {
        _ = socket.shutdown().await;
        while matches!(socket.read(&mut waste).await, Ok(1..)) {}
    };
    // Out of time: the peer has had its chance.
    _ = tokio::time::timeout(LINGER_MAX, rest).await;
}
