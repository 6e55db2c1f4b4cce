//! Accounts and sessions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE};

use super::*;

const PASSWORD: &str = "correct horse";

fn nobody() -> User {
    User { account: AccountId::from_bits(0), token: String::new() }
}

#[tokio::test]
async fn an_account_signs_up_in_and_out() {
    let world = World::new().await;
    let here = world.instance().await;
    let ask = json!({ "user_name": "ada", "password": PASSWORD });
    let told = here.post("/auth/signup", &nobody(), ask.clone()).await;
    assert_eq!(told.status, StatusCode::CREATED);
    assert_eq!((&told.body["user_name"], &told.body["role"]), (&"ada".into(), &"user".into()));
    assert_eq!(told.body["expires_in"], 3_600);
    assert_eq!(told.header("cache-control"), "no-store");
    let token = told.body["access_token"].as_str().unwrap().to_owned();
    let ada = User { account: told.body["user_id"].as_str().unwrap().parse().unwrap(), token };

    let again = here.post("/auth/signup", &nobody(), ask).await;
    assert_eq!(again.refused(), (409, "name-taken"));
    let weak = json!({ "user_name": "bob", "password": "short" });
    assert_eq!(here.post("/auth/signup", &nobody(), weak).await.refused(), (422, "weak-password"));
    let admin = json!({ "user_name": "bob", "password": PASSWORD, "role": "admin" });
    assert_eq!(here.post("/auth/signup", &nobody(), admin).await.refused(), (400, "invalid-json"));

    let login = |name: &'static str, password: &'static str| {
        let path = format!("/auth/login/{name}");
        let body = json!({ "password": password });
        let here = &here;
        async move { here.json(Method::PUT, &path, &nobody(), body).await }
    };
    let second = login("ada", PASSWORD).await;
    assert_eq!((second.status, &second.body["user_id"]), (StatusCode::OK, &told.body["user_id"]));
    for (name, password) in [("ada", "wrong horse"), ("eve", PASSWORD)] {
        assert_eq!(login(name, password).await.refused(), (401, "invalid-credentials"));
    }

    let validate = async |by: &User, user: AccountId| {
        let path = format!("/auth/validate?user_id={user}");
        here.json(Method::GET, &path, by, Value::Null).await
    };
    let good = validate(&ada, ada.account).await;
    assert_eq!(good.body, json!({ "user_id": ada.account, "role": "user" }));
    assert_eq!(validate(&ada, AccountId::from_bits(5)).await.refused(), (403, "wrong-user"));
    assert_eq!(validate(&nobody(), ada.account).await.refused(), (401, "invalid-token"));

    let logout = async |path: &str| here.json(Method::PUT, path, &ada, Value::Null).await;
    assert_eq!(logout("/auth/logout/eve").await.refused(), (403, "wrong-user"));
    assert_eq!(logout("/auth/logout/ada").await.status, StatusCode::NO_CONTENT);
    assert_eq!(validate(&ada, ada.account).await.refused(), (401, "invalid-token"));
    assert_eq!(logout("/auth/logout/ada").await.refused(), (401, "invalid-token"));
}

#[tokio::test]
async fn the_platform_admin_is_told_to_be_one() {
    let world = World::new().await;
    let here = world.instance().await;
    here.identity.first_start(Some(PASSWORD.into())).await.unwrap();
    let body = json!({ "password": PASSWORD });
    let told = here.json(Method::PUT, "/auth/login/admin", &nobody(), body).await;
    assert_eq!(told.body["role"], "admin");
}

