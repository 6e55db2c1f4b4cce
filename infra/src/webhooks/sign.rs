//! Signatures of webhooks: Standard Webhooks 1.0, `v1` (HMAC-SHA256 of `id.timestamp.body`).

use std::fmt::{self, Debug};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use schemas::time::Wall;
use sha2::Sha256;

use crate::fresh;

/// What signs. Never shown but once, to who made the webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Bytes);

impl Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key { .. }")
    }
}

impl Key {
    /// One that nobody can guess.
    pub fn new() -> Self {
        Self(Bytes::copy_from_slice(&fresh::bytes::<32>()))
    }

    pub(super) fn of(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// As receivers are told it.
    pub fn shown(&self) -> String {
        format!("whsec_{}", STANDARD.encode(&self.0))
    }

    fn signature(&self, id: &str, at_s: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any size");
        mac.update(format!("{id}.{at_s}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl Default for Key {
    fn default() -> Self {
        Self::new()
    }
}

/// What goes with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// `webhook-id`: the same however often it is sent.
    pub id: String,
    /// `webhook-timestamp`: when it is sent this time, in seconds since 1970.
    pub at_s: i64,
    /// `webhook-signature`: one for each key.
    pub signatures: String,
}

impl Signed {
    /// A message signed with each of these keys.
    pub fn new(id: String, now: Wall, body: &[u8], keys: &[Key]) -> Self {
        let at_s = now.millis().div_euclid(1_000);
        let signatures: Vec<_> = keys.iter().map(|key| key.signature(&id, at_s, body)).collect();
        Self { signatures: signatures.join(" "), id, at_s }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_signs_as_the_standard_says() {
        // The example of the specification's libraries.
        let key = Key::of(STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap().into());
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", br#"{"test": 2432232314}"#);
        let at = Wall::from_millis(1_614_265_330_000);
        let signed = Signed::new(id.to_owned(), at, body, std::slice::from_ref(&key));
        assert_eq!(signed.signatures, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(signed.at_s, 1_614_265_330);
        assert_eq!(key.shown(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert_eq!(format!("{key:?}"), "Key { .. }");
        let two = Signed::new(id.to_owned(), at, body, &[Key::new(), key]);
        assert!(two.signatures.ends_with(&format!(" {}", signed.signatures)));
        assert_ne!(Key::new(), Key::new());
    }
}
