//! One call: built once, sent as often as it may be, its answer read within bounds.

use std::fmt::Display;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use reqwest::header::{
    CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Response, StatusCode, Url};
use schemas::api::{IDEMPOTENCY_HEADER, POSITION_HEADER};
use schemas::name::{IdempotencyKey, PoolName};
use schemas::problem::Problem;
use schemas::route::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::{Client, PageAsk};
use crate::error::{Error, Refusal, Result};
use crate::retry::{Repeat, Tries};
use crate::source::{Chunks, Progress};

/// Largest answer that is read into memory: pages of lists are far below.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How much of an answer in another language is quoted.
const QUOTE_BYTES_MAX: usize = 300;

/// A call before its answer.
pub(crate) struct Call<'a> {
    client: &'a Client,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Body,
    repeat: Repeat,
    silence_max: Duration,
    even_pending: bool,
}

enum Body {
    Empty,
    Json(Bytes),
    Stream { length_bytes: u64, open: Box<dyn Fn() -> Chunks + Send + Sync>, progress: Progress },
}

impl<'a> Call<'a> {
    pub(crate) fn new(client: &'a Client, method: Method, url: Url) -> Self {
        // Putting and deleting say where: a second time changes nothing more.
        let repeat = match method {
            Method::Post => Repeat::DoesTwice,
            Method::Get | Method::Put | Method::Delete => Repeat::Harmless,
        };
        let silence_max = client.bounds().silence_max;
        let (headers, body) = (HeaderMap::new(), Body::Empty);
        Self { client, method, url, headers, body, repeat, silence_max, even_pending: false }
    }

    /// Within this pool: a read sees what this client has written there.
    pub(crate) fn in_pool(mut self, pool: &PoolName) -> Self {
        if self.method == Method::Get
            && let Some(position) = self.client.position(pool)
        {
            self = self.header(HeaderName::from_static(POSITION_HEADER), &position);
        }
        self
    }

    pub(crate) fn query(mut self, name: &str, value: Option<impl Display>) -> Self {
        if let Some(value) = value {
            self.url.query_pairs_mut().append_pair(name, &value.to_string());
        }
        self
    }

    pub(crate) fn page(self, page: &PageAsk) -> Self {
        self.query("cursor", page.cursor.as_ref()).query("limit", page.limit)
    }

    /// A value that no header can hold is left out.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::try_from(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Named by this key: may be repeated.
    pub(crate) fn key(self, key: &IdempotencyKey) -> Self {
        self.header(HeaderName::from_static(IDEMPOTENCY_HEADER), key.as_str()).repeatable()
    }

    /// Names itself: may be repeated.
    pub(crate) fn repeatable(mut self) -> Self {
        self.repeat = Repeat::Harmless;
        self
    }

    /// May be silent for this much longer than others: it waits for something.
    pub(crate) fn waits(mut self, wait: Duration) -> Self {
        self.silence_max += wait;
        self
    }

    /// Takes what is answered before the outcome is known (202) as the answer.
    pub(crate) fn even_pending(mut self) -> Self {
        self.even_pending = true;
        self
    }

    pub(crate) fn json(mut self, body: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(body).expect("bodies are structs of texts and numbers");
        self.body = Body::Json(bytes.into());
        self
    }

    /// With this many bytes as body, opened anew for each try.
    pub(crate) fn stream(
        mut self,
        length_bytes: u64,
        progress: &Progress,
        open: impl Fn() -> Chunks + Send + Sync + 'static,
    ) -> Self {
        let (open, progress) = (Box::new(open), progress.clone());
        self.body = Body::Stream { length_bytes, open, progress };
        self
    }

    /// The answer's body.
    pub(crate) async fn answer<T: DeserializeOwned>(self) -> Result<T> {
        self.optional_answer().await?.ok_or_else(|| Error::Unreadable("it is empty".into()))
    }

    /// The answer's body, or nothing when there is none (204).
    pub(crate) async fn optional_answer<T: DeserializeOwned>(self) -> Result<Option<T>> {
        self.tried(|response| async move {
            if response.status() == StatusCode::NO_CONTENT {
                return Ok(None);
            }
            let bytes = whole(response, ANSWER_BYTES_MAX).await?;
            let read = serde_json::from_slice(&bytes);
            read.map(Some).map_err(|error| Error::Unreadable(error.to_string()))
        })
        .await
    }

    /// That it was done; whatever the answer's body says is not needed.
    pub(crate) async fn done(self) -> Result<()> {
        self.tried(|response| async move { whole(response, ANSWER_BYTES_MAX).await.map(drop) })
            .await
    }

    /// The answer's headers.
    pub(crate) async fn headers_of(self) -> Result<HeaderMap> {
        self.tried(|response| async move { Ok(response.headers().clone()) }).await
    }

