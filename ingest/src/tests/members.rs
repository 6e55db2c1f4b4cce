//! Who belongs, and the tokens by which others join.

use super::*;

async fn put(here: &Instance, pool: &PoolName, by: &User, who: AccountId, roles: Value) -> Told {
    let path = format!("/v1/pools/{pool}/members/{who}");
    here.json(Method::PUT, &path, by, json!({ "roles": roles })).await
}

async fn issue(here: &Instance, pool: &PoolName, by: &User, body: Value) -> Told {
    here.post(&format!("/v1/pools/{pool}/join-tokens"), by, body).await
}

async fn join(here: &Instance, pool: &str, by: &User, token: &str) -> Told {
    here.post(&format!("/v1/pools/{pool}/join"), by, json!({ "token": token })).await
}

#[tokio::test]
async fn members_are_added_changed_and_removed_on_every_instance() {
    let world = World::new().await;
    let (here, there) = (world.instance().await, world.instance().await);
    let (pool, owner) = here.pool("north-sea", json!({})).await;
    let buoy = here.user("buoy").await;
    let roles = |account| there.directory.membership(&pool, account);

    let added = put(&here, &pool, &owner, buoy.account, json!(["contributor"])).await;
    assert_eq!(added.status, StatusCode::CREATED);
    let expected =
        json!({ "account": buoy.account, "user_name": "buoy", "roles": ["contributor"] });
    assert_eq!(added.body, expected);
    assert!(added.header("sluice-position").starts_with("north-sea:"));
    assert!(here.directory.membership(&pool, buoy.account).is_some(), "shown here");
    there.directory.catch_up().await.unwrap();
    assert!(roles(buoy.account).is_some(), "and there");

    let changed = put(&here, &pool, &owner, buoy.account, json!(["analyst"])).await;
    assert_eq!((changed.status, &changed.body["roles"]), (StatusCode::OK, &json!(["analyst"])));
    assert_eq!(put(&here, &pool, &buoy, buoy.account, json!(["owner"])).await.refused().0, 403);
    let none = put(&here, &pool, &owner, buoy.account, json!([])).await;
    assert_eq!(none.refused(), (422, "invalid-field"));
    assert_eq!(none.body["errors"][0]["pointer"], "/roles");
    let ghost = put(&here, &pool, &owner, AccountId::from_bits(5), json!(["analyst"])).await;
    assert_eq!(ghost.refused(), (404, "not-found"));

    let remove = async |who: AccountId| {
        let path = format!("/v1/pools/{pool}/members/{who}");
        here.json(Method::DELETE, &path, &owner, Value::Null).await
    };
    assert_eq!(remove(buoy.account).await.status, StatusCode::NO_CONTENT);
    assert_eq!(here.directory.membership(&pool, buoy.account), None);
    assert_eq!(remove(buoy.account).await.refused(), (404, "not-found"));
    assert_eq!(remove(owner.account).await.refused(), (409, "last-owner"));
    let stranger = here.json(Method::DELETE, "/v1/pools/north-sea/members/x", &buoy, Value::Null);
    assert_eq!(stranger.await.status.as_u16(), 400);
    let gone = put(&here, &pool, &buoy, buoy.account, json!(["owner"])).await;
    assert_eq!(gone.refused(), (404, "not-found"), "a stranger by now");
}

#[tokio::test]
async fn a_member_that_is_not_answered_in_time_is_pending() {
    let world = World::new().await;
    let here = world.instance().await;
    let (pool, owner) = here.pool("north-sea", json!({})).await;
    let buoy = here.user("buoy").await;
    world.mute(true);
    let ask = put(&here, &pool, &owner, buoy.account, json!(["analyst"]));
    let told = here.hurried(ask).await;
    assert_eq!(told.status, StatusCode::ACCEPTED);
    assert_eq!(told.header("location"), "/v1/pools/north-sea/members");
    assert!(told.header("sluice-position").starts_with("north-sea:"));
}

