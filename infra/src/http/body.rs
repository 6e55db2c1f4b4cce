//! A request's body on its way in: bounded in length, in pauses, and with its digest taken as it
//! passes.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use schemas::digest::Digest;
use schemas::limit::Limits;
use schemas::problem::Code;
use sha2::{Digest as _, Sha256};

use super::Refused;
use crate::blobs;

/// Fewer bytes than this within the longest pause count as a pause: a body fed byte by byte would
/// hold its place for ever.
const PROGRESS_BYTES_MIN: u64 = 1_024;

/// What a body is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Exactly this length, when it is known beforehand.
    pub declared_bytes: Option<u64>,
    /// Never more than this.
    pub bytes_max: u64,
    /// What a longer one is refused with.
    pub over: Code,
    /// Longest pause.
    pub pause_max: Duration,
}

impl Bounds {
    /// Of a file: its length must have been declared, and it is refused here when that is too much.
    pub fn of_file(headers: &HeaderMap, bytes_max: u64, limits: &Limits) -> Result<Self, Refused> {
        let declared = declared_bytes(headers)?.ok_or(Code::LengthRequired)?;
        Self::new(Some(declared), bytes_max, Code::FileTooLarge, limits)
    }

    /// Of any other body: its length may be left open.
    pub fn of_body(headers: &HeaderMap, bytes_max: u64, limits: &Limits) -> Result<Self, Refused> {
        Self::new(declared_bytes(headers)?, bytes_max, Code::BodyTooLarge, limits)
    }

    fn new(
        declared_bytes: Option<u64>,
        bytes_max: u64,
        over: Code,
        limits: &Limits,
    ) -> Result<Self, Refused> {
        let pause_max = Duration::from_millis(limits.body_pause_ms_max);
        if declared_bytes.is_some_and(|declared| declared > bytes_max) {
            let fault = Fault::Over { bytes_max, code: over };
            return Err(Refused::from(&fault));
        }
        Ok(Self { declared_bytes, bytes_max, over, pause_max })
    }
}

/// The length the request declares for its body.
pub fn declared_bytes(headers: &HeaderMap) -> Result<Option<u64>, Refused> {
    let Some(value) = headers.get(CONTENT_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    length.map(Some).ok_or_else(|| Refused::from(Code::InvalidRequest).detail("Content-Length"))
}

/// Why a body cannot be used. Travels inside an [`io::Error`] through the store and back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It paused for too long.
    #[error("the body paused for too long")]
    Slow,
    /// It is longer than allowed.
    #[error("more than {bytes_max} bytes")]
    Over {
        /// What is allowed.
        bytes_max: u64,
        /// What it is refused with.
        code: Code,
    },
    /// It is not as long as declared.
    #[error("{declared_bytes} bytes were declared, {got_bytes} came")]
    Length {
        /// As declared.
        declared_bytes: u64,
        /// As it was, or was when it became more.
        got_bytes: u64,
    },
    /// The connection failed.
    #[error("the body ended early")]
    Cut,
}

impl Fault {
    /// The code it is refused with.
    pub fn code(&self) -> Code {
        match self {
            Self::Slow => Code::SlowBody,
            Self::Over { code, .. } => *code,
            Self::Length { .. } | Self::Cut => Code::LengthMismatch,
        }
    }

    /// The fault that an error of a body carries.
    pub fn within(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// The error that carries it.
    pub fn into_io(self) -> io::Error {
        io::Error::other(self)
    }
}

/// What came, known once all of it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Came {
    /// Its length.
    pub size_bytes: u64,
    /// Its digest.
    pub sha256: Digest,
}

/// Tells what came, once the stream it was made with has ended well.
#[derive(Clone, Debug, Default)]
pub struct Receipt(Arc<OnceLock<Came>>);

impl Receipt {
    /// What came; `None` while it is still coming, or when it failed.
    pub fn get(&self) -> Option<Came> {
        self.0.get().copied()
    }
}

struct Guarded {
    body: BodyDataStream,
    bounds: Bounds,
    got_bytes: u64,
    /// Bytes since the pause was last counted from new.
    progress_bytes: u64,
    pause: std::pin::Pin<Box<tokio::time::Sleep>>,
    hash: Sha256,
    receipt: Receipt,
}

