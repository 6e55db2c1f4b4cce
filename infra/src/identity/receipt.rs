//! Receipts: signed with the key that signs tokens, under a type of their own, and checked with
//! nothing but public keys.

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header, encode};
use schemas::api::{RECEIPT_TYPE, Stated};

use super::{BadKey, Error, KeyRing, Result};

/// Longest receipt that is looked at: ours have about 700 bytes.
const RECEIPT_BYTES_MAX: usize = 4_096;

/// Signs receipts.
#[derive(Debug)]
pub struct Notary {
    keys: Arc<KeyRing>,
}

impl Notary {
    /// With the key of this ring that signs.
    pub fn new(keys: impl Into<Arc<KeyRing>>) -> Self {
        Self { keys: keys.into() }
    }

    /// The receipt that says this. The same words give the same bytes: Ed25519 has no chance in it.
    pub fn sign(&self, stated: &Stated) -> Result<Box<str>> {
        let (key, kid) = self.keys.signing();
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(RECEIPT_TYPE.to_owned());
        header.kid = Some(kid.to_owned());
        let text = encode(&header, stated, key);
        Ok(text.map_err(|error| Error::Internal(error.to_string()))?.into())
    }
}

/// Why a receipt is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReceipt {
    /// It is no text of a receipt's form.
    #[error("not a receipt: {0}")]
    Malformed(String),
    /// It was signed as something else, an access token for one.
    #[error("signed as something else: {0}")]
    OtherType(String),
    /// None of the keys at hand signed it.
    #[error("no key at hand is called {0}: fetch the server's keys")]
    UnknownKey(String),
    /// Its words are not those that were signed.
    #[error("altered: the signature does not fit what it says")]
    Altered,
}

/// Checks receipts.
#[derive(Default)]
pub struct Verifier {
    keys: Vec<(String, DecodingKey)>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(kid, _)| kid)).finish()
    }
}

impl Verifier {
    /// Believes these keys as well: a JWK Set in JSON, as `/.well-known/jwks.json` gives it.
    pub fn believe(&mut self, jwks: &[u8]) -> Result<(), BadKey> {
        super::keys::install_provider();
        let bad = |error: String| BadKey::Content(error);
        let set: JwkSet = serde_json::from_slice(jwks).map_err(|error| bad(error.to_string()))?;
        for jwk in &set.keys {
            let kid = jwk.common.key_id.clone().ok_or_else(|| bad("a key has no kid".into()))?;
            let key = DecodingKey::from_jwk(jwk).map_err(|error| bad(error.to_string()))?;
            self.keys.push((kid, key));
        }
        Ok(())
    }

