//! An issuer of our own, over HTTP, and tokens good and bad.

use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;
use crate::fakes::Installation;
use crate::fresh;
use crate::identity::keys::PKCS8_HEAD;
use crate::identity::{Identity, LocalIdentity, Newcomers, Proof, Standing, Token};
use crate::supervise::{OnError, Stage};

const AUDIENCE: &str = "sluice-client";
const MINUTE_MS: u64 = 60_000;

/// What the issuer publishes, and how often it was asked for its keys.
#[derive(Debug, Default)]
struct Published {
    discovery: Value,
    keys: Vec<Value>,
    asked: usize,
}

type Shared = Arc<Mutex<Published>>;

/// A key that signs, and what it is called.
struct Signer {
    kid: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    fn new(kid: &'static str, algorithm: Algorithm) -> Self {
        crate::identity::keys::install_provider();
        let pem = |kind| rcgen::KeyPair::generate_for(kind).unwrap().serialize_pem();
        let key = match algorithm {
            Algorithm::RS256 => {
                EncodingKey::from_rsa_pem(pem(&rcgen::PKCS_RSA_SHA256).as_bytes()).unwrap()
            }
            Algorithm::ES256 => {
                EncodingKey::from_ec_pem(pem(&rcgen::PKCS_ECDSA_P256_SHA256).as_bytes()).unwrap()
            }
            _ => EncodingKey::from_ed_der(&[&PKCS8_HEAD[..], &fresh::bytes::<32>()].concat()),
        };
        Self { kid, algorithm, key }
    }

    fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.kid.to_owned());
        serde_json::to_value(jwk).unwrap()
    }

    fn sign(&self, claims: &Value) -> Secret {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.kid.to_owned());
        encode(&header, claims, &self.key).unwrap().into()
    }
}

/// An installation that lets the people of an issuer in.
struct Scene {
    installation: Installation,
    identity: Arc<LocalIdentity>,
    issuer: String,
    published: Shared,
}

impl Scene {
    async fn new() -> Self {
        let installation = Installation::new().await;
        let published = Shared::default();
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}/realm", socket.local_addr().unwrap());
        let discovery = json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") });
        published.lock().unwrap().discovery = discovery;
        let discovered = async |State(shared): State<Shared>| {
            let published = shared.lock().unwrap_or_else(PoisonError::into_inner);
            published.discovery.to_string()
        };
        let keys = async |State(shared): State<Shared>| {
            let mut published = shared.lock().unwrap_or_else(PoisonError::into_inner);
            published.asked += 1;
            json!({ "keys": published.keys }).to_string()
        };
        let router = Router::new()
            .route("/realm/.well-known/openid-configuration", get(discovered))
            .route("/realm/keys", get(keys))
            .with_state(Arc::clone(&published));
        let tasks = installation.supervisor.stage(Stage::Serve);
        tasks.spawn("issuer", OnError::Log, async move { axum::serve(socket, router).await });
        let limits = Limits::default();
        let external = External::new(&issuer, AUDIENCE, installation.clock.clone(), &limits);
        let identity = installation.identity_with(Some(external.unwrap())).await;
        Self { installation, identity, issuer, published }
    }

    fn publish(&self, signers: &[&Signer]) {
        let keys = signers.iter().map(|signer| signer.jwk()).collect();
        self.published.lock().unwrap().keys = keys;
    }

    fn asked(&self) -> usize {
        self.published.lock().unwrap().asked
    }

    fn now_s(&self) -> i64 {
        self.installation.clock.now().millis() / 1_000
    }

    /// Claims as they should be.
    fn claims(&self, subject: &str) -> Value {
        let now = self.now_s();
        json!({ "iss": self.issuer, "sub": subject, "aud": AUDIENCE, "iat": now, "exp": now + 300 })
    }

    /// With one claim other, or without it.
    fn but(&self, name: &str, value: Value) -> Value {
        let mut claims = self.claims("ada@example.org");
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value;
        }
        claims
    }

    async fn shows(&self, assertion: Secret) -> Result<Token> {
        self.comes(assertion, Newcomers::Enrolled).await
    }

    async fn comes(&self, assertion: Secret, newcomers: Newcomers) -> Result<Token> {
        self.identity.sign_in(Proof::Assertion { assertion, newcomers }).await
    }

    async fn is_refused(&self, what: &str, assertion: impl Into<Secret>) {
        let shown = self.shows(assertion.into()).await.map(|token| token.caller);
        assert_eq!(shown, Err(Error::InvalidCredentials), "{what}");
    }
}