#[tokio::test]
async fn a_token_is_given_as_oauth_says() {
    let world = World::new().await;
    let here = world.instance().await;
    let ada = here.user("ada").await;
    let ask = async |form: &str, authorization: Option<&str>| {
        let kind = "application/x-www-form-urlencoded";
        let mut request = Request::post("/auth/token").header(CONTENT_TYPE, kind);
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        here.send(request.body(form.to_owned().into()).unwrap()).await
    };
    let good = "grant_type=password&username=ada&password=correct+horse";
    let told = ask(good, None).await;
    assert_eq!((told.status, told.header("cache-control")), (StatusCode::OK, "no-store"));
    assert_eq!(
        (&told.body["token_type"], &told.body["expires_in"]),
        (&"Bearer".into(), &3_600.into())
    );
    let token = told.body["access_token"].as_str().unwrap().to_owned();
    let path = format!("/auth/validate?user_id={}", ada.account);
    let by = User { token, ..ada };
    assert_eq!(here.json(Method::GET, &path, &by, Value::Null).await.status, StatusCode::OK);

    let wrong = ask("grant_type=password&username=ada&password=wrong", None).await;
    assert_eq!((wrong.status.as_u16(), wrong.body), (400, json!({ "error": "invalid_grant" })));
    assert_eq!(wrong.headers["cache-control"], "no-store");
    let other = ask("grant_type=implicit", None).await;
    assert_eq!(other.body, json!({ "error": "unsupported_grant_type" }));
    let client = ask(good, Some("Basic YTpi")).await;
    assert_eq!(
        (client.status.as_u16(), &client.body),
        (401, &json!({ "error": "invalid_client" }))
    );
    assert!(client.header("www-authenticate").starts_with("Basic"));
    let large = ask(&"x".repeat(20_000), None).await;
    assert_eq!(large.refused(), (413, "body-too-large"));
}

#[tokio::test]
async fn the_keys_of_tokens_are_published() {
    let world = World::new().await;
    let here = world.instance().await;
    let request = Request::get("/.well-known/jwks.json").body(Body::empty()).unwrap();
    let told = here.send(request).await;
    assert_eq!(told.header("content-type"), "application/jwk-set+json");
    assert_eq!(told.body["keys"][0]["kty"], "OKP");
    assert!(told.body["keys"][0].get("d").is_none(), "the private part stays here");
}

async fn form(here: &Instance, form: String, basic: Option<String>) -> Told {
    let kind = "application/x-www-form-urlencoded";
    let mut request = Request::post("/auth/token").header(CONTENT_TYPE, kind);
    if let Some(pair) = basic {
        request = request.header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)));
    }
    here.send(request.body(form.into()).unwrap()).await
}

#[tokio::test]
async fn a_session_goes_on_by_refresh_tokens_until_one_is_shown_twice() {
    let world = World::new().await;
    let here = world.instance().await;
    here.user("ada").await;
    let good = "grant_type=password&username=ada&password=correct+horse".to_owned();
    let first = form(&here, good, None).await;
    let next = async |told: &Told| {
        let token = told.body["refresh_token"].as_str().unwrap();
        form(&here, format!("grant_type=refresh_token&refresh_token={token}"), None).await
    };
    let second = next(&first).await;
    assert_eq!(second.status, StatusCode::OK, "{second:?}");
    assert_ne!(second.body["refresh_token"], first.body["refresh_token"]);
    let clients = async |told: &Told| {
        let token = told.body["access_token"].as_str().unwrap().to_owned();
        let by = User { token, ..nobody() };
        here.post("/v1/clients", &by, json!({ "name": "ada" })).await.refused().0
    };
    assert_eq!((clients(&first).await, clients(&second).await), (409, 409), "let in");
    let stolen = next(&first).await;
    let invalid = json!({ "error": "invalid_grant" });
    assert_eq!((stolen.status.as_u16(), &stolen.body), (400, &invalid));
    assert_eq!((clients(&first).await, clients(&second).await), (401, 401), "for neither");
    assert_eq!(next(&second).await.body, invalid);
    let kept = std::fs::read(world.folder.join("kept.sqlite")).unwrap();
    let wal = std::fs::read(world.folder.join("kept.sqlite-wal")).unwrap_or_default();
    let secret = second.body["refresh_token"].as_str().unwrap().split('.').next_back().unwrap();
    let stands = |bytes: &[u8]| bytes.windows(secret.len()).any(|it| it == secret.as_bytes());
    assert!(!stands(&kept) && !stands(&wal), "only its digest is kept");
}

