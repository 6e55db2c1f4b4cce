//! Repeats, keys, tokens and positions, seen from the server.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use schemas::api::IssueToken;
use schemas::problem::{Code, Problem};
use schemas::role::{Role, RoleSet};
use serde_json::json;

use crate::fake::{Fake, Script, cut, hasty, json, problem, refused};
use client::{
    Client, Error, OnInvalid, PageAsk, Patience, Progress, Source, Update, UpdateFile, Upload,
};

const ID: &str = "0199f3a2-5c1e-7d53-b0a4-3d2f0c7f9a11";

fn receipt(repeated: bool) -> serde_json::Value {
    let at = "2026-11-21T10:30:00.000Z";
    json!({
        "upload": ID, "idempotency_key": "k", "size_bytes": 5, "repeated": repeated,
        "sha256": schemas::digest::Digest::of(b"hello"), "media_type": "text/csv",
        "received_at": at, "effective_at": at, "clamped": false, "quarantined": false,
            "next_upload_after": at,
        "landing": {
            "window": {"start": at, "end": at, "kind": "grid"},
            "closes_at": at, "closes_at_latest": at,
            "late": false,
        },
    })
}

fn upload() -> Upload {
    Upload {
        observed_at: Some("2026-11-21T10:30:00Z".parse().unwrap()),
        media_type: "text/csv".parse().unwrap(),
        ..Upload::new("a b&c.csv".parse().unwrap(), Source::bytes("hello"))
    }
}

#[tokio::test]
async fn an_upload_whose_answer_was_lost_is_repeated_under_the_same_key() {
    let script = Script::new(|n, _| match n {
        0 => cut(201, b"{\"upload\":", 500),
        1 => refused(Code::UploadInProgress),
        _ => json(receipt(true)),
    });
    let server = script.serve().await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let progress = {
        let told = Arc::clone(&told);
        Progress::new(move |bytes| told.lock().unwrap().push(bytes))
    };
    let pool = "north".parse().unwrap();
    let got = server.client().signed_in("t").upload(&pool, &upload(), &progress).await.unwrap();
    assert!(got.repeated);

    let asked = script.asked();
    let keys: BTreeSet<&str> = asked.iter().map(|asked| asked.header("idempotency-key")).collect();
    assert_eq!((asked.len(), keys.len()), (3, 1), "three tries, one key");
    assert_eq!(*told.lock().unwrap(), [5, 5, 5]);
    for asked in &asked {
        assert_eq!(&asked.body[..], b"hello");
        assert_eq!(asked.uri.path(), "/v1/pools/north/uploads");
        let query = asked.uri.query().unwrap();
        let start = "name=a+b%26c.csv&observed_at=2026-11-21T10%3A30%3A00.000Z&sent_at=20";
        assert!(query.starts_with(start), "{query}");
        assert_eq!(asked.header("authorization"), "Bearer t");
        assert_eq!(asked.header("content-length"), "5");
        assert_eq!(asked.header("content-type"), "text/csv");
        let digest = "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:";
        assert_eq!(asked.header("content-digest"), digest);
    }
}

#[tokio::test]
async fn what_has_no_key_is_repeated_only_when_nothing_was_done() {
    let script = Script::new(|n, _| match n {
        0 => problem(&Problem { retry_after_s: Some(0), ..Problem::new(Code::TooBusy) }),
        _ => cut(201, b"{", 500),
    });
    let server = script.serve().await;
    let client = server.client();
    let error = client.join(&"north".parse().unwrap(), "token").await.unwrap_err();
    assert!(matches!(error, Error::Cut(_)) && error.may_be_done(), "{error}");
    assert_eq!(script.asked().len(), 2);
}

#[tokio::test]
async fn a_server_that_asks_for_a_long_wait_is_told_to_the_caller() {
    let script = Script::new(|_, _| {
        problem(&Problem { retry_after_s: Some(3_600), ..Problem::new(Code::Unavailable) })
    });
    let server = script.serve().await;
    let error = server.client().pools(&PageAsk::default()).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::Unavailable));
    assert_eq!(error.retry_after(), Some(Duration::from_hours(1)));
    assert_eq!(script.asked().len(), 1);
}

