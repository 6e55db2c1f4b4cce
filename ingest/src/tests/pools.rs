//! Making pools, and closing their windows.

use http::header::HeaderValue;
use infra::directory::Fold;

use super::doors::Mood;
use super::*;

async fn create(here: &Instance, by: &User, key: Option<&str>, body: Value) -> Told {
    let mut request = json_request(Method::POST, "/v1/pools", by, &body);
    if let Some(key) = key {
        request.headers_mut().insert("idempotency-key", HeaderValue::from_str(key).unwrap());
    }
    here.send(request).await
}

#[tokio::test]
async fn a_pool_is_there_for_its_owner_when_it_is_answered() {
    let world = World::new().await;
    let here = world.instance().await;
    let ada = here.user("ada").await;
    let ask = json!({ "name": "north-sea", "policy": { "update_every_ms": 60_000 } });
    let told = create(&here, &ada, None, ask.clone()).await;
    assert_eq!(told.status, StatusCode::CREATED, "{told:?}");
    assert_eq!(told.header("location"), "/v1/pools/north-sea");
    assert_eq!(told.header("sluice-position"), "north-sea:0");
    assert_eq!(told.body["roles"], json!(["owner"]));
    assert_eq!((&told.body["members"], &told.body["policy_version"]), (&1.into(), &1.into()));
    assert_eq!(told.body["policy"]["windows"], json!({ "kind": "grid", "period_ms": 60_000 }));
    let pool: PoolName = "north-sea".parse().unwrap();
    for topic in [Topic::events(&pool), Topic::batches(&pool), Topic::deliveries(&pool)] {
        assert!(world.log.find(&topic, Find::End).await.is_ok(), "{topic}");
    }
}

#[tokio::test]
async fn a_name_is_taken_and_a_repeat_gets_the_same_pool() {
    let world = World::new().await;
    let here = world.instance().await;
    let (ada, eve) = (here.user("ada").await, here.user("eve").await);
    let ask = |every: u64| json!({ "name": "north-sea", "policy": { "update_every_ms": every } });
    let first = create(&here, &ada, Some("k"), ask(60_000)).await;
    assert_eq!(first.status, StatusCode::CREATED);
    let same = async |told: Told| {
        assert_eq!(
            (told.status, &told.body["id"]),
            (StatusCode::OK, &first.body["id"]),
            "{told:?}"
        );
    };
    same(create(&here, &ada, Some("k"), ask(60_000)).await).await;
    same(create(&here, &ada, None, ask(60_000)).await).await;
    let other = create(&here, &ada, Some("k"), ask(120_000)).await;
    assert_eq!(other.refused(), (422, "idempotency-key-reused"));
    let taken = (409, "pool-name-taken");
    assert_eq!(create(&here, &ada, None, ask(120_000)).await.refused(), taken);
    assert_eq!(create(&here, &eve, Some("k"), ask(60_000)).await.refused(), taken);
    assert_eq!(create(&here, &eve, None, ask(60_000)).await.refused(), taken);
    assert_eq!(world.said::<Event>(&Topic::events(&"north-sea".parse().unwrap())).await.len(), 1);
}

