//! People of an external `OpenID` Connect issuer: their tokens, as assertions for ours (RFC 7523).
//!
//! What is believed is narrow: one issuer, one audience, keys that the issuer publishes, each for
//! the one algorithm its kind stands for, so that no token chooses how it is checked. Times are
//! judged here, by the clock door. Reading a token of ours stays a matter of memory: theirs are
//! exchanged once a session.

mod keys;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jsonwebtoken::{Validation, decode, decode_header};
use schemas::digest::Digest;
use schemas::limit::Limits;
use schemas::name::UserName;
use schemas::time::Wall;
use serde::Deserialize;

use super::{Error, Result, Secret};
use crate::clock::Clock;
use keys::Keys;

/// Longest assertion that is looked at.
const TOKEN_BYTES_MAX: usize = 16_384;
/// How far the issuer's clock may be from ours, in milliseconds.
const SKEW_MS_MAX: u64 = 30_000;
/// Longest name of a subject (`OpenID` Connect Core 1.0, section 2).
const SUBJECT_BYTES_MAX: usize = 255;
/// What names of accounts of external people begin with: nobody signs up under such a name.
pub(super) const NAME_HEAD: &str = "oidc-";

/// An external issuer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadIssuer {
    /// It is no address of an issuer.
    #[error("an https URL without query or fragment is expected; http only on this machine")]
    Url,
    /// It does not say for whom its tokens are to be.
    #[error("the audience that tokens must be for is missing")]
    Audience,
    /// No HTTP client could be made.
    #[error("{0}")]
    Client(String),
}

/// An external issuer.
#[derive(Debug)]
pub struct External {
    issuer: String,
    audience: String,
    keys: Keys,
    clock: Arc<dyn Clock>,
}

/// Somebody whom the issuer knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// What the account is called here: the same for the same subject of the same issuer.
    pub(super) name: UserName,
    /// Which subject of which issuer it is, as a digest: names and addresses of people stay there.
    pub(super) who: Digest,
}

/// The claims that count. What is missing is refused.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    iat: Option<f64>,
}

/// One, or several (RFC 7519, section 4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn has(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}

impl External {
    /// The issuer at this URL, whose tokens are to be for this audience. Nothing is asked of it
    /// before somebody shows a token.
    pub fn new(
        issuer: &str,
        audience: &str,
        clock: Arc<dyn Clock>,
        limits: &Limits,
    ) -> Result<Self, BadIssuer> {
        if audience.is_empty() {
            return Err(BadIssuer::Audience);
        }
        let keys = Keys::new(issuer, Arc::clone(&clock), limits)?;
        Ok(Self { issuer: issuer.to_owned(), audience: audience.to_owned(), keys, clock })
    }

    /// Whom the issuer says this is.
    pub(super) async fn known(&self, assertion: &Secret) -> Result<Known> {
        let text = assertion.expose();
        let refused = || Error::InvalidCredentials;
        if text.len() > TOKEN_BYTES_MAX {
            return Err(refused());
        }
        let header = decode_header(text).map_err(|_| refused())?;
        let kid = header.kid.as_deref().filter(|_| header.crit.is_none()).ok_or_else(refused)?;
        let key = self.keys.find(kid).await?.ok_or_else(refused)?;
        if header.alg != key.algorithm {
            return Err(refused());
        }
        let mut validation = Validation::new(key.algorithm);
        // All claims are judged in `judge`: the crate would go by its own clock.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let claims = decode::<Claims>(text, &key.key, &validation).map_err(|_| refused())?.claims;
        self.judge(&claims, self.clock.now()).ok_or_else(refused)
    }

    fn judge(&self, claims: &Claims, now: Wall) -> Option<Known> {
        let ours = claims.iss == self.issuer && claims.aud.has(&self.audience);
        let named = (1..=SUBJECT_BYTES_MAX).contains(&claims.sub.len());
        let alive = moment(claims.exp)?.plus(SKEW_MS_MAX) > now;
        let soon = now.plus(SKEW_MS_MAX);
        let begun = |at: Option<f64>| at.is_none_or(|at| moment(at).is_some_and(|at| at <= soon));
        if !(ours && named && alive && begun(claims.nbf) && begun(claims.iat)) {
            return None;
        }
        // No issuer's URL has a line break in it.
        let who = Digest::of(format!("{}\n{}", claims.iss, claims.sub).as_bytes());
        let short: String = who.to_string().chars().take(32).collect();
        Some(Known { name: format!("{NAME_HEAD}{short}").parse().ok()?, who })
    }
}

/// Seconds since 1970, with or without a fraction (RFC 7519, section 2).
#[allow(clippy::cast_possible_truncation, reason = "cut to what a moment can be")]
fn moment(seconds: f64) -> Option<Wall> {
    (seconds.is_finite() && seconds >= 0.0).then(|| Wall::from_millis((seconds * 1_000.0) as i64))
}