#[tokio::test]
async fn a_retry_after_of_the_header_alone_is_honoured() {
    let script = Script::new(|n, _| match n {
        0 => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")], "slow down").into_response(),
        1 => (StatusCode::BAD_GATEWAY, "<html>").into_response(),
        _ => json(json!({"items": []})),
    });
    let server = script.serve().await;
    let page = PageAsk { cursor: Some("x/y".into()), limit: Some(3) };
    let got = server.client().pools(&page).await.unwrap();
    assert!(got.items.is_empty() && got.next_cursor.is_none());
    assert_eq!(script.asked()[2].uri.query(), Some("cursor=x%2Fy&limit=3"));
}

#[tokio::test]
async fn tries_end_and_the_last_error_says_why() {
    let busy = Problem { retry_after_s: Some(0), ..Problem::new(Code::TooBusy) };
    let script = Script::new(move |_, _| problem(&busy));
    let server = script.serve().await;
    let error = server.client().pools(&PageAsk::default()).await.unwrap_err();
    assert_eq!((error.code(), script.asked().len()), (Some(Code::TooBusy), 4));

    let closed = Client::new("http://127.0.0.1:1").unwrap().patience(hasty());
    let error = closed.pools(&PageAsk::default()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable(_)) && !error.may_be_done(), "{error:?}");
}

#[tokio::test]
async fn other_languages_and_unknown_outcomes() {
    let script = Script::new(|n, _| match n {
        0 => (StatusCode::NOT_FOUND, "<html>nothing here</html>").into_response(),
        1 => (StatusCode::OK, "<html>welcome</html>").into_response(),
        _ => StatusCode::ACCEPTED.into_response(),
    });
    let server = script.serve().await;
    let client = server.client();
    let foreign = client.pools(&PageAsk::default()).await.unwrap_err();
    assert_eq!(foreign.to_string(), "the answer was 404: <html>nothing here</html>");
    let unreadable = client.pools(&PageAsk::default()).await.unwrap_err();
    assert!(matches!(unreadable, Error::Unreadable(_)), "{unreadable:?}");
    let pool = "north".parse().unwrap();
    let pending = client.close_window(&pool, None).await.unwrap_err();
    assert!(matches!(pending, Error::Pending), "{pending:?}");
    assert_eq!(script.asked().len(), 3);
}

#[tokio::test]
async fn a_join_token_is_not_lost_because_it_is_not_good_yet() {
    let script = Script::new(|_, _| {
        let id = "0199f3a2-5c1e-7d53-b0a4-000000000004";
        let token = json!({"id": id, "token": "secret", "roles": ["listener"], "uses_max": 1});
        (StatusCode::ACCEPTED, token.to_string()).into_response()
    });
    let server = script.serve().await;
    let ask = IssueToken { roles: RoleSet::of(&[Role::Listener]), uses_max: 1, expires_in_s: None };
    let issued = server.client().issue_token(&"north".parse().unwrap(), &ask).await.unwrap();
    assert_eq!(issued.token, "secret");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let silent = Router::new().fallback(std::future::pending::<()>);
    let server = Fake::serve(silent).await;
    let patience = Patience { tries_max: 1, silence_max: Duration::from_millis(30), ..hasty() };
    let error = server.client().patience(patience).pools(&PageAsk::default()).await.unwrap_err();
    assert!(matches!(error, Error::Silent(_)) && error.may_be_done(), "{error:?}");
}

#[tokio::test]
async fn what_was_written_is_what_is_read() {
    let script = Script::new(|_, _| {
        let mut answer = json(json!({"items": []}));
        answer.headers_mut().insert("sluice-position", "north:17".parse().unwrap());
        answer
    });
    let server = script.serve().await;
    let [north, south] = ["north", "south"].map(|name| name.parse().unwrap());
    let client = server.client();
    client.windows(&north, &PageAsk::default()).await.unwrap();
    client.join(&north, "token").await.unwrap();
    client.clone().windows(&north, &PageAsk::default()).await.unwrap();
    client.windows(&south, &PageAsk::default()).await.unwrap();
    let asked = script.asked();
    let sent: Vec<&str> = asked.iter().map(|asked| asked.header("sluice-position")).collect();
    assert_eq!(sent, ["", "", "north:17", ""]);
}