    async fn tried<T, F>(self, read: impl Fn(Response) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut tries = Tries::new(self.client.bounds(), self.repeat);
        loop {
            let answered = match self.once().await {
                Ok(response) => {
                    let silence_max = self.silence_max;
                    let read = tokio::time::timeout(silence_max, read(response)).await;
                    read.unwrap_or(Err(Error::Silent(silence_max)))
                }
                Err(error) => Err(error),
            };
            match answered {
                Ok(answer) => return Ok(answer),
                Err(error) => tries.after(error).await?,
            }
        }
    }

    /// One try, up to the head of a successful answer.
    pub(crate) async fn once(&self) -> Result<Response> {
        self.signed_in(None).await
    }

    /// The same with one more header.
    pub(crate) async fn once_with(&self, name: HeaderName, value: &str) -> Result<Response> {
        self.signed_in(Some((name, value))).await
    }

    /// A token that has run out is no failure when another can be had.
    async fn signed_in(&self, more: Option<(HeaderName, &str)>) -> Result<Response> {
        let identity = self.client.identity();
        let token = identity.token(self.client).await?;
        let error = match self.send(token.as_deref(), more.as_ref()).await {
            Err(error) if error.is_signed_out() => error,
            answered => return answered,
        };
        match identity.renewed(self.client, token.as_ref()).await? {
            Some(renewed) => self.send(Some(&renewed), more.as_ref()).await,
            None => Err(error),
        }
    }

    async fn send(
        &self,
        token: Option<&str>,
        more: Option<&(HeaderName, &str)>,
    ) -> Result<Response> {
        let method = match self.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut request =
            self.client.http().request(method, self.url.clone()).headers(self.headers.clone());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some((name, value)) = more {
            request = request.header(name, *value);
        }
        let moved = Arc::new(AtomicU64::new(0));
        let request = match &self.body {
            Body::Empty => request,
            Body::Json(bytes) => {
                request.header(CONTENT_TYPE, "application/json").body(bytes.clone())
            }
            Body::Stream { length_bytes, open, progress } => {
                let (moved, progress) = (Arc::clone(&moved), progress.clone());
                let counted = open().inspect(move |chunk| {
                    let bytes = chunk.as_ref().map_or(0, Bytes::len) as u64;
                    progress.tell(moved.fetch_add(bytes, Ordering::Relaxed) + bytes);
                });
                request
                    .header(CONTENT_LENGTH, *length_bytes)
                    .body(reqwest::Body::wrap_stream(counted))
            }
        };
        let response = while_moving(&moved, self.silence_max, request.send()).await??;
        if let Some(position) = response.headers().get(POSITION_HEADER)
            && let Ok(position) = position.to_str()
        {
            self.client.note_position(position);
        }
        match response.status() {
            StatusCode::ACCEPTED if !self.even_pending => Err(Error::Pending),
            status if status.is_success() => Ok(response),
            _ => Err(refusal(response, self.silence_max).await),
        }
    }
}

/// Does `work` for as long as something moves.
async fn while_moving<T>(
    moved: &AtomicU64,
    silence_max: Duration,
    work: impl Future<Output = T>,
) -> Result<T> {
    let mut work = pin!(work);
    let mut seen = moved.load(Ordering::Relaxed);
    loop {
        if let Ok(done) = tokio::time::timeout(silence_max, &mut work).await {
            return Ok(done);
        }
        match moved.load(Ordering::Relaxed) {
            now if now == seen => return Err(Error::Silent(silence_max)),
            now => seen = now,
        }
    }
}

/// What an unsuccessful answer says.
async fn refusal(response: Response, silence_max: Duration) -> Error {
    let status = response.status().as_u16();
    let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let asked = header.and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let read = tokio::time::timeout(silence_max, whole(response, ANSWER_BYTES_MAX)).await;
    let bytes = read.unwrap_or(Err(Error::Silent(silence_max))).unwrap_or_default();
    if let Ok(problem) = serde_json::from_slice::<Problem>(&bytes) {
        let told = problem.retry_after_s.map(|seconds| Duration::from_secs(seconds.into()));
        return Error::Refused(Box::new(Refusal { problem, retry_after: asked.or(told) }));
    }
    let quoted = bytes.get(..QUOTE_BYTES_MAX).unwrap_or(&bytes);
    let text = String::from_utf8_lossy(quoted).trim().to_owned();
    Error::Foreign { status, text, retry_after: asked }
}

/// A body as a whole, if it is not too large for that.
async fn whole(response: Response, bytes_max: usize) -> Result<Bytes> {
    let mut all = BytesMut::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        all.extend_from_slice(&chunk?);
        if all.len() > bytes_max {
            return Err(Error::Unreadable(format!("it is larger than {bytes_max} bytes")));
        }
    }
    Ok(all.freeze())
}
