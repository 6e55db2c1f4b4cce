//! The keys that tokens are signed with: Ed25519 (RFC 8037) in a PEM file that only its owner reads.
//!
//! The first key in the file signs; the others are still believed, so that a key can be replaced
//! while tokens of the old one live: put the new one in front, take the old one out an hour later.
//! The public half of every key that was ever in the file stays in a file beside it and is
//! published for good, marked `receipts_only` once it is out: receipts do not expire.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use pem::{EncodeConfig, LineEnding, Pem};
use serde::{Deserialize, Serialize};

use crate::{fresh, secret_file};

/// What stands before the 32 bytes of an Ed25519 key in PKCS#8 (RFC 8410, section 7).
pub(super) const PKCS8_HEAD: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
const PEM_TAG: &str = "PRIVATE KEY";
/// The file of all public halves, beside that of the keys.
const PUBLISHED_FILE: &str = "published.json";
/// What marks a key that signs nothing any more.
const RETIRED: &str = "receipts_only";

/// A key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BadKey {
    /// The file cannot be read or made.
    #[error("the key file: {0}")]
    File(#[from] io::Error),
    /// It does not hold what it should.
    #[error("the key file should hold Ed25519 keys in PKCS#8 as PEM: {0}")]
    Content(String),
}

/// A key that is believed.
struct Believed {
    kid: String,
    key: DecodingKey,
}

