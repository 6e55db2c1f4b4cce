//! A multipart form (RFC 7578), part by part, in bounded memory.
//!
//! The library reads ahead as long as there is something to read, and lets a part's head be as
//! long as it likes. Here it gets one piece of the body at a time, and only once it cannot go on
//! with what it has; a head, or whatever stands in front of the first part, ends at
//! [`HEAD_BYTES_MAX`].

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, future};
use http::header::CONTENT_TYPE;
use infra::http::body::Fault;
use multer::{Constraints, Field, Multipart, SizeLimit};

use crate::error::Error;

/// Longest head of a part.
const HEAD_BYTES_MAX: usize = 16_384;
/// Longest boundary (RFC 2046, section 5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;
/// Fewer bytes than this within the longest pause count as a pause.
const PROGRESS_BYTES_MIN: u64 = 1_024;

/// A form that is being read.
#[derive(Debug)]
pub(super) struct Form {
    multipart: Multipart<'static>,
    feed: Arc<Feed>,
    pause_max: Duration,
}

/// One part of it. The next one can be had once this is ended.
#[derive(Debug)]
pub(super) struct Part {
    /// `name` of its Content-Disposition.
    pub(super) name: String,
    /// `filename` of its Content-Disposition.
    pub(super) file_name: Option<String>,
    /// Its Content-Type.
    pub(super) content_type: Option<String>,
    field: Shared,
    feed: Arc<Feed>,
    pause_max: Duration,
}

/// Whoever reads a part's body may outlive our interest in it.
type Shared = Arc<Mutex<Option<Field<'static>>>>;

/// How the body is fed to the library.
#[derive(Debug, Default)]
struct Feed(Mutex<Feeding>);

#[derive(Debug, Default)]
struct Feeding {
    /// It may have one more piece.
    allowed: bool,
    /// It asked for one and was not allowed.
    hungry: bool,
    /// Bytes it was given since it last gave any on.
    swallowed_bytes: usize,
    given_bytes: u64,
    /// Why the form cannot be read on.
    broken: Option<Error>,
}

impl Feed {
    fn feeding(&self) -> MutexGuard<'_, Feeding> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets it have one more piece, if that is what it waits for.
    fn allow(&self) -> bool {
        let mut feeding = self.feeding();
        let hungry = std::mem::take(&mut feeding.hungry);
        feeding.allowed |= hungry;
        hungry
    }

    /// Drives the library until it has something, feeding it as it needs.
    fn drive<T>(
        &self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        loop {
            match poll(cx) {
                Poll::Ready(ready) => {
                    self.feeding().swallowed_bytes = 0;
                    return Poll::Ready(ready);
                }
                Poll::Pending if self.allow() => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn breaks(&self, error: Error) {
        self.feeding().broken.get_or_insert(error);
    }
}

/// The body, as the library gets it.
struct Fed {
    body: BodyDataStream,
    feed: Arc<Feed>,
}

impl Stream for Fed {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let feed = Arc::clone(&self.feed);
        let mut feeding = feed.feeding();
        if !feeding.allowed {
            feeding.hungry = true;
            return Poll::Pending;
        }
        let broken = match ready!(self.body.poll_next_unpin(cx)) {
            None => return Poll::Ready(None),
            Some(Ok(_)) if feeding.swallowed_bytes > HEAD_BYTES_MAX => {
                Error::Multipart(format!("a part's head is longer than {HEAD_BYTES_MAX} bytes"))
            }
            Some(Ok(bytes)) => {
                feeding.allowed = false;
                feeding.swallowed_bytes += bytes.len();
                feeding.given_bytes += bytes.len() as u64;
                return Poll::Ready(Some(Ok(bytes)));
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "the body of a form was cut");
                Fault::Cut.into()
            }
        };
        feeding.broken.get_or_insert(broken);
        Poll::Ready(Some(Err(io::ErrorKind::InvalidData.into())))
    }
}

impl Form {
    /// Begins to read the form that `content_type` says the body is.
    pub(super) fn begin(
        content_type: &str,
        body: Body,
        bytes_max: u64,
        pause_max: Duration,
    ) -> Result<Self, Error> {
        let boundary = multer::parse_boundary(content_type).map_err(|error| malformed(&error))?;
        if !(1..=BOUNDARY_BYTES_MAX).contains(&boundary.len()) {
            let detail = format!("a boundary has 1 to {BOUNDARY_BYTES_MAX} characters");
            return Err(Error::Multipart(detail));
        }
        let feed = Arc::<Feed>::default();
        let fed = Fed { body: body.into_data_stream(), feed: Arc::clone(&feed) };
        let constraints = Constraints::new()
            .allowed_fields(vec!["manifest", "file"])
            .size_limit(SizeLimit::new().whole_stream(bytes_max));
        let multipart = Multipart::with_constraints(fed, boundary, constraints);
        Ok(Self { multipart, feed, pause_max })
    }

