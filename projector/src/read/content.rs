//! Bytes on their way out: whole or a range, with their digest, and inert in a browser.

use std::fmt::Write as _;
use std::ops::Range;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use infra::blobs::Blobs;
use infra::http::{Refused, digest};
use schemas::digest::Digest;
use schemas::name::{FileName, MediaType, ObjectKey};
use schemas::problem::Code;

use crate::fetched::{Fetched, Served};
use crate::project::{HistoryRow, ResultRow};

/// Nothing in it runs, and nothing it names is fetched.
const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'");

/// An object and what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Content {
    object: ObjectKey,
    name: FileName,
    media_type: MediaType,
    size_bytes: u64,
    sha256: Digest,
}

impl Content {
    pub(super) fn of_upload(row: &HistoryRow) -> Self {
        Self {
            object: row.object.clone(),
            name: row.name.clone(),
            media_type: row.media_type.clone(),
            size_bytes: row.size_bytes,
            sha256: row.sha256,
        }
    }

    pub(super) fn of_result(row: &ResultRow) -> Self {
        Self {
            object: row.object.clone(),
            name: row.name.clone(),
            media_type: row.media_type.clone(),
            size_bytes: row.size_bytes,
            sha256: row.sha256,
        }
    }

    fn etag(&self) -> String {
        format!("\"{}\"", self.sha256)
    }
}

/// Serves it, or the range asked for. `served` is told once the last byte of the whole has gone out.
pub(super) async fn serve(
    blobs: &dyn Blobs,
    headers: &HeaderMap,
    content: Content,
    served: Option<(Fetched, Served)>,
) -> Result<Response, Refused> {
    let same = |name: HeaderName| {
        let value = headers.get(name).and_then(|value| value.to_str().ok())?;
        Some(value.split(',').any(|tag| matches!(tag.trim(), "*") || tag.trim() == content.etag()))
    };
    if same(IF_NONE_MATCH) == Some(true) {
        return Ok(respond(StatusCode::NOT_MODIFIED, &content, Body::empty()));
    }
    let size = content.size_bytes;
    let asked = headers.get(RANGE).and_then(|value| value.to_str().ok());
    // If-Range names another version: the whole is sent (RFC 9110, section 13.1.5).
    let asked = asked.filter(|_| same(IF_RANGE).unwrap_or(true));
    let range = match asked.map(|asked| parse_range(asked, size)) {
        None | Some(Asked::Unusable) => None,
        Some(Asked::Range(range)) => Some(range),
        Some(Asked::Outside) => return Ok(outside(size)),
    };
    let whole = 0..size;
    let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let span = range.clone().unwrap_or(whole);
    let body = blobs.get(&content.object, span.clone()).await?;
    let served = served.filter(|_| span == (0..size));
    let body = Body::from_stream(told(body, span.end - span.start, served));
    let mut response = respond(status, &content, body);
    let length = HeaderValue::from(span.end - span.start);
    response.headers_mut().insert(CONTENT_LENGTH, length);
    if let Some(Range { start, end }) = range {
        let text = format!("bytes {start}-{}/{size}", end - 1);
        let value = HeaderValue::try_from(text).expect("digits are visible ASCII");
        response.headers_mut().insert(CONTENT_RANGE, value);
    }
    Ok(response)
}

/// The stream, and a word to `served` once all its bytes have been taken from it.
fn told(
    body: infra::blobs::Body,
    mut left: u64,
    mut served: Option<(Fetched, Served)>,
) -> impl Stream<Item = std::io::Result<Bytes>> {
    body.inspect(move |piece| {
        if let Ok(piece) = piece {
            left = left.saturating_sub(piece.len() as u64);
            if left == 0
                && let Some((fetched, served)) = served.take()
            {
                fetched.tell(served);
            }
        }
    })
}

/// The refusal of a range that lies outside a file of this length, which it names (RFC 9110,
/// section 15.5.17).
fn outside(size: u64) -> Response {
    let refused = Refused::from(Code::RangeNotSatisfiable);
    let mut response = refused.detail(format!("the file has {size} bytes")).into_response();
    let value = HeaderValue::try_from(format!("bytes */{size}"));
    let value = value.expect("digits are visible ASCII");
    response.headers_mut().insert(CONTENT_RANGE, value);
    response
}

fn respond(status: StatusCode, content: &Content, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let mut put = |name: HeaderName, value: String| {
        let value = HeaderValue::try_from(value).expect("names and digests are visible ASCII");
        headers.insert(name, value);
    };
    put(CONTENT_TYPE, content.media_type.as_str().to_owned());
    put(CONTENT_DISPOSITION, disposition(&content.name));
    put(ETAG, content.etag());
    put(ACCEPT_RANGES, "bytes".to_owned());
    put(digest::REPR_DIGEST, digest::value(&content.sha256));
    headers.insert(CONTENT_SECURITY_POLICY, SANDBOX);
    let origin = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(origin, HeaderValue::from_static("same-origin"));
    response
}

/// Always to be saved, never shown; the name as RFC 6266 and RFC 8187 want it.
fn disposition(name: &FileName) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte);
    let mut encoded = String::with_capacity(name.as_str().len() * 3);
    for byte in name.as_str().bytes() {
        if plain(byte) {
            encoded.push(char::from(byte));
        } else {
            _ = write!(encoded, "%{byte:02X}");
        }
    }
    format!("attachment; filename*=UTF-8''{encoded}")
}

/// What a `Range` header asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Range(Range<u64>),
    /// Nothing of the object.
    Outside,
    /// Not one range of bytes: ignored, as RFC 9110 allows.
    Unusable,
}

fn parse_range(text: &str, size: u64) -> Asked {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Asked::Unusable;
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { Some(text.parse().unwrap_or(u64::MAX)) } else { None }
    };
    let range = match (first, number(first), last, number(last)) {
        ("", _, _, Some(suffix)) => size.saturating_sub(suffix)..size,
        (_, Some(first), "", _) => first..size,
        (_, Some(first), _, Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        _ => return Asked::Unusable,
    };
    if range.is_empty() { Asked::Outside } else { Asked::Range(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let check = |text, expected| assert_eq!(parse_range(text, 10), expected, "{text}");
        check("bytes=0-4", Asked::Range(0..5));
        check("bytes=5-", Asked::Range(5..10));
        check("bytes=-3", Asked::Range(7..10));
        check("bytes=-30", Asked::Range(0..10));
        check("bytes=0-99", Asked::Range(0..10));
        check("bytes=9-9", Asked::Range(9..10));
        check("bytes=10-", Asked::Outside);
        check("bytes=-0", Asked::Outside);
        check("bytes=99999999999999999999-", Asked::Outside);
        for unusable in
            ["bytes=", "bytes=-", "bytes=4-2", "bytes=0-1,3-4", "lines=1-2", "bytes=+1-2"]
        {
            check(unusable, Asked::Unusable);
        }
    }

    #[test]
    fn a_range_outside_is_told_the_length() {
        let response = outside(10);
        assert_eq!(
            (response.status().as_u16(), &response.headers()[CONTENT_RANGE]),
            (416, &HeaderValue::from_static("bytes */10"))
        );
    }

    #[test]
    fn a_name_cannot_break_out_of_its_header() {
        let name = |text: &str| disposition(&text.parse().unwrap());
        assert_eq!(name("a b\".jpg"), "attachment; filename*=UTF-8''a%20b%22.jpg");
        assert_eq!(name("写.png"), "attachment; filename*=UTF-8''%E5%86%99.png");
    }
}