#[tokio::test]
async fn a_user_signs_in_again_when_the_token_has_run_out() {
    let script = Script::new(|n, asked| match asked.uri.path() {
        "/auth/login/ada" => json(json!({
            "user_id": ID, "user_name": "ada", "role": "user",
            "access_token": format!("token-{n}"), "expires_in": 3600,
        })),
        _ if asked.header("authorization") == "Bearer token-0" && n > 1 => {
            refused(Code::InvalidToken)
        }
        _ => json(json!({"items": []})),
    });
    let server = script.serve().await;
    let client = server.client().signing_in("ada".parse().unwrap(), "secret");
    for _ in 0..2 {
        client.pools(&PageAsk::default()).await.unwrap();
    }
    let asked = script.asked();
    let paths: Vec<&str> = asked.iter().map(|asked| asked.uri.path()).collect();
    let (login, pools) = ("/auth/login/ada", "/v1/pools");
    assert_eq!(paths, [login, pools, pools, login, pools]);
    assert_eq!(asked[4].header("authorization"), "Bearer token-3");
    assert!(!format!("{client:?}").contains("secret"));
}

#[tokio::test]
async fn a_wrong_token_is_the_callers_to_mend() {
    let script = Script::new(|_, _| refused(Code::InvalidToken));
    let server = script.serve().await;
    let error = server.client().signed_in("old").pools(&PageAsk::default()).await.unwrap_err();
    assert!(error.is_signed_out() && script.asked().len() == 1);
}

#[tokio::test]
async fn an_update_names_its_files_once() {
    let script = Script::new(|_, _| {
        json(json!({"update": ID, "idempotency_key": "k", "items": [receipt(false)]}))
    });
    let server = script.serve().await;
    let file = |name: &str, content: &'static str| UpdateFile {
        source: Source::bytes(content),
        name: name.parse().unwrap(),
        media_type: "text/plain".parse().unwrap(),
        observed_at: "2026-11-21T10:30:00Z".parse().unwrap(),
    };
    let update = Update {
        files: vec![file("a", "one"), file("b\"", "two")],
        sent_at: Some("2026-11-22T00:00:00Z".parse().unwrap()),
        on_invalid: OnInvalid::Skip,
        key: "k".parse().unwrap(),
    };
    let pool = "north".parse().unwrap();
    server.client().update(&pool, &update, &Progress::none()).await.unwrap();
    let asked = &script.asked()[0];
    assert_eq!(asked.uri.to_string(), "/v1/pools/north/updates?on_invalid=skip");
    assert_eq!(asked.header("idempotency-key"), "k");
    let boundary = asked.header("content-type").split_once("boundary=").unwrap().1;
    let body = std::str::from_utf8(&asked.body).unwrap();
    let parts: Vec<&str> = body.split(&format!("--{boundary}")).collect();
    let manifest = parts[1].split_once("\r\n\r\n").unwrap().1;
    let manifest: schemas::api::UpdateManifest = serde_json::from_str(manifest.trim()).unwrap();
    assert_eq!(manifest.sent_at, update.sent_at);
    assert_eq!(manifest.items[1].name, "b\"");
    assert_eq!(manifest.items[0].sha256, Some(schemas::digest::Digest::of(b"one")));
    assert!(parts[2].ends_with("\r\n\r\none\r\n") && parts[3].ends_with("\r\n\r\ntwo\r\n"));
}

#[tokio::test]
async fn a_file_that_changed_since_is_not_sent_as_what_it_was() {
    let script = Script::new(|_, _| json(receipt(false)));
    let server = script.serve().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    std::fs::write(&path, "hello").unwrap();
    let source = Source::file(&path).await.unwrap();
    let upload = Upload::new("a".parse().unwrap(), source);
    let (client, pool) = (server.client(), "north".parse().unwrap());
    std::fs::write(&path, "other").unwrap();
    let error = client.upload(&pool, &upload, &Progress::none()).await.unwrap_err();
    assert!(matches!(&error, Error::Changed(changed) if *changed == path), "{error:?}");
    std::fs::remove_file(&path).unwrap();
    let error = client.upload(&pool, &upload, &Progress::none()).await.unwrap_err();
    assert!(matches!(&error, Error::Local { .. }), "{error:?}");
    assert!(script.asked().is_empty(), "no request was whole");
}

#[tokio::test]
async fn a_probe_tells_a_servers_clock_even_when_it_is_not_ready() {
    let script = Script::new(|_, asked| {
        let date = [("date", "Sat, 21 Nov 2026 10:30:00 GMT"), ("server", "sluice/9")];
        match asked.uri.path() {
            "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, date, "starting").into_response(),
            _ => (StatusCode::OK, date, "").into_response(),
        }
    });
    let server = script.serve().await;
    let probe = server.client().probe().await.unwrap();
    let server_time = Some("2026-11-21T10:30:00Z".parse().unwrap());
    assert_eq!(probe, client::Probe { ready: false, server_time, server: Some("sluice/9".into()) });
}
