//! Access tokens: JWTs (RFC 7519) in the profile of RFC 9068, signed with Ed25519.
//!
//! What is believed is narrow: one algorithm, one type, our keys by their ids, every claim present
//! and of its JSON type. Times are judged here, by the clock door.

use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode};
use schemas::digest::Digest;
use schemas::id::{AccountId, SessionId};
use schemas::time::Wall;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Error, KeyRing, Result, Secret};
use crate::recent::Recent;

/// The type of an access token (RFC 9068, section 2.1).
const TYPE: &str = "at+jwt";
/// Longest token that is looked at: ours have about 400 bytes.
const TOKEN_BYTES_MAX: usize = 2_048;
/// How far the clock of the instance that signed may be ahead of ours, in milliseconds.
const SKEW_MS_MAX: u64 = 5_000;
/// Tokens remembered in each of two generations.
const REMEMBERED_MAX: usize = 8_192;

/// The claims of a token. All are required.
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: AccountId,
    jti: SessionId,
    iat: i64,
    exp: i64,
}

/// What a token says, once its signature and claims are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) account: AccountId,
    pub(super) session: SessionId,
    pub(super) issued_at: Wall,
    /// It is dead from here on.
    pub(super) expires_at: Wall,
}

/// Makes and reads tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    keys: Arc<KeyRing>,
    issuer: String,
    audience: String,
    life_s: u64,
    validation: Validation,
    /// Tokens whose signature was checked, by the digest of their text.
    remembered: Mutex<Recent<Digest, Said>>,
}

impl Tokens {
    /// Tokens of this life.
    pub(super) fn new(keys: Arc<KeyRing>, issuer: String, audience: String, life_ms: u64) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        // All claims are judged in `judge`: the crate would go by its own clock, and skips what is
        // missing or of another type.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let remembered = Mutex::new(Recent::new(REMEMBERED_MAX));
        Self { keys, issuer, audience, life_s: life_ms / 1_000, validation, remembered }
    }

    /// The public halves of the keys.
    pub(super) fn published(&self) -> &str {
        self.keys.published()
    }

    /// A token for this session, and what it says.
    pub(super) fn make(
        &self,
        account: AccountId,
        session: SessionId,
        now: Wall,
    ) -> Result<(Secret, Said)> {
        let iat = now.millis() / 1_000;
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: account,
            jti: session,
            iat,
            exp: iat.saturating_add_unsigned(self.life_s),
        };
        let (key, kid) = self.keys.signing();
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(kid.to_owned());
        let text =
            encode(&header, &claims, key).map_err(|error| Error::Internal(error.to_string()))?;
        Ok((text.into(), said(&claims)))
    }

    /// What a token says, if it is alive now. Whether its session was signed out is not known here.
    pub(super) fn read(&self, bearer: &str, now: Wall) -> Result<Said> {
        if bearer.len() > TOKEN_BYTES_MAX {
            return Err(Error::InvalidToken);
        }
        let digest = Digest::of(bearer.as_bytes());
        let known = self.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(&digest);
        let said = match known {
            Some(said) => said,
            None => self.judge(bearer).ok_or(Error::InvalidToken)?,
        };
        if said.issued_at > now.plus(SKEW_MS_MAX) || said.expires_at <= now {
            return Err(Error::InvalidToken);
        }
        if known.is_none() {
            let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
            remembered.put(digest, said);
        }
        Ok(said)
    }

    /// What is said by a token of ours, dead or alive.
    fn judge(&self, bearer: &str) -> Option<Said> {
        let header = decode_header(bearer).ok()?;
        let expected = header.alg == Algorithm::EdDSA && header.typ.as_deref() == Some(TYPE);
        if !expected || header.crit.is_some() {
            return None;
        }
        let key = self.keys.believed(header.kid.as_deref()?)?;
        let claims = decode::<Claims>(bearer, key, &self.validation).ok()?.claims;
        let ours = claims.iss == self.issuer && claims.aud == self.audience;
        // Longer lives than we give were not given by us, or under a bound since lowered.
        let life = claims.exp.checked_sub(claims.iat)?;
        let lives = claims.iat >= 0 && life >= 0 && life.unsigned_abs() <= self.life_s;
        (ours && lives).then(|| said(&claims))
    }
}

