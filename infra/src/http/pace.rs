//! How slow a connection may be: the library's own timer does not tell a slow head from an idle
//! connection, nor does it see an answer that is not taken.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::tls::Wire;
use crate::clock::{Clock, SystemClock};

/// How long a connection may be in each state.
#[derive(Clone, Copy, Debug)]
pub(super) struct PaceLimits {
    pub(super) head_max: Duration,
    pub(super) idle_max: Duration,
    pub(super) stall_max: Duration,
}

impl PaceLimits {
    /// How often a connection is looked at.
    pub(super) fn look_every(&self) -> Duration {
        let shortest = self.head_max.min(self.idle_max).min(self.stall_max);
        (shortest / 4).max(Duration::from_millis(1))
    }
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// A head is awaited, or has begun to come.
    Head { since: Duration },
    /// A request is being answered.
    Busy,
    /// Between two requests.
    Idle { since: Duration },
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Since when the peer takes nothing of what is to be sent.
    stalled_since: Option<Duration>,
    /// An answer was given before the whole request had been read.
    left_unread: bool,
}

/// What a connection is doing, and since when.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    state: Arc<Mutex<State>>,
    clock: Arc<SystemClock>,
}

impl Pace {
    /// Of a new connection.
    pub(super) fn new(clock: Arc<SystemClock>) -> Self {
        let phase = Phase::Head { since: clock.uptime() };
        let state = State { phase, stalled_since: None, left_unread: false };
        Self { state: Arc::new(Mutex::new(state)), clock }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has been too slow.
    pub(super) fn is_overdue(&self, limits: &PaceLimits) -> bool {
        let now = self.clock.uptime();
        let state = self.state();
        let longer = |since: Duration, max: Duration| now.saturating_sub(since) > max;
        let stalled = state.stalled_since.is_some_and(|since| longer(since, limits.stall_max));
        stalled
            || match state.phase {
                Phase::Head { since } => longer(since, limits.head_max),
                Phase::Idle { since } => longer(since, limits.idle_max),
                Phase::Busy => false,
            }
    }

    /// Whether the peer may still be sending what nobody reads.
    pub(super) fn has_left_unread(&self) -> bool {
        self.state().left_unread
    }

    /// A request's head is in.
    pub(super) fn busy(&self) {
        self.state().phase = Phase::Busy;
    }

    fn idle(&self) {
        self.state().phase = Phase::Idle { since: self.clock.uptime() };
    }

    fn has_read(&self) {
        let mut state = self.state();
        if let Phase::Idle { .. } = state.phase {
            state.phase = Phase::Head { since: self.clock.uptime() };
        }
    }

    fn has_written(&self, pending: bool) {
        let mut state = self.state();
        match (pending, state.stalled_since) {
            (true, None) => state.stalled_since = Some(self.clock.uptime()),
            (false, Some(_)) => state.stalled_since = None,
            _ => {}
        }
    }
}

/// A socket that tells its pace, and goes back to whoever lent it.
#[derive(Debug)]
pub(super) struct Paced {
    socket: Option<Wire>,
    pace: Pace,
    back: Arc<Mutex<Option<Wire>>>,
}

impl Paced {
    /// The socket, and where it will be found when this is dropped.
    pub(super) fn lend(socket: Wire, pace: Pace) -> (Self, Arc<Mutex<Option<Wire>>>) {
        let back = Arc::default();
        (Self { socket: Some(socket), pace, back: Arc::clone(&back) }, back)
    }

    fn socket(&mut self) -> io::Result<Pin<&mut Wire>> {
        self.socket.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Paced {
    fn drop(&mut self) {
        *self.back.lock().unwrap_or_else(PoisonError::into_inner) = self.socket.take();
    }
}

impl AsyncRead for Paced {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = to.filled().len();
        ready!(self.socket()?.poll_read(cx, to))?;
        if to.filled().len() > before {
            self.pace.has_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Paced {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.socket()?.poll_write(cx, bytes);
        self.pace.has_written(written.is_pending());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.socket()?.poll_write_vectored(cx, slices);
        self.pace.has_written(written.is_pending());
        written
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket()?.poll_shutdown(cx)
    }
}

/// Which body is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// Tells whether all of it was read.
    Request,
    /// Tells when the connection is idle again.
    Answer,
}

/// A body that tells the pace when it is done with.
#[derive(Debug)]
pub(super) struct Noted<B> {
    body: B,
    pace: Pace,
    of: Of,
    ended: bool,
}

impl<B: Body> Noted<B> {
    pub(super) fn new(body: B, pace: Pace, of: Of) -> Self {
        let ended = body.is_end_stream();
        Self { body, pace, of, ended }
    }
}

impl<B> Drop for Noted<B> {
    fn drop(&mut self) {
        match self.of {
            Of::Answer => self.pace.idle(),
            Of::Request => self.pace.state().left_unread |= !self.ended,
        }
    }
}

impl<B: Body + Unpin> Body for Noted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.ended = frame.is_none() || self.body.is_end_stream();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
