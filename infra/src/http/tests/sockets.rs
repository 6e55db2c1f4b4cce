//! The server over real sockets: slow, greedy and well-behaved peers, and the end of all of them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Sse;
use axum::response::sse::Event;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use schemas::limit::Limits;
use schemas::problem::Code;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::clock::SystemClock;
use crate::fakes::LONG;
use crate::http::Refused;
use crate::http::body::{Bounds, Fault, guarded};
use crate::http::serve::{Draining, Listen, ServeError, Server, serve};
use crate::supervise::{Drained, Stage, Supervisor};
use crate::telemetry::Metrics;

/// Short enough for a test, long enough for a busy machine not to stumble over it.
const SHORT_MS: u64 = 400;

struct Scene {
    supervisor: Supervisor,
    metrics: Metrics,
    address: SocketAddr,
    /// Told when a handler has begun.
    begun: Arc<Notify>,
}

async fn upload(begun: Arc<Notify>, request: axum::extract::Request) -> Result<String, Refused> {
    begun.notify_one();
    let limits = Limits { body_pause_ms_max: SHORT_MS, ..Limits::default() };
    let (parts, body) = request.into_parts();
    let bounds = Bounds::of_file(&parts.headers, 100_000_000, &limits)?;
    let (mut chunks, receipt) = guarded(body, bounds);
    while let Some(chunk) = chunks.next().await {
        chunk.map_err(|error| Refused::from(Fault::within(&error).unwrap_or(&Fault::Cut)))?;
    }
    Ok(receipt.get().unwrap().sha256.to_string())
}

/// A server with a handler for each kind of peer.
async fn scene(limits: Limits) -> Scene {
    let supervisor = Supervisor::new();
    let metrics = Metrics::new(SystemClock::new(), "test");
    let begun = Arc::new(Notify::new());
    let (uploading, streaming, waiting) = (begun.clone(), begun.clone(), begun.clone());
    let router = axum::Router::new()
        .route("/hello", axum::routing::get(async || "hello"))
        .route("/upload", axum::routing::post(async |request| upload(uploading, request).await))
        .route("/refuse", axum::routing::post(async || Refused::from(Code::FileTooLarge)))
        .route(
            "/who",
            axum::routing::get(async |ConnectInfo(peer)| -> String {
                let peer: SocketAddr = peer;
                peer.to_string()
            }),
        )
        .route(
            "/large",
            axum::routing::get(async || {
                let chunk = Bytes::from(vec![b'x'; 65_536]);
                Body::from_stream(stream::repeat(chunk).map(io::Result::Ok))
            }),
        )
        .route(
            "/events",
            axum::routing::get(async move |draining: Draining| {
                let (send, events) = mpsc::unbounded_channel();
                send.send(Event::default().data("first")).unwrap();
                let events = UnboundedReceiverStream::new(events).map(io::Result::Ok);
                streaming.notify_one();
                // The sender lives with the stream: it would never end by itself.
                let events = events.map(move |event| (&send, event).1);
                Sse::new(draining.end(events))
            }),
        )
        .route(
            "/never",
            axum::routing::get(async move || {
                waiting.notify_one();
                std::future::pending::<()>().await;
            }),
        );
    let tasks = supervisor.stage(Stage::Serve);
    let server = Server { tasks, limits: Arc::new(limits), metrics: metrics.clone() };
    let listen = Listen { at: "127.0.0.1:0".parse().unwrap(), insecure: false, tls: None };
    let address = serve(listen, router, &server).await.unwrap();
    Scene { supervisor, metrics, address, begun }
}

fn short() -> Limits {
    Limits {
        head_wait_ms_max: SHORT_MS,
        body_pause_ms_max: SHORT_MS,
        idle_ms_max: 60_000,
        ..Limits::default()
    }
}

struct Peer(TcpStream);

impl Peer {
    async fn of(scene: &Scene) -> Self {
        Self(TcpStream::connect(scene.address).await.unwrap())
    }

    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// One answer with Content-Length: its head and its body.
    async fn answer(&mut self) -> (String, String) {
        tokio::time::timeout(LONG, async {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                head.push(char::from(self.0.read_u8().await.unwrap()));
            }
            let lower = head.to_ascii_lowercase();
            let length =
                lower.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            self.0.read_exact(&mut body).await.unwrap();
            (head, String::from_utf8(body).unwrap())
        })
        .await
        .expect("an answer comes")
    }

    /// What comes until the server closes.
    async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(LONG, self.0.read_to_end(&mut rest));
        match read.await.expect("the server closes") {
            Ok(_) => {}
            // What we sent last was not wanted any more.
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        }
        String::from_utf8(rest).unwrap()
    }
}