    /// What a receipt says, if one of the believed keys signed exactly that.
    pub fn read(&self, text: &str) -> Result<Stated, BadReceipt> {
        if text.len() > RECEIPT_BYTES_MAX {
            return Err(BadReceipt::Malformed("it is too long".to_owned()));
        }
        let malformed =
            |error: jsonwebtoken::errors::Error| BadReceipt::Malformed(error.to_string());
        let header = decode_header(text).map_err(malformed)?;
        if header.typ.as_deref() != Some(RECEIPT_TYPE) {
            return Err(BadReceipt::OtherType(header.typ.unwrap_or_default()));
        }
        if header.alg != Algorithm::EdDSA || header.crit.is_some() {
            return Err(BadReceipt::Malformed("another algorithm".to_owned()));
        }
        let kid = header.kid.unwrap_or_default();
        let known = self.keys.iter().find(|(known, _)| *known == kid);
        let (_, key) = known.ok_or(BadReceipt::UnknownKey(kid))?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        match decode::<Stated>(text, key, &validation) {
            Ok(read) => Ok(read.claims),
            Err(error) => Err(match error.kind() {
                jsonwebtoken::errors::ErrorKind::InvalidSignature => BadReceipt::Altered,
                _ => malformed(error),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::api::StatedOf;
    use schemas::digest::Digest;
    use schemas::id::{AccountId, PoolId, SessionId, UploadId};
    use schemas::time::Wall;

    use crate::identity::token::Tokens;

    fn stated() -> Stated {
        let (upload, client) = (UploadId::from_bits(3), AccountId::from_bits(4));
        Stated {
            of: StatedOf::Upload { upload, client },
            pool: "north-sea".parse().unwrap(),
            pool_id: PoolId::from_bits(5),
            sha256: Digest::of(b"hello"),
            size_bytes: Some(5),
            topic: "sluice.pool.north-sea.events".into(),
            offset: 7,
            at: Wall::from_millis(1_795_257_000_000),
        }
    }

    fn ring(seed: u8) -> KeyRing {
        KeyRing::from_seed([seed; 32]).unwrap()
    }

    fn verifier(ring: &KeyRing) -> Verifier {
        let mut verifier = Verifier::default();
        verifier.believe(ring.published().as_bytes()).unwrap();
        verifier
    }

    #[test]
    fn what_was_signed_is_read_and_signed_the_same_again() {
        let receipt = Notary::new(ring(1)).sign(&stated()).unwrap();
        assert_eq!(verifier(&ring(1)).read(&receipt), Ok(stated()));
        assert_eq!(Notary::new(ring(1)).sign(&stated()).unwrap(), receipt);
        assert!(receipt.len() < 1_000, "{}", receipt.len());
        let other = verifier(&ring(2)).read(&receipt);
        assert!(matches!(other, Err(BadReceipt::UnknownKey(_))), "{other:?}");
    }

    #[test]
    fn not_one_letter_may_change() {
        let receipt = Notary::new(ring(1)).sign(&stated()).unwrap();
        let verifier = verifier(&ring(1));
        for at in 0..receipt.len() {
            let mut bytes = receipt.as_bytes().to_vec();
            // The last letter of 64 bytes in base 64 carries bits that count for nothing.
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let text = String::from_utf8(bytes).unwrap();
            assert!(verifier.read(&text).is_err(), "letter {at}");
        }
        let words: Vec<&str> = receipt.split('.').collect();
        let other = Stated { offset: 8, ..stated() };
        let other = Notary::new(ring(1)).sign(&other).unwrap();
        let words_of_another = other.split('.').nth(1).unwrap();
        let mixed = format!("{}.{words_of_another}.{}", words[0], words[2]);
        assert_eq!(verifier.read(&mixed), Err(BadReceipt::Altered));
    }

    #[test]
    fn a_receipt_is_no_token_and_a_token_is_no_receipt() {
        let now = Wall::from_millis(1_795_257_000_000);
        let tokens = Tokens::new(ring(1).into(), "sluice".into(), "sluice".into(), 3_600_000);
        let (token, _) =
            tokens.make(AccountId::from_bits(4), SessionId::from_bits(9), now).unwrap();
        assert!(tokens.read(token.expose(), now).is_ok());
        let receipt = Notary::new(ring(1)).sign(&stated()).unwrap();
        assert_eq!(tokens.read(&receipt, now), Err(Error::InvalidToken));
        let read = verifier(&ring(1)).read(token.expose());
        assert_eq!(read, Err(BadReceipt::OtherType("at+jwt".into())));
    }

    #[test]
    fn a_receipt_of_a_key_that_was_replaced_is_still_good() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token.pem");
        let receipt = Notary::new(KeyRing::open(&path).unwrap()).sign(&stated()).unwrap();
        // The old key is taken out altogether.
        std::fs::remove_file(&path).unwrap();
        let new = KeyRing::open(&path).unwrap();
        assert_eq!(verifier(&new).read(&receipt), Ok(stated()));
        let now = Wall::from_millis(0);
        let tokens = Tokens::new(new.into(), "sluice".into(), "sluice".into(), 3_600_000);
        assert!(tokens.published().contains("receipts_only"));
        assert_eq!(tokens.read(&receipt, now), Err(Error::InvalidToken));
        let new = Notary::new(KeyRing::open(&path).unwrap()).sign(&stated()).unwrap();
        assert_ne!(new, receipt);
        assert_eq!(verifier(&KeyRing::open(&path).unwrap()).read(&new), Ok(stated()));
    }
}
