//! What headers say of a file on its way in.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use infra::http::body::declared_bytes;
use infra::http::{Refused, digest};
use schemas::api::IDEMPOTENCY_HEADER;
use schemas::name::{FileName, IdempotencyKey};
use schemas::problem::Code;

use crate::error::Error;
use crate::upload::{Declared, Rejection, file_type};

/// A file sent as the body, as the headers declare it.
pub(super) fn declared(headers: &HeaderMap, name: &str) -> Result<Declared, Refused> {
    let size_bytes = declared_bytes(headers)?.ok_or(Code::LengthRequired)?;
    let name: FileName = name.parse().map_err(|bad| Error::File(Rejection::Name(bad)))?;
    if let Some(coding) = headers.get(CONTENT_ENCODING)
        && coding.as_bytes() != b"identity"
    {
        let refused = Refused::from(Code::UnsupportedMediaType);
        return Err(refused.detail("Content-Encoding: files are sent as they are"));
    }
    let content_type = headers.get(CONTENT_TYPE).ok_or_else(|| {
        let refused = Refused::from(Code::UnsupportedMediaType);
        refused.detail("Content-Type: say what the file is, or application/octet-stream")
    })?;
    let content_type = content_type.to_str().unwrap_or_default();
    let media_type = file_type(content_type).map_err(Error::File)?;
    let sha256 = digest::declared(headers)?;
    Ok(Declared { name, media_type, size_bytes: Some(size_bytes), sha256 })
}

/// The Content-Type of a form (RFC 7578), if that is what the body is.
pub(super) fn form_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("multipart/form-data").then(|| value.to_owned())
}

/// The key of a request, plain or as a quoted string.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Refused> {
    let mut values = headers.get_all(IDEMPOTENCY_HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let key = quoted.unwrap_or(text).parse().ok().filter(|_| values.next().is_none());
    key.map(Some).ok_or_else(|| {
        let refused = Refused::from(Code::InvalidRequest);
        refused.detail("Idempotency-Key: one, with 1 to 128 visible ASCII characters")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::HeaderName;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn keys_are_plain_or_quoted() {
        let key = |pairs: &[(&'static str, &str)]| {
            let key = idempotency_key(&headers(pairs)).map_err(|refused| refused.code());
            key.map(|key| key.map(|key| key.to_string()))
        };
        assert_eq!(key(&[]), Ok(None));
        assert_eq!(key(&[("idempotency-key", "a-1")]), Ok(Some("a-1".into())));
        assert_eq!(key(&[("idempotency-key", "\"a-1\"")]), Ok(Some("a-1".into())));
        let twice = [("idempotency-key", "a"), ("idempotency-key", "a")];
        let long = "x".repeat(129);
        for bad in [&twice as &[_], &[("idempotency-key", "")], &[("idempotency-key", "a b")]] {
            assert_eq!(key(bad), Err(Code::InvalidRequest), "{bad:?}");
        }
        assert_eq!(key(&[("idempotency-key", &long)]), Err(Code::InvalidRequest));
    }

    #[test]
    fn what_a_file_must_be_declared_with() {
        let good = [("content-length", "5"), ("content-type", "text/csv")];
        let check = |without: &str, more: &[(&'static str, &str)], name: &str, expected| {
            let mut pairs = good.to_vec();
            pairs.retain(|(header, _)| *header != without);
            pairs.extend(more);
            let declared = declared(&headers(&pairs), name).map_err(|refused| refused.code());
            assert_eq!(declared.err(), expected, "{pairs:?} {name:?}");
        };
        let media = Some(Code::UnsupportedMediaType);
        check("", &[], "a.csv", None);
        check("", &[("content-encoding", "identity")], "a.csv", None);
        check("", &[("content-encoding", "gzip")], "a.csv", media);
        check("content-type", &[], "a.csv", media);
        check("content-type", &[("content-type", "nonsense")], "a.csv", media);
        check("content-length", &[], "a.csv", Some(Code::LengthRequired));
        check("content-length", &[("content-length", "x")], "a.csv", Some(Code::InvalidRequest));
        check("", &[], "../a.csv", Some(Code::InvalidFileName));
        check("", &[], "", Some(Code::InvalidFileName));
        check("", &[("repr-digest", "md5=:AAAA:")], "a.csv", Some(Code::UnsupportedDigest));
    }
}
