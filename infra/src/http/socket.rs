//! A WebSocket (RFC 6455): asked for, bounded in what it takes, and ended with everything else.
//!
//! The handshake is ours because the task that speaks on it must be one of the server's, and must
//! hold its place among the connections; frames are the library's.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::OptionalFromRequestParts;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{
    CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use schemas::problem::Code;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WireError, Utf8Bytes};

use super::Refused;
use super::serve::Place;

/// Longest message a peer may send: a token is the longest it has to say.
const HEARD_BYTES_MAX: usize = 16 * 1024;
/// What is read at once.
const READ_BYTES_MAX: usize = 4 * 1024;
/// What may wait to be written.
const WAITING_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How long a peer may take nothing of what it is told.
const STALL_MAX: Duration = Duration::from_secs(20);
/// How long the end may take to be said.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// A request for a WebSocket.
pub struct Upgrade {
    on: OnUpgrade,
    accept: HeaderValue,
    place: Place,
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upgrade { .. }")
    }
}

/// `None` where no WebSocket is asked for.
impl<S: Send + Sync> OptionalFromRequestParts<S> for Upgrade {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Refused> {
        if !names(&parts.headers, UPGRADE, "websocket") {
            return Ok(None);
        }
        let wrong = |what: &str| Refused::from(Code::InvalidRequest).detail(what);
        if !names(&parts.headers, CONNECTION, "upgrade") {
            return Err(wrong("Connection: Upgrade is missing"));
        }
        if parts.headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
            return Err(wrong("Sec-WebSocket-Version: only 13 is spoken"));
        }
        let key = parts.headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
        let key = key.filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16));
        let key = key.ok_or_else(|| wrong("Sec-WebSocket-Key: 16 bytes in base64"))?;
        let accept = HeaderValue::try_from(derive_accept_key(key));
        let accept = accept.map_err(|error| Refused::internal(&error))?;
        let on = parts.extensions.remove::<OnUpgrade>();
        let place = parts.extensions.get::<Place>().cloned();
        match (on, place) {
            (Some(on), Some(place)) => Ok(Some(Self { on, accept, place })),
            _ => Err(wrong("this connection cannot become a WebSocket")),
        }
    }
}

/// Whether a header's list has this word.
fn names(headers: &HeaderMap, header: HeaderName, word: &str) -> bool {
    let values = headers.get_all(header);
    let lists = values.iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|said| said.trim().eq_ignore_ascii_case(word))
}

/// The subprotocols that a browser offers, which may set no other header.
pub fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let lists = values.filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim)
}

impl Upgrade {
    /// The answer that makes it one, and `speak` on it, in a task of the server's. `protocol` is
    /// the one of those offered that is spoken, if any was.
    pub fn speak<F>(
        self,
        protocol: Option<&'static str>,
        speak: impl FnOnce(Socket) -> F + Send + 'static,
    ) -> Response
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Self { on, accept, place } = self;
        let held = Arc::clone(&place.held);
        place.tasks.spawn("websocket", crate::supervise::OnError::Log, async move {
            let _held = held;
            match on.await {
                Ok(upgraded) => speak(Socket::new(upgraded).await).await,
                Err(error) => tracing::debug!(%error, "no WebSocket came of it"),
            }
            Ok::<_, Infallible>(())
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        if let Some(protocol) = protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        }
        response
    }
}

/// Why a WebSocket is ended by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// All was said (1000).
    Done,
    /// The server ends (1001).
    GoingAway,
    /// What was heard is not for us (1003).
    Unsupported,
    /// Too many frames (1008).
    Flood,
    /// Too long a message (1009).
    TooLong,
    /// Something failed on our side (1011).
    Internal,
    /// Come back and go on where you were (1013).
    ComeBack,
    /// The token is dead (3000, registered as "Unauthorized").
    TokenEnded,
    /// Of another account, or a member no longer (3003, registered as "Forbidden").
    Forbidden,
}