/// The key that signs and those that are believed.
pub struct KeyRing {
    signing: EncodingKey,
    kid: String,
    believed: Vec<Believed>,
    published: String,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl KeyRing {
    /// The keys in this file. When it is not there it is made, with a new key, readable by its
    /// owner only; of several processes that do so at once one makes it and all get its key.
    pub fn open(path: &Path) -> Result<Self, BadKey> {
        if !path.try_exists()? {
            make_file(path)?;
        }
        if fs::metadata(path)?.permissions().mode() & 0o007 != 0 {
            tracing::warn!(path = %path.display(), "others can read the key: chmod 600 it");
        }
        let mut ring = Self::from_pem(&fs::read(path)?)?;
        ring.published = keep_published(&path.with_file_name(PUBLISHED_FILE), &ring.published)?;
        Ok(ring)
    }

    /// The keys in this text, the one that signs first.
    pub fn from_pem(text: &[u8]) -> Result<Self, BadKey> {
        let parts = pem::parse_many(text).map_err(|error| BadKey::Content(error.to_string()))?;
        if let Some(other) = parts.iter().find(|part| part.tag() != PEM_TAG) {
            return Err(BadKey::Content(format!("there is a {}", other.tag())));
        }
        Self::from_der(parts.into_iter().map(Pem::into_contents))
    }

    /// The key made of these 32 bytes, which must be random and secret.
    pub fn from_seed(seed: [u8; 32]) -> Result<Self, BadKey> {
        Self::from_der([[&PKCS8_HEAD[..], &seed].concat()])
    }

    fn from_der(keys: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, BadKey> {
        install_provider();
        let bad = |error: jsonwebtoken::errors::Error| BadKey::Content(error.to_string());
        let mut signing = None;
        let (mut believed, mut published) = (Vec::new(), Vec::new());
        for der in keys {
            let key = EncodingKey::from_ed_der(&der);
            let mut jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).map_err(bad)?;
            let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(bad)?;
            jwk.common.key_id = Some(kid.clone());
            jwk.common.public_key_use = Some(PublicKeyUse::Signature);
            believed.push(Believed {
                kid: kid.clone(),
                key: DecodingKey::from_jwk(&jwk).map_err(bad)?,
            });
            published.push(jwk);
            signing.get_or_insert((key, kid));
        }
        let (signing, kid) = signing.ok_or_else(|| BadKey::Content("it is empty".into()))?;
        let published = serde_json::to_string(&JwkSet { keys: published })
            .map_err(|error| BadKey::Content(error.to_string()))?;
        Ok(Self { signing, kid, believed, published })
    }

    /// The key that signs and its id.
    pub(super) fn signing(&self) -> (&EncodingKey, &str) {
        (&self.signing, &self.kid)
    }

    /// The believed key with this id.
    pub(super) fn believed(&self, kid: &str) -> Option<&DecodingKey> {
        self.believed.iter().find(|believed| believed.kid == kid).map(|believed| &believed.key)
    }

    /// The public halves as a JWK Set.
    pub(super) fn published(&self) -> &str {
        &self.published
    }
}

/// Only one provider is compiled in. A second call finds it installed already.
pub(super) fn install_provider() {
    _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

/// Adds the public halves of what this file has and the ring has not, and keeps all of them there.
fn keep_published(path: &Path, published: &str) -> Result<String, BadKey> {
    let bad = |error: serde_json::Error| BadKey::Content(format!("{}: {error}", path.display()));
    let kept = match fs::read(path) {
        Ok(kept) => serde_json::from_slice(&kept).map_err(bad)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Published { keys: Vec::new() },
        Err(error) => return Err(error.into()),
    };
    let mut all: Published = serde_json::from_str(published).map_err(bad)?;
    for mut key in kept.keys.iter().cloned() {
        if !all.keys.iter().any(|known| known.get("kid") == key.get("kid")) {
            key.insert(RETIRED.to_owned(), true.into());
            all.keys.push(key);
        }
    }
    let text = serde_json::to_string(&all).map_err(bad)?;
    if kept.keys != all.keys {
        secret_file::replace(path, text.as_bytes())?;
    }
    Ok(text)
}

/// A JWK Set whose keys may have members that we do not know.
#[derive(Serialize, Deserialize)]
struct Published {
    keys: Vec<serde_json::Map<String, serde_json::Value>>,
}

fn make_file(path: &Path) -> io::Result<()> {
    let der = [&PKCS8_HEAD[..], &fresh::bytes::<32>()].concat();
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    secret_file::make(path, pem::encode_config(&Pem::new(PEM_TAG, der), config).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token.pem");
        let made = KeyRing::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(KeyRing::open(&path).unwrap().kid, made.kid);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no draft is left");
        make_file(&path).unwrap();
        assert_eq!(KeyRing::open(&path).unwrap().kid, made.kid, "the first one stays");
        assert!(matches!(KeyRing::open(&path.join("below a file")), Err(BadKey::File(_))));
    }

    #[test]
    fn the_first_key_signs_and_all_are_believed() {
        let folder = tempfile::tempdir().unwrap();
        let pems: Vec<_> = ["old", "new"]
            .iter()
            .map(|name| {
                let path = folder.path().join(name);
                KeyRing::open(&path).unwrap();
                fs::read(&path).unwrap()
            })
            .collect();
        let old = KeyRing::from_pem(&pems[0]).unwrap();
        let both = KeyRing::from_pem(&[&pems[1][..], &pems[0]].concat()).unwrap();
        assert_ne!(both.kid, old.kid);
        assert!(both.believed(&old.kid).is_some() && old.believed(&both.kid).is_none());
        let published: serde_json::Value = serde_json::from_str(both.published()).unwrap();
        let keys = published["keys"].as_array().unwrap();
        assert_eq!((keys.len(), &keys[1]["kid"]), (2, &old.kid.as_str().into()));
        for key in keys {
            assert_eq!((&key["kty"], &key["crv"]), (&"OKP".into(), &"Ed25519".into()));
            assert_eq!((&key["use"], &key["alg"]), (&"sig".into(), &"EdDSA".into()));
            assert!(key.get("d").is_none(), "the secret half stays here");
        }
    }

    #[test]
    fn a_key_of_known_bytes_is_the_one_of_rfc_8037() {
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let seed: schemas::digest::Digest = seed.parse().unwrap();
        let ring = KeyRing::from_seed(*seed.bytes()).unwrap();
        assert_eq!(ring.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert!(ring.published().contains("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"));
    }

    #[test]
    fn other_content_is_refused() {
        let public = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
        let short = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for text in ["", "nonsense", public, short] {
            assert!(
                matches!(KeyRing::from_pem(text.as_bytes()), Err(BadKey::Content(_))),
                "{text}"
            );
        }
    }
}
