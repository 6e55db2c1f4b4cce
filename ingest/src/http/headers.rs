//! What headers say of a file on its way in.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use infra::http::Refused;
use infra::http::body::declared_bytes;
use schemas::api::IDEMPOTENCY_HEADER;
use schemas::digest::Digest;
use schemas::name::{FileName, IdempotencyKey};
use schemas::problem::Code;

use crate::error::Error;
use crate::upload::{Declared, Rejection, file_type};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// The digest of what was sent (RFC 9530), in requests and in answers.
pub(super) const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// Byte sequences of structured fields (RFC 8941, section 3.3.5): padding may be left out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

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
    let sha256 = sha256(headers)?;
    Ok(Declared { name, media_type, size_bytes: Some(size_bytes), sha256 })
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

/// The SHA-256 that the body is declared to have.
fn sha256(headers: &HeaderMap) -> Result<Option<Digest>, Refused> {
    let of_content = sha256_in(headers, &CONTENT_DIGEST)?;
    let of_file = sha256_in(headers, &REPR_DIGEST)?;
    match (of_content, of_file) {
        (Some(content), Some(file)) if content != file => {
            let refused = Refused::from(Code::DigestMismatch);
            Err(refused.detail("Content-Digest and Repr-Digest declare different digests"))
        }
        (content, file) => Ok(file.or(content)),
    }
}

/// `sha-256=:…:` in a dictionary of digests; others beside it are overlooked.
fn sha256_in(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Digest>, Refused> {
    if !headers.contains_key(name) {
        return Ok(None);
    }
    let texts = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
    let mut members = texts.flat_map(|text| text.split(',')).map(str::trim);
    let digest = members.find_map(|member| member.strip_prefix("sha-256="));
    let refused = |detail: String| Refused::from(Code::UnsupportedDigest).detail(detail);
    let digest = digest.ok_or_else(|| refused(format!("{name}: no sha-256 in it")))?;
    let bytes = digest.strip_prefix(':').and_then(|rest| rest.split(':').next());
    let bytes = bytes.map(|text| BASE64.decode(text)).transpose();
    let bytes = bytes.ok().flatten().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let digest = bytes.map(|bytes| Some(Digest::from_bytes(bytes)));
    digest.ok_or_else(|| refused(format!("{name}: sha-256 is 32 bytes of base64 between colons")))
}

/// A digest as a dictionary of one.
pub(crate) fn digest_value(digest: &Digest) -> String {
    format!("sha-256=:{}:", BASE64.encode(digest.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn digests_are_found_among_others() {
        let hello = digest_value(&Digest::of(b"hello"));
        assert_eq!(hello, "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:");
        let unpadded = hello.replace('=', "").replace("sha-256", "sha-256=");
        let among = format!("sha-512=:AAAA:, {hello};x=1");
        let other = digest_value(&Digest::of(b"other"));
        let unsupported = Err(Code::UnsupportedDigest);
        let check = |pairs: &[(&'static str, &str)], expected| {
            let found = sha256(&headers(pairs)).map_err(|refused| refused.code());
            assert_eq!(found, expected, "{pairs:?}");
        };
        let found = Ok(Some(Digest::of(b"hello")));
        check(&[], Ok(None));
        check(&[("content-digest", &hello)], found);
        check(&[("repr-digest", &hello)], found);
        check(&[("repr-digest", &unpadded)], found);
        check(&[("repr-digest", &among)], found);
        check(&[("repr-digest", "md5=:AAAA:"), ("repr-digest", &hello)], found);
        check(&[("repr-digest", &hello), ("content-digest", &hello)], found);
        check(&[("repr-digest", &hello), ("content-digest", &other)], Err(Code::DigestMismatch));
        for bad in ["", "md5=:AAAA:", "sha-256=:AAAA:", "sha-256=LPJN", "sha-256", "sha-256=:*:"] {
            check(&[("content-digest", bad)], unsupported);
        }
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
