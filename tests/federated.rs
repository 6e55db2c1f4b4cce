//! People of an external issuer, let in by the built binary.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::thread;

use jsonwebtoken::crypto::aws_lc;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::server::{Server, Setup};

/// A key of known bytes (RFC 8037, appendix A): PKCS#8, Ed25519.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";
const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

/// An issuer that answers what it is asked, for as long as the test runs.
fn issuer() -> String {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://{}", socket.local_addr().unwrap());
    let discovery = json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") });
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": PUBLIC, "kid": "one", "use": "sig" });
    let keys = json!({ "keys": [key] });
    thread::spawn(move || {
        for stream in socket.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let asked = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let body = if asked.contains("/keys") { &keys } else { &discovery }.to_string();
            let length = body.len();
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json";
            write!(stream, "{head}\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
        }
    });
    issuer
}

fn assertion(issuer: &str, audience: &str) -> String {
    // A second call finds it installed.
    _ = aws_lc::DEFAULT_PROVIDER.install_default();
    let now = client::fresh::now().millis() / 1_000;
    let claims =
        json!({ "iss": issuer, "sub": "ada@example.org", "aud": audience, "exp": now + 300 });
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some("one".to_owned());
    encode(&header, &claims, &EncodingKey::from_ed_pem(KEY.as_bytes()).unwrap()).unwrap()
}

/// The status and the body of the token endpoint's answer.
async fn token(server: &Server, assertion: &str) -> (u16, Value) {
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
    let answer = reqwest::Client::new()
        .post(format!("{}/auth/token", server.url()))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("{grant}&assertion={assertion}"))
        .send()
        .await
        .unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_the_issuer_knows_is_let_in_where_newcomers_may_come() {
    let issuer = issuer();
    let folder = tempfile::tempdir().unwrap();
    let mut setup = Setup::new(&folder.path().join("data"));
    setup.flags = ["--oidc-issuer", &issuer, "--oidc-audience", "us"].map(str::to_owned).into();
    let mut server = Server::start(setup);
    let (status, body) = token(&server, &assertion(&issuer, "somebody-else")).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")), "{body}");
    let (status, body) = token(&server, &assertion(&issuer, "us")).await;
    assert_eq!((status, body["refresh_token"].is_null()), (200, true), "{body}");
    let ada = server.client().signed_in(body["access_token"].as_str().unwrap());
    let pool = ada.pools(&client::PageAsk::default()).await.unwrap();
    assert_eq!(pool.items.len(), 0, "it is a token of ours");
    // After a restart that lets no newcomers in, ada is none.
    server.stop();
    server.say(&["--oidc-issuer", &issuer, "--oidc-audience", "us", "--sign-ups", "closed"]);
    assert!(server.again());
    assert_eq!(token(&server, &assertion(&issuer, "us")).await.0, 200);
    server.stop();
    server.say(&["--sign-ups", "closed"]);
    assert!(server.again());
    let (status, body) = token(&server, &assertion(&issuer, "us")).await;
    assert_eq!((status, &body["error"]), (400, &json!("unsupported_grant_type")), "{body}");
}