#[tokio::test]
async fn a_token_lets_as_many_in_as_it_says() {
    let world = World::new().await;
    let (here, there) = (world.instance().await, world.instance().await);
    let (pool, owner) = here.pool("north-sea", json!({})).await;
    let ask = json!({ "roles": ["contributor", "listener"], "uses_max": 2 });
    let told = issue(&here, &pool, &owner, ask).await;
    assert_eq!(told.status, StatusCode::CREATED, "{told:?}");
    assert_eq!((&told.body["uses_max"], &told.body["expires_at"]), (&2.into(), &Value::Null));
    let token = told.body["token"].as_str().unwrap().to_owned();
    assert_eq!(token.len(), 43, "32 bytes");
    let log = std::fs::read(world.folder.join("log.sqlite")).unwrap();
    let wal = std::fs::read(world.folder.join("log.sqlite-wal")).unwrap_or_default();
    let stands = |bytes: &[u8]| bytes.windows(token.len()).any(|it| it == token.as_bytes());
    assert!(!stands(&log) && !stands(&wal), "the secret is written down nowhere");

    let users = [here.user("a").await, here.user("b").await, here.user("c").await];
    let first = join(&there, "north-sea", &users[0], &token).await;
    assert_eq!((first.status, &first.body["user_name"]), (StatusCode::CREATED, &"a".into()));
    assert_eq!(first.body["roles"], json!(["contributor", "listener"]));
    let again = join(&here, "north-sea", &users[0], &token).await;
    assert_eq!(again.status, StatusCode::OK, "a repeat uses nothing up");
    assert_eq!(join(&here, "north-sea", &users[1], &token).await.status, StatusCode::CREATED);
    let third = join(&here, "north-sea", &users[2], &token).await;
    assert_eq!(third.refused(), (410, "token-used-up"));
}

#[tokio::test]
async fn a_token_runs_out() {
    let world = World::new().await;
    let here = world.instance().await;
    let (pool, owner) = here.pool("north-sea", json!({})).await;
    let told =
        issue(&here, &pool, &owner, json!({ "roles": ["listener"], "expires_in_s": 60 })).await;
    assert_eq!(told.body["expires_at"], "2026-11-21T10:31:00.000Z");
    let token = told.body["token"].as_str().unwrap();
    let late = here.user("late").await;
    world.clock.advance(60_000);
    let told = join(&here, "north-sea", &late, token).await;
    assert_eq!(told.refused(), (410, "token-expired"));
}

#[tokio::test]
async fn what_nobody_issued_lets_nobody_in_and_is_not_said() {
    let world = World::new().await;
    let here = world.instance().await;
    let (pool, owner) = here.pool("north-sea", json!({})).await;
    here.pool("south-sea", json!({})).await;
    let told = issue(&here, &pool, &owner, json!({ "roles": ["listener"] })).await;
    let token = told.body["token"].as_str().unwrap();
    let eve = here.user("eve").await;
    for (place, token) in [
        ("north-sea", "guess"),
        ("south-sea", token),
        ("no-such-pool", token),
        ("north-sea", &format!("{token}x")),
    ] {
        assert_eq!(join(&here, place, &eve, token).await.refused(), (404, "not-found"), "{place}");
    }
    let events = world.events(&pool).await;
    assert!(matches!(events[..], [Event::JoinTokenIssueRequested(_)]), "{events:?}");
}

#[tokio::test]
async fn no_token_makes_admins_or_is_good_for_nothing() {
    let world = World::new().await;
    let here = world.instance().await;
    let (pool, owner) = here.pool("north-sea", json!({})).await;
    for (ask, pointer) in [
        (json!({ "roles": [] }), "/roles"),
        (json!({ "roles": ["owner"] }), "/roles"),
        (json!({ "roles": ["listener", "admin"] }), "/roles"),
        (json!({ "roles": ["listener"], "uses_max": 0 }), "/uses_max"),
        (json!({ "roles": ["listener"], "expires_in_s": 0 }), "/expires_in_s"),
        (json!({ "roles": ["listener"], "expires_in_s": u64::MAX }), "/expires_in_s"),
    ] {
        let told = issue(&here, &pool, &owner, ask).await;
        assert_eq!(told.refused(), (422, "invalid-field"));
        assert_eq!(told.body["errors"][0]["pointer"], pointer);
    }
    let listener = here.member(&pool, &owner, "ear", "listener").await;
    let told = issue(&here, &pool, &listener, json!({ "roles": ["listener"] })).await;
    assert_eq!(told.refused(), (403, "forbidden"));
}
