//! Digests in headers (RFC 9530), of what comes in and of what goes out.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use http::header::HeaderName;
use schemas::digest::Digest;
use schemas::problem::Code;

use super::Refused;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// The digest of the whole, in requests and in answers.
pub const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// Byte sequences of structured fields (RFC 8941, section 3.3.5): padding may be left out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The SHA-256 that the body is declared to have.
pub fn declared(headers: &HeaderMap) -> Result<Option<Digest>, Refused> {
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
pub fn value(digest: &Digest) -> String {
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
        let hello = value(&Digest::of(b"hello"));
        assert_eq!(hello, "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:");
        let unpadded = hello.replace('=', "").replace("sha-256", "sha-256=");
        let among = format!("sha-512=:AAAA:, {hello};x=1");
        let other = value(&Digest::of(b"other"));
        let unsupported = Err(Code::UnsupportedDigest);
        let check = |pairs: &[(&'static str, &str)], expected| {
            let found = declared(&headers(pairs)).map_err(|refused| refused.code());
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
}