#[tokio::test]
async fn people_of_the_issuer_are_let_in_each_with_one_account() {
    let scene = Scene::new().await;
    let algorithms = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
    let signers = ["one", "two", "three"].into_iter().zip(algorithms);
    let signers: Vec<_> = signers.map(|(kid, algorithm)| Signer::new(kid, algorithm)).collect();
    scene.publish(&signers.iter().collect::<Vec<_>>());
    let mut accounts = Vec::new();
    for signer in &signers {
        let token = scene.shows(signer.sign(&scene.claims("ada@example.org"))).await.unwrap();
        assert!(token.refresh_token.is_none(), "the issuer is asked again");
        let caller = scene.identity.caller(token.access_token.expose()).unwrap();
        assert!(!caller.platform_admin);
        let name = caller.name.unwrap();
        assert!(name.as_str().starts_with("oidc-") && !name.as_str().contains("ada"), "{name}");
        accounts.push(caller.account);
    }
    assert!(accounts.iter().all(|account| *account == accounts[0]), "{accounts:?}");
    let other = scene.shows(signers[0].sign(&scene.claims("bob"))).await.unwrap();
    assert_ne!(other.caller.account, accounts[0]);
    assert_eq!(scene.asked(), 1, "keys are remembered");
    // No password is right for them, and nobody takes such a name.
    let name = other.caller.name.clone().unwrap();
    let proof = Proof::Password { name: name.clone(), password: "external".into() };
    assert_eq!(scene.identity.sign_in(proof).await.unwrap_err(), Error::InvalidCredentials);
    let free: UserName = "oidc-00000000000000000000000000000000".parse().unwrap();
    for name in [name, free.clone()] {
        let taken = scene.identity.enrol(name, "correct horse".into()).await;
        assert_eq!(taken, Err(Error::NameTaken));
    }
    let made = scene.identity.make_client(accounts[0], free).await;
    assert_eq!(made.unwrap_err(), Error::NameTaken);
}

#[tokio::test]
async fn what_is_not_said_as_it_should_be_is_refused() {
    let scene = Scene::new().await;
    let signer = Signer::new("one", Algorithm::ES256);
    scene.publish(&[&signer]);
    let now = scene.now_s();
    for (claim, value) in [
        ("exp", json!(now - 31)),
        ("exp", json!(null)),
        ("exp", json!("soon")),
        ("exp", json!(-1)),
        ("nbf", json!(now + 31)),
        ("iat", json!(now + 31)),
        ("aud", json!("somebody-else")),
        ("aud", json!(["somebody-else"])),
        ("aud", json!(null)),
        ("iss", json!("https://elsewhere.example")),
        ("iss", json!(format!("{}/", scene.issuer))),
        ("sub", json!("")),
        ("sub", json!(null)),
        ("sub", json!("x".repeat(256))),
    ] {
        scene.is_refused(&format!("{claim} {value}"), signer.sign(&scene.but(claim, value))).await;
    }
    for (claim, value) in [
        ("exp", json!(now - 29)),
        ("exp", json!(f64::from(1_700_000_100) + 0.5)),
        ("nbf", json!(now + 29)),
        ("aud", json!(["somebody-else", AUDIENCE])),
        ("nonce", json!("overlooked")),
    ] {
        let shown = scene.shows(signer.sign(&scene.but(claim, value.clone()))).await;
        assert!(shown.is_ok(), "{claim} {value}: {shown:?}");
    }
    scene.is_refused("nonsense", "a.b.c").await;
    scene.is_refused("too long", "a".repeat(20_000).as_str()).await;
}

#[tokio::test]
async fn no_token_chooses_how_it_is_checked() {
    let scene = Scene::new().await;
    let rsa = Signer::new("rsa", Algorithm::RS256);
    let good = scene.claims("ada");
    let mut secret = json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode(b"known"), "alg": "HS256" });
    secret["kid"] = json!("secret");
    let mut for_encryption = Signer::new("enc", Algorithm::RS256).jwk();
    for_encryption["use"] = json!("enc");
    let weaker = Signer::new("weaker", Algorithm::RS256);
    let mut named = weaker.jwk();
    named["alg"] = json!("RS512");
    let broken = json!({ "kty": "RSA", "kid": "broken" });
    scene.published.lock().unwrap().keys = vec![broken, secret, for_encryption, named, rsa.jwk()];
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    for header in [
        json!({ "alg": "none", "kid": "rsa" }),
        json!({ "alg": "None", "kid": "rsa" }),
        json!({ "alg": "RS256", "kid": "rsa" }),
        json!({ "alg": "RS256" }),
        json!({ "alg": "RS256", "kid": "rsa", "crit": ["exp"] }),
    ] {
        scene.is_refused(&header.to_string(), format!("{}.{}.", part(&header), part(&good))).await;
    }
    // The public key as a shared secret.
    let public = rsa.jwk()["n"].as_str().unwrap().to_owned();
    for (kid, key) in [("rsa", public.as_bytes()), ("secret", &b"known"[..])] {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(kid.to_owned());
        let forged = encode(&header, &good, &EncodingKey::from_secret(key)).unwrap();
        scene.is_refused("HS256", forged).await;
    }
    // Another's key under a known name; a key that is for something else; another algorithm.
    let stranger = Signer::new("rsa", Algorithm::RS256);
    scene.is_refused("another's key", stranger.sign(&good)).await;
    let mut header = Header::new(Algorithm::RS512);
    header.kid = Some("rsa".to_owned());
    let stronger = encode(&header, &good, &rsa.key).unwrap();
    scene.is_refused("RS512 by a key for RS256", stronger).await;
    scene.is_refused("a key that is for RS512", weaker.sign(&good)).await;
    let mut words = rsa.sign(&good).expose().to_owned();
    words.replace_range(words.len() - 6..words.len() - 4, "xx");
    scene.is_refused("altered", words).await;
    assert!(scene.shows(rsa.sign(&good)).await.is_ok(), "the good one is good");
}

