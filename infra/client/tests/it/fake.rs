//! A small server on a port of its own: answers from a script, and writes down what it was asked.

use std::future::IntoFuture as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use schemas::problem::{Code, Problem};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use client::{Client, Patience};

/// A server on a port of its own, for as long as it lives.
pub(crate) struct Fake {
    address: String,
    _tasks: JoinSet<std::io::Result<()>>,
}

impl Fake {
    pub(crate) async fn serve(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(axum::serve(listener, router).into_future());
        Self { address, _tasks: tasks }
    }

    /// A client of it that does not wait long.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.address).unwrap().patience(hasty())
    }
}

pub(crate) fn hasty() -> Patience {
    Patience {
        tries_max: 4,
        wait_min: Duration::from_millis(1),
        wait_max: Duration::from_millis(2),
        silence_max: Duration::from_secs(30),
    }
}

/// What a server was sent.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

type Answers = dyn Fn(usize, &Asked) -> Response + Send + Sync;

/// Answers from a list, one after the other, the last of them for ever; writes down each request.
#[derive(Clone)]
pub(crate) struct Script {
    asked: Arc<Mutex<Vec<Asked>>>,
    answers: Arc<Answers>,
}

impl Script {
    /// With the answer to each request, counted from 0.
    pub(crate) fn new(answers: impl Fn(usize, &Asked) -> Response + Send + Sync + 'static) -> Self {
        Self { asked: Arc::default(), answers: Arc::new(answers) }
    }

    pub(crate) async fn serve(&self) -> Fake {
        let script = self.clone();
        let handler = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let answer = script.answer(Asked { uri, headers, body });
            std::future::ready(answer)
        };
        Fake::serve(Router::new().fallback(handler)).await
    }

    pub(crate) fn answer(&self, asked: Asked) -> Response {
        let mut all = self.asked.lock().unwrap();
        let answer = (self.answers)(all.len(), &asked);
        all.push(asked);
        answer
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

pub(crate) fn refused(code: Code) -> Response {
    problem(&code.into())
}

pub(crate) fn problem(problem: &Problem) -> Response {
    let status = axum::http::StatusCode::from_u16(problem.status).unwrap();
    let retry_after = problem.retry_after_s.map(|seconds| [("retry-after", seconds.to_string())]);
    let json = serde_json::to_vec(problem).unwrap();
    match retry_after {
        Some(header) => (status, header, json).into_response(),
        None => (status, json).into_response(),
    }
}

/// An answer of this length that is cut off after these bytes.
pub(crate) fn cut(status: u16, sent: &'static [u8], length: usize) -> Response {
    let sent = futures_util::stream::iter([Ok(Bytes::from_static(sent))]);
    // What is there is sent while the stream has nothing more to give.
    let end = futures_util::stream::once(async {
        tokio::task::yield_now().await;
        Err(std::io::Error::other("cut"))
    });
    Response::builder()
        .status(status)
        .header("content-length", length)
        .body(Body::from_stream(sent.chain(end)))
        .unwrap()
}

pub(crate) fn json(value: serde_json::Value) -> Response {
    (axum::http::StatusCode::CREATED, value.to_string()).into_response()
}