#[tokio::test]
async fn a_refresh_token_runs_out() {
    let world = World::new().await;
    let here = world.instance().await;
    here.user("ada").await;
    let good = "grant_type=password&username=ada&password=correct+horse".to_owned();
    let first = form(&here, good, None).await;
    let token = first.body["refresh_token"].as_str().unwrap();
    world.clock.advance(30 * 86_400_000);
    let late = form(&here, format!("grant_type=refresh_token&refresh_token={token}"), None).await;
    assert_eq!(late.body, json!({ "error": "invalid_grant" }));
}

#[tokio::test]
async fn a_service_signs_in_with_its_secret_until_it_is_revoked() {
    let world = World::new().await;
    let here = world.instance().await;
    let ada = here.user("ada").await;
    let made = here.post("/v1/clients", &ada, json!({ "name": "mean-of-buoys" })).await;
    assert_eq!((made.status, made.header("cache-control")), (StatusCode::CREATED, "no-store"));
    let text = |told: &Told, field: &str| told.body[field].as_str().unwrap().to_owned();
    let (id, secret) = (text(&made, "client_id"), text(&made, "client_secret"));
    let grant = || "grant_type=client_credentials".to_owned();
    let by_basic = form(&here, grant(), Some(format!("{id}:{secret}"))).await;
    assert_eq!(by_basic.status, StatusCode::OK, "{by_basic:?}");
    assert!(by_basic.body.get("refresh_token").is_none(), "RFC 6749, section 4.4.3");
    let whole = format!("{}&client_id={id}&client_secret={secret}", grant());
    assert_eq!(form(&here, whole.clone(), None).await.status, StatusCode::OK);
    let both = form(&here, whole.clone(), Some(format!("{id}:{secret}"))).await;
    assert_eq!(both.body, json!({ "error": "invalid_request" }));
    let service = User {
        account: id.parse().unwrap(),
        token: by_basic.body["access_token"].as_str().unwrap().to_owned(),
    };
    let more = here.post("/v1/clients", &service, json!({ "name": "another" })).await;
    assert_eq!(more.refused(), (403, "forbidden"), "a service makes no services");

    let renewed = here.post(&format!("/v1/clients/{id}/secret"), &ada, Value::Null).await;
    assert_eq!(form(&here, whole, None).await.body, json!({ "error": "invalid_client" }));
    let secret = text(&renewed, "client_secret");
    let good = || format!("{}&client_id={id}&client_secret={secret}", grant());
    assert_eq!(form(&here, good(), None).await.status, StatusCode::OK);
    let path = format!("/v1/clients/{id}");
    let revoked = here.json(Method::DELETE, &path, &ada, Value::Null).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    assert_eq!(form(&here, good(), None).await.refused(), (403, "account-disabled"));
    let dead = here.post("/v1/clients", &service, json!({ "name": "another" })).await;
    assert_eq!(dead.refused(), (401, "invalid-token"));
}

#[tokio::test]
async fn who_may_sign_up_is_said_by_the_operator() {
    let mut world = World::new().await;
    let here = world.instance().await;
    let (pool, owner) = here.pool("north-sea", json!({})).await;
    let ask = json!({ "roles": ["contributor"], "uses_max": 9 });
    let issued = here.post(&format!("/v1/pools/{pool}/join-tokens"), &owner, ask).await;
    let token = issued.body["token"].as_str().unwrap().to_owned();
    let sign_up = async |here: &Instance, name: &str| {
        let body = json!({ "user_name": name, "password": PASSWORD });
        here.post("/auth/signup", &nobody(), body).await.status.as_u16()
    };
    let device = async |here: &Instance, name: &str| {
        let body = json!({ "token": token, "user_name": name, "password": PASSWORD });
        here.post("/v1/pools/north-sea/devices", &nobody(), body).await.status.as_u16()
    };
    assert_eq!((sign_up(&here, "a").await, device(&here, "b").await), (201, 201));
    assert_eq!(device(&here, "b").await, 201, "a repeat finds what was made");
    world.sign_ups = crate::SignUps::Invite;
    let here = world.instance().await;
    assert_eq!((sign_up(&here, "c").await, device(&here, "d").await), (403, 201));
    world.sign_ups = crate::SignUps::Closed;
    let here = world.instance().await;
    assert_eq!((sign_up(&here, "e").await, device(&here, "f").await), (403, 403));
    here.user("a").await;
}