#[tokio::test]
async fn keys_that_change_are_fetched_again_but_not_at_every_strangers_word() {
    let scene = Scene::new().await;
    let (old, new) = (Signer::new("old", Algorithm::EdDSA), Signer::new("new", Algorithm::EdDSA));
    scene.publish(&[&old]);
    let (by_old, by_new) = (old.sign(&scene.claims("ada")), new.sign(&scene.claims("ada")));
    scene.shows(by_old.clone()).await.unwrap();
    for _ in 0..20 {
        scene.is_refused("a key that nobody knows yet", by_new.clone()).await;
    }
    assert_eq!(scene.asked(), 1, "the keys were fetched a moment ago");
    scene.publish(&[&new]);
    scene.installation.clock.advance(10_000);
    scene.shows(by_new.clone()).await.expect("it was looked for");
    assert_eq!(scene.asked(), 2);
    scene.is_refused("a key that is published no longer", by_old).await;
    // The issuer cannot be reached: what is known is believed for a day, and then nothing.
    scene.published.lock().unwrap().discovery = json!("nonsense");
    let later = |scene: &Scene| new.sign(&scene.claims("ada"));
    for _ in 0..23 {
        scene.installation.clock.advance(60 * MINUTE_MS);
        scene.shows(later(&scene)).await.expect("the keys are a day old at most");
    }
    scene.installation.clock.advance(60 * MINUTE_MS);
    let told = scene.shows(later(&scene)).await.unwrap_err();
    assert!(told.retryable(), "{told:?}");
}

#[tokio::test]
async fn an_issuer_is_who_it_says_and_where_it_may_be() {
    let scene = Scene::new().await;
    let signer = Signer::new("one", Algorithm::EdDSA);
    scene.publish(&[&signer]);
    let good = scene.published.lock().unwrap().discovery.clone();
    for (field, value) in [
        ("issuer", json!("https://elsewhere.example")),
        ("jwks_uri", json!("http://192.0.2.1/keys")),
        ("jwks_uri", json!("file:///etc/passwd")),
        ("jwks_uri", json!(format!("{}/nowhere", scene.issuer))),
        ("padding", json!("x".repeat(300_000))),
    ] {
        let mut other = good.clone();
        other[field] = value;
        scene.published.lock().unwrap().discovery = other;
        scene.installation.clock.advance(10_000);
        let told = scene.shows(signer.sign(&scene.claims("ada"))).await.unwrap_err();
        assert!(matches!(told, Error::Unavailable { .. }), "{field}: {told:?}");
    }
    scene.published.lock().unwrap().discovery = good;
    scene.installation.clock.advance(10_000);
    scene.shows(signer.sign(&scene.claims("ada"))).await.unwrap();
    let new = |issuer: &str, audience: &str| {
        let clock = scene.installation.clock.clone();
        External::new(issuer, audience, clock, &Limits::default()).map(|_| ())
    };
    assert_eq!(new("https://issuer.example/realm", "a"), Ok(()));
    assert_eq!(new("http://[::1]:1/realm", "a"), Ok(()));
    assert_eq!(new("https://issuer.example", ""), Err(BadIssuer::Audience));
    for bad in ["http://issuer.example", "issuer.example", "https://a:b@c.example", "https://a?b"] {
        assert_eq!(new(bad, "a"), Err(BadIssuer::Url), "{bad}");
    }
}

#[tokio::test]
async fn who_is_disabled_or_may_not_sign_up_is_not_let_in_by_an_issuer_either() {
    let scene = Scene::new().await;
    let signer = Signer::new("one", Algorithm::EdDSA);
    scene.publish(&[&signer]);
    let ada = signer.sign(&scene.claims("ada"));
    let closed = scene.comes(ada.clone(), Newcomers::Refused).await;
    assert_eq!(closed.unwrap_err(), Error::Closed);
    let token = scene.shows(ada.clone()).await.unwrap();
    let again = scene.comes(ada.clone(), Newcomers::Refused).await.expect("no newcomer");
    assert_eq!(again.caller.account, token.caller.account);
    let account = token.caller.account;
    scene.identity.set_standing(account, Standing::Disabled, account).await.unwrap();
    assert_eq!(scene.shows(ada.clone()).await.unwrap_err(), Error::Disabled);
    let dead = scene.identity.caller(token.access_token.expose());
    assert_eq!(dead.unwrap_err(), Error::InvalidToken);
    scene.identity.set_standing(account, Standing::Enabled, account).await.unwrap();
    scene.shows(ada.clone()).await.unwrap();
    // Where nobody has set an issuer there is none.
    let alone = scene.installation.identity().await;
    let proof = Proof::Assertion { assertion: ada, newcomers: Newcomers::Enrolled };
    assert_eq!(alone.sign_in(proof).await.unwrap_err(), Error::NoIssuer);
}