impl Guarded {
    /// The next bytes; `None` at a good end.
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let next = tokio::select! {
            biased;
            next = self.body.next() => next,
            () = &mut self.pause => return Err(Fault::Slow),
        };
        match next {
            Some(Ok(bytes)) => self.take(&bytes).map(|()| Some(bytes)),
            Some(Err(error)) => {
                tracing::debug!(%error, got_bytes = self.got_bytes, "a body was cut");
                Err(Fault::Cut)
            }
            None => self.end().map(|()| None),
        }
    }

    fn take(&mut self, bytes: &Bytes) -> Result<(), Fault> {
        self.got_bytes += bytes.len() as u64;
        let Bounds { declared_bytes, bytes_max, over: code, pause_max } = self.bounds;
        if self.got_bytes > bytes_max {
            return Err(Fault::Over { bytes_max, code });
        }
        if let Some(declared_bytes) = declared_bytes.filter(|declared| self.got_bytes > *declared) {
            return Err(Fault::Length { declared_bytes, got_bytes: self.got_bytes });
        }
        self.hash.update(bytes);
        self.progress_bytes += bytes.len() as u64;
        if self.progress_bytes >= PROGRESS_BYTES_MIN {
            self.progress_bytes = 0;
            self.pause = Box::pin(tokio::time::sleep(pause_max));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        let size_bytes = self.got_bytes;
        if let Some(declared_bytes) = self.bounds.declared_bytes.filter(|it| *it != size_bytes) {
            return Err(Fault::Length { declared_bytes, got_bytes: size_bytes });
        }
        let sha256 = Digest::from_bytes(self.hash.finalize_reset().into());
        // It ends once: a second end would say the same of nothing more.
        _ = self.receipt.0.set(Came { size_bytes, sha256 });
        Ok(())
    }
}

/// The body as the blob store takes it, held to `bounds`, and the receipt for it. After an error
/// nothing more comes.
pub fn guarded(body: Body, bounds: Bounds) -> (blobs::Body, Receipt) {
    let receipt = Receipt::default();
    let guarded = Guarded {
        body: body.into_data_stream(),
        bounds,
        got_bytes: 0,
        progress_bytes: 0,
        pause: Box::pin(tokio::time::sleep(bounds.pause_max)),
        hash: Sha256::new(),
        receipt: receipt.clone(),
    };
    let chunks = stream::try_unfold(guarded, async |mut guarded| {
        let next = guarded.next().await.map_err(Fault::into_io)?;
        Ok(next.map(|bytes| (bytes, guarded)))
    });
    (chunks.boxed(), receipt)
}

