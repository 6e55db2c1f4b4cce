//! Accounts and sessions.

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