impl Farewell {
    fn frame(self) -> CloseFrame {
        let (code, reason) = match self {
            Self::Done => (1000, "done"),
            Self::GoingAway => (1001, "the server ends; come back"),
            Self::Unsupported => (1003, "only {\"token\":\"…\"} is understood"),
            Self::Flood => (1008, "too many frames"),
            Self::TooLong => (1009, "too long a message"),
            Self::Internal => (1011, "something failed; come back"),
            Self::ComeBack => (1013, "too slow; come back after the last id"),
            Self::TokenEnded => (3000, "the token is dead"),
            Self::Forbidden => (3003, "not allowed"),
        };
        CloseFrame { code: CloseCode::from(code), reason: Utf8Bytes::from_static(reason) }
    }
}

/// What a peer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A text.
    Text(String),
    /// That it lives.
    Alive,
}

/// Why nothing more is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hung {
    /// The peer has closed, or is gone.
    Gone,
    /// It is to be told why before it is let go.
    Wrong(Farewell),
}

/// A WebSocket that is open.
#[derive(Debug)]
pub struct Socket(WebSocketStream<TokioIo<Upgraded>>);

impl Socket {
    async fn new(upgraded: Upgraded) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES_MAX)
            .write_buffer_size(0)
            .max_write_buffer_size(WAITING_BYTES_MAX)
            .max_message_size(Some(HEARD_BYTES_MAX))
            .max_frame_size(Some(HEARD_BYTES_MAX));
        let io = TokioIo::new(upgraded);
        Self(WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await)
    }

    /// What the peer says next. Cancel-safe.
    pub async fn hear(&mut self) -> Result<Said, Hung> {
        match self.0.next().await {
            None | Some(Ok(Message::Close(_))) => Err(Hung::Gone),
            Some(Ok(Message::Text(text))) => Ok(Said::Text(text.as_str().to_owned())),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(Said::Alive),
            Some(Ok(Message::Binary(_) | Message::Frame(_))) => {
                Err(Hung::Wrong(Farewell::Unsupported))
            }
            Some(Err(WireError::Capacity(_))) => Err(Hung::Wrong(Farewell::TooLong)),
            Some(Err(error)) => {
                tracing::debug!(%error, "a WebSocket failed");
                Err(Hung::Gone)
            }
        }
    }

    /// Says a text; false when the peer is gone, or takes nothing.
    pub async fn tell(&mut self, text: Bytes) -> bool {
        match Utf8Bytes::try_from(text) {
            Ok(text) => self.send(Message::Text(text)).await,
            Err(_) => false,
        }
    }

    /// Asks whether the peer lives.
    pub async fn ping(&mut self) -> bool {
        self.send(Message::Ping(Bytes::new())).await
    }

    async fn send(&mut self, message: Message) -> bool {
        matches!(tokio::time::timeout(STALL_MAX, self.0.send(message)).await, Ok(Ok(())))
    }

    /// Ends it, and says why.
    pub async fn close(mut self, why: Farewell) {
        let end = async {
            _ = self.0.close(Some(why.frame())).await;
            // The peer answers with its own end; what else it says is not heard any more.
            while let Some(Ok(_)) = self.0.next().await {}
        };
        // Out of time: the peer has had its chance.
        _ = tokio::time::timeout(CLOSE_MAX, end).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_names_a_word_in_any_of_its_lists() {
        let check = |values: &[&'static str], expected| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONNECTION, HeaderValue::from_static(value));
            }
            assert_eq!(names(&headers, CONNECTION, "upgrade"), expected, "{values:?}");
        };
        check(&["Upgrade"], true);
        check(&["keep-alive, upgrade"], true);
        check(&["keep-alive", "UPGRADE"], true);
        check(&["upgrades"], false);
        check(&[], false);
    }

    #[test]
    fn each_farewell_has_a_reason_that_fits_a_frame() {
        for why in [
            Farewell::Done,
            Farewell::GoingAway,
            Farewell::Unsupported,
            Farewell::Flood,
            Farewell::TooLong,
            Farewell::Internal,
            Farewell::ComeBack,
            Farewell::TokenEnded,
            Farewell::Forbidden,
        ] {
            let frame = why.frame();
            assert!(frame.code.is_allowed() && frame.reason.len() <= 123, "{why:?}");
        }
    }
}