/// All of a small body at once.
pub async fn whole(body: Body, bounds: Bounds) -> Result<Bytes, Fault> {
    let (mut chunks, _) = guarded(body, bounds);
    let mut all = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(bytes) if all.is_empty() && bounds.declared_bytes == Some(bytes.len() as u64) => {
                return Ok(bytes);
            }
            Ok(bytes) => all.extend_from_slice(&bytes),
            Err(error) => return Err(Fault::within(&error).cloned().unwrap_or(Fault::Cut)),
        }
    }
    Ok(all.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt;
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::UnboundedReceiverStream;

    fn bounds(declared_bytes: Option<u64>) -> Bounds {
        let pause_max = Duration::from_secs(30);
        Bounds { declared_bytes, bytes_max: 10, over: Code::FileTooLarge, pause_max }
    }

    fn body_of(chunks: &[&'static str]) -> Body {
        let chunks: Vec<io::Result<Bytes>> = chunks
            .iter()
            .map(|chunk| match *chunk {
                "cut" => Err(io::Error::other("connection reset")),
                chunk => Ok(Bytes::from_static(chunk.as_bytes())),
            })
            .collect();
        Body::from_stream(stream::iter(chunks))
    }

    #[tokio::test]
    async fn a_body_is_as_long_as_declared_and_no_longer_than_allowed() {
        let over = Fault::Over { bytes_max: 10, code: Code::FileTooLarge };
        let length = |declared_bytes, got_bytes| Fault::Length { declared_bytes, got_bytes };
        let check = async |chunks: &[&'static str], declared, expected: Result<u64, Fault>| {
            let (stream, receipt) = guarded(body_of(chunks), bounds(declared));
            let read: Result<Vec<Bytes>, _> = stream.try_collect().await;
            let read = read.map(|chunks| chunks.concat());
            match &expected {
                Ok(size_bytes) => {
                    let came = receipt.get().unwrap();
                    assert_eq!(came.size_bytes, *size_bytes, "{chunks:?}");
                    assert_eq!(came.sha256, Digest::of(&read.unwrap()), "{chunks:?}");
                }
                Err(fault) => {
                    assert_eq!(Fault::within(&read.unwrap_err()), Some(fault), "{chunks:?}");
                    assert_eq!(receipt.get(), None, "{chunks:?}");
                }
            }
            let all = whole(body_of(chunks), bounds(declared)).await;
            assert_eq!(all.map(|all| all.len() as u64), expected, "{chunks:?} at once");
        };
        check(&[], None, Ok(0)).await;
        check(&[], Some(0), Ok(0)).await;
        check(&["abc", "de"], None, Ok(5)).await;
        check(&["abc", "de"], Some(5), Ok(5)).await;
        check(&["0123456789"], Some(10), Ok(10)).await;
        check(&["abc", "de"], Some(6), Err(length(6, 5))).await;
        check(&["abc", "de"], Some(4), Err(length(4, 5))).await;
        check(&["0123456789", "!"], None, Err(over.clone())).await;
        check(&["abc", "cut"], None, Err(Fault::Cut)).await;
        check(&["abc", "cut"], Some(5), Err(Fault::Cut)).await;
    }

    #[tokio::test]
    async fn a_body_that_pauses_or_trickles_is_slow() {
        let brief = Bounds { pause_max: Duration::from_millis(30), ..bounds(None) };
        let silent = Body::from_stream(stream::pending::<io::Result<Bytes>>());
        assert_eq!(whole(silent, brief).await, Err(Fault::Slow));

        let trickle = stream::unfold((), async |()| {
            tokio::time::sleep(Duration::from_millis(2)).await;
            Some((io::Result::Ok(Bytes::from_static(b"x")), ()))
        });
        let brief = Bounds { bytes_max: 1_000_000, ..brief };
        assert_eq!(whole(Body::from_stream(trickle), brief).await, Err(Fault::Slow));
    }

    #[tokio::test]
    async fn a_body_that_goes_on_is_not_slow_however_long_it_takes() {
        let (send, chunks) = mpsc::unbounded_channel();
        let pause_max = Duration::from_millis(250);
        let patient = Bounds { pause_max, bytes_max: u64::MAX, ..bounds(None) };
        let sender = async {
            for _ in 0..6 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                send.send(io::Result::Ok(Bytes::from(vec![0; 1_024]))).unwrap();
            }
            drop(send);
        };
        let body = Body::from_stream(UnboundedReceiverStream::new(chunks));
        let (all, ()) = tokio::join!(whole(body, patient), sender);
        assert_eq!(all.unwrap().len(), 6 * 1_024);
    }

    #[test]
    fn what_is_declared_is_checked_before_a_byte_is_read() {
        let limits = Limits::default();
        let check = |length: Option<&str>| {
            let mut headers = HeaderMap::new();
            length.map(|length| headers.insert(CONTENT_LENGTH, length.parse().unwrap()));
            let code =
                |bounds: Result<Bounds, Refused>| bounds.map_err(|refused| refused.code()).err();
            [
                code(Bounds::of_file(&headers, 10, &limits)),
                code(Bounds::of_body(&headers, 10, &limits)),
            ]
        };
        assert_eq!(check(Some("10")), [None, None]);
        assert_eq!(check(Some("11")), [Some(Code::FileTooLarge), Some(Code::BodyTooLarge)]);
        assert_eq!(check(None), [Some(Code::LengthRequired), None]);
        assert_eq!(check(Some("-1")), [Some(Code::InvalidRequest); 2]);
    }
}