#[tokio::test]
async fn two_pools_made_under_one_key_are_two() {
    let world = World::new().await;
    let here = world.instance().await;
    let ada = here.user("ada").await;
    let [one, two] = ["one", "two"].map(|name| json!({ "name": name }));
    let one = create(&here, &ada, Some("k"), one).await;
    let two = create(&here, &ada, Some("k"), two).await;
    assert_eq!((one.status, two.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_ne!(one.body["id"], two.body["id"], "or a batch of one would be a batch of both");
}

#[tokio::test]
async fn of_two_at_once_one_gets_the_name() {
    let world = World::new().await;
    let (here, there) = (world.instance().await, world.instance().await);
    let (ada, eve) = (here.user("ada").await, here.user("eve").await);
    let ask = json!({ "name": "north-sea" });
    for round in 0..10 {
        let ask = json!({ "name": format!("pool-{round}") });
        let (a, b) = tokio::join!(
            create(&here, &ada, None, ask.clone()),
            create(&there, &eve, None, ask.clone())
        );
        let mut all = [a.status.as_u16(), b.status.as_u16()];
        all.sort_unstable();
        assert_eq!(all, [201, 409], "{a:?} {b:?}");
    }
    // And the same one twice at once is one pool.
    let (a, b) = tokio::join!(
        create(&here, &ada, None, ask.clone()),
        create(&there, &ada, None, ask.clone())
    );
    assert!(a.status.is_success() && b.status.is_success(), "{a:?} {b:?}");
    assert_eq!(a.body["id"], b.body["id"]);
}

#[tokio::test]
async fn what_cannot_be_is_told_at_once() {
    let world = World::with(Limits { pools_max: 1, ..Limits::default() }, None).await;
    let here = world.instance().await;
    let ada = here.user("ada").await;
    let policy = json!({ "windows": { "kind": "grid", "period_ms": 1 }, "count": 0 });
    let told = create(&here, &ada, None, json!({ "name": "aaa", "policy": policy })).await;
    assert_eq!(told.refused(), (422, "invalid-field"));
    let pointers = [&told.body["errors"][0]["pointer"], &told.body["errors"][1]["pointer"]];
    assert_eq!(pointers, ["/policy/windows/period_ms", "/policy/count"]);
    for (body, code) in [
        (json!({ "name": "A" }), (400, "invalid-json")),
        (json!({ "name": "aaa", "id": 1 }), (400, "invalid-json")),
    ] {
        assert_eq!(create(&here, &ada, None, body).await.refused(), code);
    }
    let nobody = User { token: "x".into(), ..ada.clone() };
    let anyone = create(&here, &nobody, None, json!({ "name": "aaa" })).await;
    assert_eq!(anyone.refused(), (401, "invalid-token"));
    assert_eq!(create(&here, &ada, None, json!({ "name": "aaa" })).await.status.as_u16(), 201);
    let full = create(&here, &ada, None, json!({ "name": "bbb" })).await;
    assert_eq!(full.refused(), (409, "pools-full"));
    assert_eq!(create(&here, &ada, None, json!({ "name": "aaa" })).await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_pool_that_is_not_answered_in_time_is_pending_and_a_repeat_finds_it() {
    let world = World::new().await;
    let here = world.instance().await;
    let ada = here.user("ada").await;
    let ask = json!({ "name": "north-sea" });
    world.mute(true);
    let told = here.hurried(create(&here, &ada, None, ask.clone())).await;
    assert_eq!(
        (told.status, told.header("location")),
        (StatusCode::ACCEPTED, "/v1/pools/north-sea")
    );
    world.mute(false);
    let again = create(&here, &ada, None, ask).await;
    assert_eq!((again.status, &again.body["name"]), (StatusCode::OK, &"north-sea".into()));
}

#[tokio::test]
async fn a_pool_whose_outcome_is_unknown_is_made_by_a_repeat() {
    for mood in [Mood::Forgets, Mood::Loses] {
        let world = World::new().await;
        let here = world.instance().await;
        let ada = here.user("ada").await;
        let ask = json!({ "name": "north-sea" });
        for topic in ["directory", ".events"] {
            here.append.mood(mood, topic);
            let told = create(&here, &ada, None, ask.clone()).await;
            assert_eq!(told.refused(), (503, "outcome-unknown"), "{mood:?} {topic}");
        }
        if mood == Mood::Forgets {
            let pool: PoolName = "north-sea".parse().unwrap();
            let shown = |fold: &Fold| fold.membership(&pool, ada.account).is_some();
            here.directory.wait_for(shown, Duration::from_secs(30)).await.unwrap();
        }
        here.append.mood(Mood::Refuses, ".events");
        let told = create(&here, &ada, None, ask.clone()).await;
        let found = if mood == Mood::Forgets { 200 } else { 503 };
        assert_eq!(told.status.as_u16(), found, "{told:?}");
        here.append.mood(Mood::Well, "");
        let told = create(&here, &ada, None, ask).await;
        assert!(told.status.is_success(), "{mood:?} {told:?}");
        assert_eq!(told.body["roles"], json!(["owner"]));
    }
}

#[tokio::test]
async fn a_policy_is_replaced_as_the_version_that_was_read() {
    let world = World::new().await;
    let here = world.instance().await;
    let (pool, owner) = here.pool("north-sea", json!({ "update_every_ms": 60_000 })).await;
    let sender = here.member(&pool, &owner, "buoy", "contributor").await;
    let put = async |by: &User, tag: Option<&'static str>, body: Value| {
        let path = format!("/v1/pools/{pool}/policy");
        let mut request = json_request(Method::PUT, &path, by, &body);
        if let Some(tag) = tag {
            request.headers_mut().insert("if-match", HeaderValue::from_static(tag));
        }
        here.send(request).await
    };
    let count = json!({ "count": 5 });
    assert_eq!(put(&sender, Some("*"), count.clone()).await.refused(), (403, "forbidden"));
    assert_eq!(put(&owner, None, count.clone()).await.refused(), (428, "if-match-required"));
    let wrong = put(&owner, Some("*"), json!({ "count": 0 })).await;
    assert_eq!(wrong.refused(), (422, "invalid-field"));
    assert_eq!(wrong.body["errors"][0]["pointer"], "/count");
    let changed = put(&owner, Some("\"1\""), count.clone()).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    assert_eq!((changed.header("etag"), &changed.body["version"]), ("\"2\"", &2.into()));
    assert_eq!(changed.body["policy"]["close"]["count"], 5);
    let stale = put(&owner, Some("\"1\""), json!({ "count": 6 })).await;
    assert_eq!(stale.refused(), (412, "policy-stale"));
    assert_eq!(put(&owner, Some("*"), json!({ "count": 6 })).await.header("etag"), "\"3\"");
}

#[tokio::test]
async fn windows_close_when_asked() {
    let world = World::new().await;
    let here = world.instance().await;
    let (pool, owner) = here.pool("north-sea", json!({})).await;
    let sender = here.member(&pool, &owner, "buoy", "contributor").await;
    let path = format!("/v1/pools/{pool}/windows/close");
    let empty = here.post(&path, &owner, json!({})).await;
    assert_eq!(empty.refused(), (409, "no-open-window"));
    uploads::send(&here, &pool, &sender, "a.txt", "hello").await;
    assert_eq!(here.post(&path, &sender, json!({})).await.refused(), (403, "forbidden"));
    let at = json!({ "at": "2026-11-21T10:30:00Z" });
    let told = here.post(&path, &owner, at).await;
    assert_eq!(told.status, StatusCode::NO_CONTENT, "{told:?}");
    assert!(told.header("sluice-position").starts_with("north-sea:"));
    world.mute(true);
    let told = here.hurried(here.post(&path, &owner, json!({}))).await;
    assert_eq!(told.status, StatusCode::ACCEPTED);
    assert_eq!(told.header("location"), "/v1/pools/north-sea/windows");
}
