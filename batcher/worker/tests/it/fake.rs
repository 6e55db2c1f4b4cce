//! A server with one batch, and what each test has it do otherwise.

use std::collections::BTreeMap;
use std::future::IntoFuture as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use schemas::digest::Digest;
use schemas::file::{FileRef, manifest_digest};
use schemas::id::{AccountId, BatchId, UploadId};
use schemas::problem::Code;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use worker::client::Patience;

use worker::{Batch, Client, Failed, Output, Worker};

pub(crate) const BATCH: BatchId = BatchId::from_bits(7);

/// A file with this content.
pub(crate) fn file(content: &[u8]) -> FileRef {
    let number = content.iter().fold(0, |number, byte| number << 8 | u128::from(*byte));
    let at = "2026-11-21T10:30:00Z";
    FileRef {
        upload: UploadId::from_bits(number),
        client: AccountId::from_bits(1),
        name: "reading.csv".parse().unwrap(),
        size_bytes: content.len() as u64,
        sha256: Digest::of(content),
        media_type: "text/csv".parse().unwrap(),
        object: "u/1/1".parse().unwrap(),
        observed_at: None,
        sent_at: None,
        received_at: at.parse().unwrap(),
        effective_at: at.parse().unwrap(),
        time_source: schemas::file::TimeSource::Server,
        clamped: false,
        quarantined: false,
        inspections: Vec::new(),
    }
}

/// A request: what it is for, by the last part of its path, its query and its body.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) what: String,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

type Otherwise = dyn Fn(usize, &Asked) -> Option<Response> + Send + Sync;

/// A server whose one batch has the files `alpha` and `beta`, on two pages of its manifest.
#[derive(Clone)]
pub(crate) struct Server {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// One for each request that is never answered.
    pub(crate) held: Arc<Notify>,
    otherwise: Arc<Otherwise>,
    tasks: Arc<Mutex<JoinSet<std::io::Result<()>>>>,
}

impl Server {
    /// With other answers to some requests, counted from 0 for each kind.
    pub(crate) async fn start(
        otherwise: impl Fn(usize, &Asked) -> Option<Response> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = Self {
            address,
            asked: Arc::default(),
            held: Arc::default(),
            otherwise: Arc::new(otherwise),
            tasks: Arc::default(),
        };
        let answering = server.clone();
        let router =
            Router::new().fallback(async move |uri: Uri, headers: HeaderMap, body: Bytes| {
                let what = uri.path().rsplit('/').next().unwrap().to_owned();
                if let Some(answer) = answering.answer(Asked { what, uri, headers, body }) {
                    return answer;
                }
                answering.held.notify_one();
                std::future::pending().await
            });
        server.tasks.lock().unwrap().spawn(axum::serve(listener, router).into_future());
        server
    }

    pub(crate) fn worker(&self) -> Worker {
        self.worker_with(hasty())
    }

    pub(crate) fn worker_with(&self, patience: Patience) -> Worker {
        let client = Client::new(&self.address).unwrap().patience(patience);
        Worker::new(client, "north".parse().unwrap()).pause_max(Duration::from_millis(2))
    }

    /// Requests of one kind, in their order.
    pub(crate) fn asked(&self, what: &str) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| asked.what == what).cloned().collect()
    }

    /// How often each kind was asked for.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for asked in self.asked.lock().unwrap().iter() {
            *counts.entry(asked.what.clone()).or_default() += 1;
        }
        counts
    }

    /// The answer; none for a request that is to hang.
    fn answer(&self, asked: Asked) -> Option<Response> {
        let count = self.asked(&asked.what).len();
        self.asked.lock().unwrap().push(asked.clone());
        if let Some(answer) = (self.otherwise)(count, &asked) {
            return (answer.status() != HANG).then_some(answer);
        }
        let [alpha, beta] = [&b"alpha"[..], b"beta"].map(file);
        Some(match &*asked.what {
            "claims" => lease(count as u64 + 1, 600_000),
            "manifest" if asked.uri.query() == Some("revision=2") => page(1, &alpha, Some("more")),
            "manifest" => page(2, &beta, None),
            "renew" | "fail" => StatusCode::OK.into_response(),
            "result" => receipt(&asked.body),
            upload if upload == alpha.upload.to_string() => b"alpha".into_response(),
            _ => b"beta".into_response(),
        })
    }
}

pub(crate) fn hasty() -> Patience {
    Patience {
        tries_max: 3,
        wait_min: Duration::from_millis(1),
        wait_max: Duration::from_millis(2),
        ..Patience::default()
    }
}

/// An answer that means: never answer.
const HANG: StatusCode = StatusCode::IM_A_TEAPOT;

pub(crate) fn hang() -> Response {
    HANG.into_response()
}

pub(crate) fn refuse(code: Code) -> Response {
    let problem = schemas::problem::Problem::new(code);
    let status = StatusCode::from_u16(problem.status).unwrap();
    (status, serde_json::to_vec(&problem).unwrap()).into_response()
}

pub(crate) fn manifest_sha256() -> Digest {
    let first = manifest_digest(None, [file(b"alpha")].iter());
    manifest_digest(Some(first), [file(b"beta")].iter())
}

pub(crate) fn lease(epoch: u64, lease_ms: u64) -> Response {
    let lease = json!({
        "batch": BATCH, "revision": 2, "manifest_sha256": manifest_sha256(), "epoch": epoch,
        "attempt": 1, "expires_at": "2026-11-21T10:40:00Z", "lease_ms": lease_ms,
    });
    (StatusCode::CREATED, lease.to_string()).into_response()
}

fn receipt(body: &[u8]) -> Response {
    let receipt = json!({
        "result": schemas::id::ResultId::of(BATCH, 2), "batch": BATCH, "revision": 2,
        "name": "r", "media_type": "text/plain", "size_bytes": body.len(),
        "sha256": Digest::of(body), "repeated": false,
    });
    (StatusCode::CREATED, receipt.to_string()).into_response()
}

pub(crate) fn page(page: u32, file: &FileRef, next: Option<&str>) -> Response {
    let view = json!({
        "batch": BATCH, "revision": 2, "manifest_sha256": manifest_sha256(), "files": 2,
        "items": [{"page": page, "file": file}], "next_cursor": next,
    });
    view.to_string().into_response()
}

/// What the files say, one after the other.
pub(crate) async fn joined(batch: Batch) -> Result<Output, Failed> {
    let mut all = String::new();
    for input in &batch.files {
        all += &std::fs::read_to_string(&input.path)?;
    }
    Ok(Output::bytes("joined.txt".parse()?, "text/plain".parse()?, all))
}
