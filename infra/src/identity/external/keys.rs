//! The keys an issuer publishes: found by its discovery document, fetched within bounds, fetched
//! again when they have grown old, or when a key is named that is not among them.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::StreamExt as _;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::{Client, Url, redirect};
use schemas::limit::Limits;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use super::super::keys::install_provider;
use super::super::{Error, Result};
use super::BadIssuer;
use crate::clock::Clock;

/// Where an issuer says where things are (`OpenID` Connect Discovery 1.0, section 4).
const DISCOVERY: &str = "/.well-known/openid-configuration";
/// Largest document of an issuer that is read.
const DOCUMENT_BYTES_MAX: usize = 262_144;
/// Longest an issuer may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Keys of one issuer that are kept.
const KEYS_MAX: usize = 100;

/// A key, for the one algorithm that its kind stands for.
#[derive(Clone)]
pub(super) struct Key {
    kid: Box<str>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key {{ kid: {:?}, algorithm: {:?} }}", self.kid, self.algorithm)
    }
}

/// The keys, as they were when they were fetched.
#[derive(Debug, Default)]
struct Fetched {
    keys: Vec<Key>,
    /// By the clock's uptime.
    at: Option<Duration>,
    /// When it was last tried, whatever came of it.
    tried_at: Option<Duration>,
}

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct Keys {
    issuer: String,
    http: Client,
    clock: Arc<dyn Clock>,
    /// Keys older than this are fetched again.
    fresh: Duration,
    /// Keys older than this are believed no longer.
    believed: Duration,
    /// The least time between two fetches.
    pause: Duration,
    fetched: RwLock<Fetched>,
    /// One who fetches at a time; others need not wait for keys that are known.
    turn: Mutex<()>,
}

/// The part of a discovery document that is needed.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// Keys of any kind: those of kinds we do not know harm nobody.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

/// An address that may be asked: by TLS, or on this machine.
fn address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    let is_here =
        host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (plain && (url.scheme() == "https" || (url.scheme() == "http" && is_here))).then_some(url)
}

impl Keys {
    pub(super) fn new(
        issuer: &str,
        clock: Arc<dyn Clock>,
        limits: &Limits,
    ) -> Result<Self, BadIssuer> {
        install_provider();
        address(issuer).filter(|url| url.query().is_none()).ok_or(BadIssuer::Url)?;
        let http = Client::builder()
            .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
            .timeout(ANSWER_MAX)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| BadIssuer::Client(error.to_string()))?;
        let millis = Duration::from_millis;
        Ok(Self {
            issuer: issuer.to_owned(),
            http,
            clock,
            fresh: millis(limits.issuer_keys_ms),
            believed: millis(limits.issuer_keys_ms_max.max(limits.issuer_keys_ms)),
            pause: millis(limits.issuer_pause_ms_min),
            fetched: RwLock::default(),
            turn: Mutex::default(),
        })
    }

    /// The key of this name, as far as the issuer has published one. Of those who ask at once one
    /// fetches.
    pub(super) async fn find(&self, kid: &str) -> Result<Option<Key>> {
        if let Some(key) = self.read(|fetched| self.known(fetched, kid)) {
            return Ok(Some(key));
        }
        let _turn = self.turn.lock().await;
        let is_tried = self.read(|fetched| self.is_younger(fetched.tried_at, self.pause));
        if !is_tried && self.read(|fetched| self.known(fetched, kid)).is_none() {
            let got = self.fetch().await;
            let now = Some(self.clock.uptime());
            let mut fetched = self.fetched.write().unwrap_or_else(PoisonError::into_inner);
            fetched.tried_at = now;
            match got {
                Ok(keys) => (fetched.keys, fetched.at) = (keys, now),
                Err(reason) => {
                    tracing::warn!(%reason, "the keys of the external issuer cannot be had");
                }
            }
        }
        self.read(|fetched| {
            // Keys that cannot be had anew are believed for a while; without any nobody can tell.
            if self.is_younger(fetched.at, self.believed) {
                return Ok(fetched.keys.iter().find(|key| &*key.kid == kid).cloned());
            }
            let reason = "the keys of the external issuer are not known".to_owned();
            Err(Error::Unavailable { reason, retry_after: self.pause })
        })
    }

    fn read<T>(&self, what: impl FnOnce(&Fetched) -> T) -> T {
        what(&self.fetched.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_younger(&self, at: Option<Duration>, than: Duration) -> bool {
        at.is_some_and(|at| self.clock.uptime().saturating_sub(at) < than)
    }

    /// A key of keys that are fresh.
    fn known(&self, fetched: &Fetched, kid: &str) -> Option<Key> {
        let is_fresh = self.is_younger(fetched.at, self.fresh);
        fetched.keys.iter().find(|key| is_fresh && &*key.kid == kid).cloned()
    }

    async fn fetch(&self) -> Result<Vec<Key>, String> {
        let at = format!("{}{DISCOVERY}", self.issuer.trim_end_matches('/'));
        let discovery: Discovery = self.document(&at).await?;
        if discovery.issuer != self.issuer {
            return Err(format!("{at} is another issuer's"));
        }
        let set: KeySet = self.document(&discovery.jwks_uri).await?;
        let jwk = |value| serde_json::from_value::<Jwk>(value).ok();
        Ok(set.keys.into_iter().filter_map(jwk).filter_map(|it| key(&it)).take(KEYS_MAX).collect())
    }

    async fn document<T: DeserializeOwned>(&self, at: &str) -> Result<T, String> {
        let url = address(at).ok_or_else(|| format!("{at}: {}", BadIssuer::Url))?;
        let text = |error: reqwest::Error| error.without_url().to_string();
        let answer =
            self.http.get(url).send().await.map_err(|error| format!("{at}: {}", text(error)))?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(format!("{at}: {}", answer.status()));
        }
        let (mut bytes, mut chunks) = (Vec::new(), answer.bytes_stream());
        while let Some(chunk) = chunks.next().await {
            bytes.extend_from_slice(&chunk.map_err(|error| format!("{at}: {}", text(error)))?);
            if bytes.len() > DOCUMENT_BYTES_MAX {
                return Err(format!("{at}: more than {DOCUMENT_BYTES_MAX} bytes"));
            }
        }
        serde_json::from_slice(&bytes).map_err(|error| format!("{at}: {error}"))
    }
}

/// A key that signs, by the one algorithm its kind stands for here; secrets are no such keys.
fn key(jwk: &Jwk) -> Option<Key> {
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(okp) if okp.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    let signs = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let same = jwk.common.key_algorithm.is_none_or(|alg| alg == named);
    let kid = jwk.common.key_id.as_deref().filter(|_| signs && same)?;
    Some(Key { kid: kid.into(), algorithm, key: DecodingKey::from_jwk(jwk).ok()? })
}
