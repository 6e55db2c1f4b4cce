//! TLS over real sockets, with a certificate made here and a client that checks it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::CertifiedKey;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use schemas::limit::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::clock::SystemClock;
use crate::http::serve::{Listen, Server, serve};
use crate::http::tls::{Tls, TlsError};
use crate::supervise::{Stage, Supervisor};
use crate::telemetry::Metrics;

const LONG: Duration = Duration::from_secs(20);

/// Writes a new certificate and its key; gives what a client is to trust.
fn certify(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let CertifiedKey { cert, signing_key } = made;
    std::fs::write(folder.join("chain.pem"), cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), signing_key.serialize_pem()).unwrap();
    cert.der().clone()
}

fn open(folder: &Path) -> Result<Arc<Tls>, TlsError> {
    Tls::open(&folder.join("chain.pem"), &folder.join("key.pem"))
}

async fn scene(tls: Arc<Tls>, at: &str, limits: Limits) -> (Supervisor, Metrics, SocketAddr) {
    let supervisor = Supervisor::new();
    let metrics = Metrics::new(SystemClock::new(), "test");
    let router = axum::Router::new()
        .route("/hello", axum::routing::get(async || "hello"))
        .route("/echo", axum::routing::post(async |body: bytes::Bytes| body));
    let tasks = supervisor.stage(Stage::Serve);
    let server = Server { tasks, limits: Arc::new(limits), metrics: metrics.clone() };
    let listen = Listen { at: at.parse().unwrap(), insecure: false, tls: Some(tls) };
    let address = serve(listen, router, &server).await.unwrap();
    (supervisor, metrics, SocketAddr::from(([127, 0, 0, 1], address.port())))
}

/// Sends a request; gives all of the answer.
async fn ask(
    at: SocketAddr,
    trusted: &CertificateDer<'static>,
    request: &[u8],
) -> io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(at).await?;
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect("localhost".try_into().unwrap(), socket).await?;
    stream.write_all(request).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

const HELLO: &[u8] = b"GET /hello HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn requests_are_answered_over_tls_and_not_without() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = certify(folder.path());
    let (_supervisor, _, at) =
        scene(open(folder.path()).unwrap(), "127.0.0.1:0", Limits::default()).await;
    let answer = ask(at, &trusted, HELLO).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hello"), "{answer}");
    let large = "x".repeat(300_000);
    let head =
        "POST /echo HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 300000";
    let answer = ask(at, &trusted, format!("{head}\r\n\r\n{large}").as_bytes()).await.unwrap();
    assert!(answer.ends_with(&large), "more than one record goes both ways");
    // In the clear nothing is answered.
    let mut plain = TcpStream::connect(at).await.unwrap();
    plain.write_all(HELLO).await.unwrap();
    let mut answer = Vec::new();
    _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    // Who trusts another certificate does not get as far.
    let elsewhere = tempfile::tempdir().unwrap();
    ask(at, &certify(elsewhere.path()), HELLO).await.unwrap_err();
}

#[tokio::test]
async fn with_tls_other_machines_may_connect() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = certify(folder.path());
    let (_supervisor, _, at) =
        scene(open(folder.path()).unwrap(), "0.0.0.0:0", Limits::default()).await;
    assert!(ask(at, &trusted, HELLO).await.unwrap().ends_with("hello"));
}

#[tokio::test]
async fn a_peer_that_never_shakes_hands_is_let_go() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    let limits = Limits { head_wait_ms_max: 300, ..Limits::default() };
    let (_supervisor, metrics, at) =
        scene(open(folder.path()).unwrap(), "127.0.0.1:0", limits).await;
    let mut silent = TcpStream::connect(at).await.unwrap();
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(LONG, silent.read_to_end(&mut answer)).await;
    assert!(ended.is_ok() && answer.is_empty());
    assert_eq!(metrics.http.slow_connections.get(), 1);
}

#[tokio::test]
async fn a_new_certificate_is_taken_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let first = certify(folder.path());
    let tls = open(folder.path()).unwrap();
    let (_supervisor, _, at) = scene(tls.clone(), "127.0.0.1:0", Limits::default()).await;
    std::fs::write(folder.path().join("chain.pem"), "nonsense").unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::NoCertificate(_))));
    ask(at, &first, HELLO).await.unwrap();
    let second = certify(folder.path());
    ask(at, &first, HELLO).await.unwrap();
    tls.reload().unwrap();
    ask(at, &second, HELLO).await.unwrap();
    ask(at, &first, HELLO).await.unwrap_err();
    // A key of another certificate.
    let other = tempfile::tempdir().unwrap();
    certify(other.path());
    std::fs::copy(other.path().join("key.pem"), folder.path().join("key.pem")).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Unfit(_))));
    ask(at, &second, HELLO).await.unwrap();
    std::fs::remove_file(folder.path().join("key.pem")).unwrap();
    assert!(matches!(open(folder.path()), Err(TlsError::Read { .. })));
}