fn said(claims: &Claims) -> Said {
    let moment = |seconds: i64| Wall::from_millis(seconds.saturating_mul(1_000));
    Said {
        account: claims.sub,
        session: claims.jti,
        issued_at: moment(claims.iat),
        expires_at: moment(claims.exp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::EncodingKey;
    use jsonwebtoken::crypto::sign;
    use serde_json::{Value, json};

    const NOW: Wall = Wall::from_millis(1_700_000_000_000);
    const ACCOUNT: AccountId = AccountId::from_bits(7);
    const SESSION: SessionId = SessionId::from_bits(9);

    fn tokens_of(seed: u8) -> Tokens {
        let keys = KeyRing::from_seed([seed; 32]).unwrap();
        Tokens::new(keys.into(), "https://sluice.test".into(), "sluice".into(), 3_600_000)
    }

    fn base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut text = String::new();
        for three in bytes.chunks(3) {
            let bits = three.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
            let bits = bits << (8 * (3 - three.len()));
            for digit in 0..=three.len() {
                text.push(char::from(DIGITS[bits >> (18 - 6 * digit) & 63]));
            }
        }
        text
    }

    fn header(tokens: &Tokens) -> Value {
        json!({"typ": "at+jwt", "alg": "EdDSA", "kid": tokens.keys.signing().1})
    }

    fn claims() -> Value {
        json!({
            "iss": "https://sluice.test", "aud": "sluice", "sub": ACCOUNT, "jti": SESSION,
            "iat": 1_700_000_000, "exp": 1_700_003_600
        })
    }

    /// A token of exactly this header and these claims, well signed.
    fn signed(tokens: &Tokens, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", base64(header.as_bytes()), base64(claims.as_bytes()));
        let signature =
            sign(message.as_bytes(), tokens.keys.signing().0, Algorithm::EdDSA).unwrap();
        format!("{message}.{signature}")
    }

    fn with(mut object: Value, name: &str, value: Value) -> String {
        object[name] = value;
        object.to_string()
    }

    fn without(mut object: Value, name: &str) -> String {
        object.as_object_mut().unwrap().remove(name);
        object.to_string()
    }

    #[test]
    fn a_token_is_read_back_until_it_expires() {
        let tokens = tokens_of(1);
        let (text, said) = tokens.make(ACCOUNT, SESSION, NOW).unwrap();
        assert_eq!((said.account, said.session), (ACCOUNT, SESSION));
        assert_eq!(said.expires_at, NOW.plus(3_600_000), "an hour and nothing more");
        let cases = [(0, true), (3_599_999, true), (3_600_000, false), (3_601_000, false)];
        for (age_ms, alive) in cases {
            // A fresh reader has to check the signature, the same reader remembers it.
            for reader in [&tokens, &tokens_of(1)] {
                let read = reader.read(text.expose(), NOW.plus(age_ms));
                assert_eq!(read.ok(), alive.then_some(said), "{age_ms}");
            }
        }
        assert_eq!(tokens.read(text.expose(), NOW.minus(5_000)), Ok(said), "a little skew");
        assert_eq!(tokens.read(text.expose(), NOW.minus(5_001)), Err(Error::InvalidToken));
    }

    #[test]
    fn a_well_signed_token_with_other_claims_is_refused() {
        let tokens = tokens_of(1);
        let check = |case: &str, header: &str, claims: &str, good: bool| {
            let read = tokens.read(&signed(&tokens, header, claims), NOW);
            assert_eq!(read.is_ok(), good, "{case}");
        };
        let head = header(&tokens).to_string();
        check("as made", &head, &claims().to_string(), true);
        check("one more claim", &head, &with(claims(), "scope", json!("x")), true);
        for claim in ["iss", "aud", "sub", "jti", "iat", "exp"] {
            check(claim, &head, &without(claims(), claim), false);
            for value in [json!(null), json!({}), json!(["sluice"]), json!(true), json!(1.5)] {
                check(&format!("{claim} {value}"), &head, &with(claims(), claim, value), false);
            }
        }
        let at = |exp: Value| with(claims(), "exp", exp);
        check("exp as text", &head, &at(json!("1700003600")), false);
        check("exp as float", &head, &at(json!(1_700_003_600.0)), false);
        check("exp in the past", &head, &at(json!(1_700_000_000)), false);
        check("exp before iat", &head, &at(json!(1_600_000_000)), false);
        check("exp far ahead", &head, &at(json!(1_700_003_601)), false);
        check("exp enormous", &head, &at(json!(u64::MAX)), false);
        check("iat negative", &head, &with(claims(), "iat", json!(-1)), false);
        check("iat ahead", &head, &with(claims(), "iat", json!(1_700_000_006)), false);
        check("another issuer", &head, &with(claims(), "iss", json!("https://else")), false);
        check("another audience", &head, &with(claims(), "aud", json!("other")), false);
        check("no account", &head, &with(claims(), "sub", json!("ann")), false);
        let twice = claims().to_string().replacen('{', r#"{"exp":9999999999,"#, 1);
        check("exp twice", &head, &twice, false);
        check("no claims", &head, "{}", false);
        check("no object", &head, "[]", false);
    }

    #[test]
    fn a_well_signed_token_with_another_header_is_refused() {
        let tokens = tokens_of(1);
        let body = claims().to_string();
        let check = |case: &str, header: &str| {
            let read = tokens.read(&signed(&tokens, header, &body), NOW);
            assert_eq!(read, Err(Error::InvalidToken), "{case}");
        };
        let made = || header(&tokens);
        check("no type", &without(made(), "typ"));
        check("an id token", &with(made(), "typ", json!("JWT")));
        check("no key id", &without(made(), "kid"));
        check("unknown key", &with(made(), "kid", json!("another")));
        check("critical extension", &with(made(), "crit", json!(["b64"])));
        check("unsigned", &with(made(), "alg", json!("none")));
        check("another algorithm", &with(made(), "alg", json!("ES256")));
        check("no object", "[]");
    }

    #[test]
    fn a_token_of_another_key_or_algorithm_is_refused() {
        let tokens = tokens_of(1);
        let refused = |case: &str, text: &str| {
            assert_eq!(tokens.read(text, NOW), Err(Error::InvalidToken), "{case}");
        };
        // Signed with a key of the attacker's, under the id of ours.
        let other = tokens_of(2);
        refused(
            "another key",
            &signed(&other, &header(&tokens).to_string(), &claims().to_string()),
        );
        refused("another ring", other.make(ACCOUNT, SESSION, NOW).unwrap().0.expose());

        // Signed by HMAC with our public key as the secret, in each form an attacker may have it.
        let published: Value = serde_json::from_str(tokens.published()).unwrap();
        let public = published["keys"][0]["x"].as_str().unwrap();
        let raw = jsonwebtoken::DecodingKey::from_ed_components(public).unwrap();
        let hmac = with(header(&tokens), "alg", json!("HS256"));
        let message =
            format!("{}.{}", base64(hmac.as_bytes()), base64(claims().to_string().as_bytes()));
        for secret in
            [public.as_bytes(), raw.try_get_as_bytes().unwrap(), tokens.published().as_bytes()]
        {
            let key = EncodingKey::from_secret(secret);
            let signature = sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
            refused("HS256 with the public key", &format!("{message}.{signature}"));
        }
        let none = with(header(&tokens), "alg", json!("none"));
        let message =
            format!("{}.{}", base64(none.as_bytes()), base64(claims().to_string().as_bytes()));
        refused("unsigned", &format!("{message}."));
        refused("unsigned, two parts", &message);
    }

    #[test]
    fn a_token_altered_anywhere_is_refused() {
        let tokens = tokens_of(1);
        let (text, _) = tokens.make(ACCOUNT, SESSION, NOW).unwrap();
        let text = text.expose();
        for at in 0..text.len() {
            // 'A' to 'B' in the last digit changes only bits that are not part of the signature:
            // another spelling of the same bytes is refused as well.
            let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
            let mut altered = text.to_owned();
            altered.replace_range(at..=at, other);
            assert_eq!(tokens.read(&altered, NOW), Err(Error::InvalidToken), "at {at}");
        }
        let (body, signature) = text.rsplit_once('.').unwrap();
        let long = "A".repeat(1_000_000);
        for altered in [
            "",
            ".",
            "..",
            "...",
            "a.b.c",
            body,
            &text[1..],
            &format!("{text}="),
            &format!("{text}=="),
            &format!("{text}."),
            &format!("{text}\n"),
            &format!(" {text}"),
            &format!(".{text}"),
            &format!("{body}.{signature}AA"),
            &format!("{body}.{}", signature.replace('_', "/")),
            &format!("{body}."),
            &long,
            &format!("{text}{long}"),
            "ünï.cö.dé",
        ] {
            if altered != text {
                assert_eq!(tokens.read(altered, NOW), Err(Error::InvalidToken), "{altered:.80}");
            }
        }
    }
}