const HELLO: &str = "GET /hello HTTP/1.1\r\nhost: x\r\n\r\n";

impl Scene {
    async fn end(self) {
        assert_eq!(self.supervisor.drain(LONG).await, Drained::default());
        let text = self.metrics.render();
        assert!(text.contains("sluice_http_connections 0\n"), "all have ended:\n{text}");
    }

    fn slow_connections(&self) -> u64 {
        self.metrics.http.slow_connections.get()
    }
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_let_go() {
    let scene = scene(short()).await;
    let mut silent = Peer::of(&scene).await;
    assert_eq!(silent.rest().await, "");
    assert_eq!(scene.slow_connections(), 1);
    scene.end().await;
}

#[tokio::test]
async fn a_peer_that_trickles_its_head_is_let_go() {
    for before in ["", HELLO] {
        let scene = scene(short()).await;
        let Peer(socket) = Peer::of(&scene).await;
        let (mut read, mut write) = socket.into_split();
        let trickle = async {
            _ = write.write_all(before.as_bytes()).await;
            _ = write.write_all(b"GET /hello HTTP/1.1\r\n").await;
            // Ends when the server has closed and the system says so.
            while write.write_all(b"x: y\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let mut all = Vec::new();
        let both = async { tokio::join!(trickle, read.read_to_end(&mut all)) };
        _ = tokio::time::timeout(LONG, both).await.expect("the server closes");
        let hellos = String::from_utf8(all).unwrap().matches("hello").count();
        assert_eq!(hellos, usize::from(!before.is_empty()));
        assert_eq!(scene.slow_connections(), 1);
        scene.end().await;
    }
}

#[tokio::test]
async fn an_idle_peer_is_kept_for_longer_than_a_slow_one_but_not_for_ever() {
    let scene = scene(Limits { idle_ms_max: 4 * SHORT_MS, ..short() }).await;
    let mut peer = Peer::of(&scene).await;
    peer.send(HELLO).await;
    peer.answer().await;
    tokio::time::sleep(Duration::from_millis(2 * SHORT_MS)).await;
    peer.send(HELLO).await;
    assert_eq!(peer.answer().await.1, "hello", "the same connection");
    assert_eq!(peer.rest().await, "");
    assert_eq!(scene.slow_connections(), 1);
    scene.end().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let scene = scene(Limits { headers_bytes_max: 8_192, ..Limits::default() }).await;
    let long = "y".repeat(8_192);
    let many = "x: y\r\n".repeat(200);
    for head in [
        format!("GET /hello HTTP/1.1\r\nhost: x\r\nx: {long}\r\n\r\n"),
        format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"),
        format!("GET /hello HTTP/1.1\r\nhost: x\r\n{many}\r\n"),
    ] {
        let mut peer = Peer::of(&scene).await;
        _ = peer.0.write_all(head.as_bytes()).await;
        let answer = peer.rest().await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    let mut peer = Peer::of(&scene).await;
    peer.send(&format!("GET /hello HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(8_000))).await;
    assert_eq!(peer.answer().await.1, "hello", "just below");
    drop(peer);
    scene.end().await;
}

#[tokio::test]
async fn requests_may_come_all_at_once_and_are_answered_in_order() {
    let scene = scene(Limits::default()).await;
    let mut peer = Peer::of(&scene).await;
    let upload = "POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc";
    let who = "GET /who HTTP/1.1\r\nhost: x\r\n\r\n";
    peer.send(&[HELLO, upload, who, HELLO].concat()).await;
    let digest = schemas::digest::Digest::of(b"abc").to_string();
    let me = peer.0.local_addr().unwrap().to_string();
    for expected in ["hello", &digest, &me, "hello"] {
        let (head, body) = peer.answer().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(body, expected);
    }
    drop(peer);
    scene.end().await;
}

#[tokio::test]
async fn no_more_are_taken_in_than_may_be() {
    let scene = scene(Limits { connections_max: 1, ..Limits::default() }).await;
    let mut first = Peer::of(&scene).await;
    first.send(HELLO).await;
    first.answer().await;
    let mut second = Peer::of(&scene).await;
    second.send(HELLO).await;
    let early = tokio::time::timeout(Duration::from_millis(100), second.0.readable()).await;
    assert!(early.is_err(), "it waits in the system's queue");
    drop(first);
    assert_eq!(second.answer().await.1, "hello");
    drop(second);
    scene.end().await;
}

#[tokio::test]
async fn a_body_that_pauses_is_refused() {
    let scene = scene(Limits::default()).await;
    let mut peer = Peer::of(&scene).await;
    peer.send("POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc").await;
    let (head, body) = peer.answer().await;
    assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
    assert!(body.contains("slow-body"), "{body}");
    drop(peer);
    scene.end().await;
}

#[tokio::test]
async fn who_sends_too_much_gets_to_read_why() {
    let scene = scene(Limits::default()).await;
    for _ in 0..10 {
        let mut peer = Peer::of(&scene).await;
        peer.send("POST /refuse HTTP/1.1\r\nhost: x\r\ncontent-length: 8388608\r\n\r\n").await;
        // Like a simple client: all of it first, then the answer.
        let body = vec![0; 8_388_608];
        let sent = tokio::time::timeout(LONG, peer.0.write_all(&body)).await.unwrap();
        sent.expect("the rest is read away: a reset could cost the peer our answer");
        let (head, body) = peer.answer().await;
        assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
        assert!(body.contains("file-too-large"), "{body}");
    }
    scene.end().await;
}

#[tokio::test]
async fn a_peer_that_does_not_take_its_answer_is_let_go() {
    let scene = scene(short()).await;
    let mut peer = Peer::of(&scene).await;
    peer.send("GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let gone = async {
        while scene.slow_connections() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, gone).await.expect("it is let go");
    scene.end().await;
}

#[tokio::test]
async fn a_drain_lets_an_upload_finish_and_takes_nothing_more_in() {
    let scene = scene(Limits::default()).await;
    let mut idle = Peer::of(&scene).await;
    idle.send(HELLO).await;
    idle.answer().await;
    let mut fresh = Peer::of(&scene).await;
    let mut peer = Peer::of(&scene).await;
    peer.send("POST /upload HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\nabc").await;
    scene.begun.notified().await;

    let client = async {
        assert_eq!((idle.rest().await, fresh.rest().await), (String::new(), String::new()));
        let refused = TcpStream::connect(scene.address).await.map_err(|error| error.kind());
        assert_eq!(refused.err(), Some(io::ErrorKind::ConnectionRefused));
        peer.send("def").await;
        let (head, body) = peer.answer().await;
        assert_eq!(body, schemas::digest::Digest::of(b"abcdef").to_string());
        assert!(head.contains("connection: close"), "{head}");
        assert_eq!(peer.rest().await, "");
    };
    let (drained, ()) = tokio::join!(scene.supervisor.drain(LONG), client);
    assert_eq!(drained, Drained::default());
}

#[tokio::test]
async fn a_drain_ends_streams() {
    let scene = scene(Limits::default()).await;
    let mut peer = Peer::of(&scene).await;
    peer.send("GET /events HTTP/1.1\r\nhost: x\r\n\r\n").await;
    scene.begun.notified().await;
    let (drained, all) = tokio::join!(scene.supervisor.drain(LONG), peer.rest());
    assert_eq!(drained, Drained::default());
    assert!(all.contains("data: first\n"), "what was there was sent: {all}");
    assert!(all.ends_with("0\r\n\r\n"), "a good end, so that the peer comes back: {all}");
}

#[tokio::test]
async fn a_drain_gives_up_on_what_does_not_end() {
    let scene = scene(Limits::default()).await;
    let mut peer = Peer::of(&scene).await;
    peer.send("GET /never HTTP/1.1\r\nhost: x\r\n\r\n").await;
    scene.begun.notified().await;
    let drained = scene.supervisor.drain(Duration::from_millis(50)).await;
    assert_eq!(drained.aborted, ["http connection"]);
    assert_eq!(peer.rest().await, "");
}

#[tokio::test]
async fn others_may_connect_only_when_that_is_said_aloud() {
    let supervisor = Supervisor::new();
    let server = Server {
        tasks: supervisor.stage(Stage::Serve),
        limits: Arc::default(),
        metrics: Metrics::new(SystemClock::new(), "test"),
    };
    let try_at = async |at: &str, insecure| {
        let listen = Listen { at: at.parse().unwrap(), insecure, tls: None };
        serve(listen, axum::Router::new(), &server).await
    };
    assert!(matches!(try_at("0.0.0.0:0", false).await, Err(ServeError::NotLoopback(_))));
    assert!(matches!(try_at("[::]:0", false).await, Err(ServeError::NotLoopback(_))));
    let address = try_at("0.0.0.0:0", true).await.unwrap();
    let taken = try_at(&address.to_string(), true).await;
    assert!(matches!(taken, Err(ServeError::Bind { .. })));
    supervisor.drain(LONG).await;
}