    /// The next part; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Part>, Error> {
        let Self { multipart, feed, pause_max } = self;
        let next = future::poll_fn(|cx| feed.drive(cx, |cx| multipart.poll_next_field(cx)));
        match paced(feed, *pause_max, next).await? {
            Ok(None) => Ok(None),
            Ok(Some(field)) => Part::new(field, Arc::clone(feed), *pause_max).map(Some),
            Err(error) => Err(why(feed, &error)),
        }
    }

    /// Why the form cannot be read on, if a part's body ended because of that.
    pub(super) fn broken(&self) -> Option<Error> {
        self.feed.feeding().broken.take()
    }
}

impl Part {
    fn new(field: Field<'static>, feed: Arc<Feed>, pause_max: Duration) -> Result<Self, Error> {
        let header = |name: &str| field.headers().get(name).map(http::HeaderValue::to_str);
        let text = |name: &str| {
            let not_text = |_| Error::Multipart(format!("{name} of a part is no text"));
            header(name).transpose().map_err(not_text).map(|text| text.map(str::to_owned))
        };
        let content_type = text(CONTENT_TYPE.as_str())?;
        if let Some(encoding) = text("content-transfer-encoding")?
            && !["binary", "8bit", "7bit"].contains(&encoding.to_ascii_lowercase().as_str())
        {
            let detail = format!("parts are sent as they are, not in {encoding}");
            return Err(Error::Multipart(detail));
        }
        Ok(Self {
            name: field.name().unwrap_or_default().to_owned(),
            file_name: field.file_name().map(str::to_owned),
            content_type,
            field: Arc::new(Mutex::new(Some(field))),
            feed,
            pause_max,
        })
    }

    /// Its bytes.
    pub(super) fn body(&self) -> Body {
        Body::from_stream(Reading { field: Arc::clone(&self.field), feed: Arc::clone(&self.feed) })
    }

    /// Reads past what is left of it.
    pub(super) async fn end(self) -> Result<(), Error> {
        let field = self.field.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut field) = field else { return Ok(()) };
        loop {
            let next = future::poll_fn(|cx| self.feed.drive(cx, |cx| field.poll_next_unpin(cx)));
            match paced(&self.feed, self.pause_max, next).await? {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(why(&self.feed, &error)),
                None => return Ok(()),
            }
        }
    }
}

/// A part's bytes, as long as the part is not ended.
struct Reading {
    field: Shared,
    feed: Arc<Feed>,
}

impl Stream for Reading {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut field = self.field.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(field) = field.as_mut() else {
            return Poll::Ready(Some(Err(io::ErrorKind::BrokenPipe.into())));
        };
        let next = ready!(self.feed.drive(cx, |cx| field.poll_next_unpin(cx)));
        Poll::Ready(next.map(|next| {
            next.map_err(|error| {
                self.feed.breaks(why_not(&error));
                io::ErrorKind::InvalidData.into()
            })
        }))
    }
}

/// Waits for `next` as long as the body goes on.
async fn paced<T>(
    feed: &Feed,
    pause_max: Duration,
    next: impl Future<Output = T>,
) -> Result<T, Error> {
    let mut next = std::pin::pin!(next);
    loop {
        let before = feed.feeding().given_bytes;
        match tokio::time::timeout(pause_max, &mut next).await {
            Ok(came) => return Ok(came),
            Err(_) if feed.feeding().given_bytes >= before + PROGRESS_BYTES_MIN => {}
            Err(_) => return Err(Fault::Slow.into()),
        }
    }
}

fn why(feed: &Feed, error: &multer::Error) -> Error {
    feed.feeding().broken.take().unwrap_or_else(|| why_not(error))
}

fn why_not(error: &multer::Error) -> Error {
    match error {
        multer::Error::StreamSizeExceeded { limit } => {
            Error::UpdateTooLarge(format!("more than {limit} bytes"))
        }
        error => malformed(error),
    }
}

fn malformed(error: &multer::Error) -> Error {
    Error::Multipart(error.to_string())
}
