//! Who is let in.

use axum::extract::State as TheState;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use schemas::event::{MembershipCopied, PolicyCopied};
use schemas::id::{AccountId, PoolId};
use schemas::limit::Limits;
use schemas::name::PoolName;
use schemas::policy::PolicyAsk;
use schemas::role::{Role, RoleSet};
use schemas::route::{self, Route};
use schemas::time::EffectiveAt;

use super::*;
use crate::fakes::Mood;
use crate::http::{Allowed, Json, Path, Refused};
use crate::identity::Caller;

async fn who(caller: Caller) -> Json<AccountId> {
    Json(caller.account)
}

fn told_of(allowed: &Allowed) -> Json<String> {
    let roles: Vec<String> = allowed.roles.iter().map(|role| role.to_string()).collect();
    Json(format!("{}{}", roles.join("+"), if allowed.own_only { " own" } else { "" }))
}

async fn may(
    state: State,
    caller: Caller,
    route: Route,
    pool: PoolName,
) -> Result<Json<String>, Refused> {
    let allowed = state.access.allow(&caller, &route, &pool).await?;
    assert!(allowed.covers(caller.account), "what is one's own always is");
    assert_eq!(allowed.covers(AccountId::from_bits(1)), !allowed.own_only);
    Ok(told_of(&allowed))
}

fn pools() -> Routes<State> {
    async fn windows(
        TheState(state): TheState<State>,
        caller: Caller,
        Path(pool): Path<PoolName>,
    ) -> Result<Json<String>, Refused> {
        may(state, caller, route::READ_WINDOWS, pool).await
    }
    async fn members(
        TheState(state): TheState<State>,
        caller: Caller,
        Path(pool): Path<PoolName>,
    ) -> Result<Json<String>, Refused> {
        may(state, caller, route::LIST_MEMBERS, pool).await
    }
    async fn history(
        TheState(state): TheState<State>,
        caller: Caller,
        Path((pool, _)): Path<(PoolName, AccountId)>,
    ) -> Result<Json<String>, Refused> {
        may(state, caller, route::READ_HISTORY, pool).await
    }
    Routes::new()
        .mount(route::READ_WINDOWS, windows)
        .mount(route::LIST_MEMBERS, members)
        .mount(route::READ_HISTORY, history)
        .mount(route::LIST_POOLS, who)
}

pub(super) async fn make_pool(instance: &Instance, name: &str) {
    let policy = PolicyAsk::default().resolve(&Limits::default()).unwrap();
    let (pool, id) = (name.parse().unwrap(), PoolId::from_bits(1));
    instance
        .installation
        .say(PolicyCopied {
            pool,
            id,
            version: 1,
            policy: Box::new(policy),
            effective_from: EffectiveAt::default(),
            before: None,
            as_of: 0,
        })
        .await;
}

async fn make_member(
    instance: &Instance,
    name: &str,
    account: AccountId,
    roles: &[Role],
    as_of: u64,
) {
    let (pool, roles) = (name.parse().unwrap(), RoleSet::of(roles));
    instance
        .installation
        .say(MembershipCopied { pool, account, roles, suspended: false, as_of })
        .await;
}

#[tokio::test]
async fn every_bad_token_gets_the_same_answer() {
    let instance = Instance::new().await;
    let router = instance.router(pools());
    let (account, bearer) = instance.account("ann").await;
    let (status, body) = told(ask(&router, by(&bearer, get("/v1/pools"))).await).await;
    assert_eq!((status.as_u16(), body), (200, account.to_string().into()));

    let (_, dead) = instance.account("bob").await;
    let caller = instance.access.identity().caller(&dead).unwrap();
    instance.access.identity().sign_out(&caller).await.unwrap();
    let altered = format!("{}B", &bearer[..bearer.len() - 1]);
    let expired_or_worse = [
        format!("Bearer {dead}"),
        format!("Bearer {altered}"),
        format!("Bearer {bearer} {bearer}"),
        format!("Basic {bearer}"),
        format!("Bearer{bearer}"),
        "Bearer ".into(),
        "Bearer".into(),
        String::new(),
        format!("Bearer {}", "x".repeat(20_000)),
    ];
    let mut answers = Vec::new();
    for value in expired_or_worse {
        let mut request = get("/v1/pools");
        request.headers_mut().insert("x-request-id", "the-same-for-all".parse().unwrap());
        request.headers_mut().insert(AUTHORIZATION, value.parse().unwrap());
        let response = ask(&router, request).await;
        let headers = format!("{:?}", response.headers());
        answers.push((headers, told(response).await));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0].1.1["code"], "invalid-token");

    let twice = by(&bearer, get("/v1/pools"));
    let (mut parts, body) = twice.into_parts();
    parts.headers.append(AUTHORIZATION, format!("Bearer {bearer}").parse().unwrap());
    let twice = ask(&router, Request::from_parts(parts, body)).await;
    assert_eq!(refused(twice).await, (401, "invalid-token".into()));

    let response = ask(&router, get("/v1/pools")).await;
    assert_eq!(response.headers()[WWW_AUTHENTICATE], r#"Bearer realm="sluice""#);
    assert_eq!(refused(response).await, (401, "not-signed-in".into()));
    let lower = Request::get("/v1/pools").header(AUTHORIZATION, format!("bearer  {bearer}"));
    let lower = ask(&router, lower.body(Body::empty()).unwrap()).await;
    assert_eq!(lower.status(), 200, "schemes are told apart by letters only");
}

#[tokio::test]
async fn a_pool_one_is_not_in_looks_like_one_that_is_not_there() {
    let instance = Instance::new().await;
    let router = instance.router(pools());
    let (ann, bearer) = instance.account("ann").await;
    make_pool(&instance, "north").await;
    make_pool(&instance, "south").await;
    make_member(&instance, "south", ann, &[Role::Listener], 1).await;
    // A membership in a pool that does not exist yet is none.
    make_member(&instance, "west", ann, &[Role::Owner], 1).await;

    let mut answers = Vec::new();
    for pool in ["north", "nowhere", "west"] {
        let mut request = by(&bearer, get(&format!("/v1/pools/{pool}/windows")));
        request.headers_mut().insert("x-request-id", "the-same-for-all".parse().unwrap());
        let response = ask(&router, request).await;
        let headers = format!("{:?}", response.headers());
        answers.push((headers, told(response).await));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0].1.1["code"], "not-found");

    let windows = ask(&router, by(&bearer, get("/v1/pools/south/windows"))).await;
    assert_eq!(told(windows).await.1, "listener");
    let members = ask(&router, by(&bearer, get("/v1/pools/south/members"))).await;
    assert_eq!(refused(members).await, (403, "forbidden".into()));
    let own =
        ask(&router, by(&bearer, get(&format!("/v1/pools/south/clients/{ann}/history")))).await;
    assert_eq!(told(own).await.1, "listener own");
}

#[tokio::test]
async fn what_was_just_given_or_taken_counts_at_once() {
    let instance = Instance::new().await;
    let router = instance.router(pools());
    let (ann, bearer) = instance.account("ann").await;
    make_pool(&instance, "north").await;
    for as_of in 1..20 {
        // Nobody waits for the directory here: the request itself does, before it is denied.
        let given = as_of % 2 == 1;
        let roles: &[Role] = if given { &[Role::Analyst] } else { &[] };
        make_member(&instance, "north", ann, roles, as_of).await;
        if !given {
            instance.directory().catch_up().await.unwrap();
        }
        let response = ask(&router, by(&bearer, get("/v1/pools/north/members"))).await;
        assert_eq!(response.status().as_u16(), if given { 200 } else { 404 }, "{as_of}");
    }
}

#[tokio::test]
async fn platform_admins_see_pools_they_are_not_in_but_not_pools_that_are_not() {
    let instance = Instance::new().await;
    let router = instance.router(pools());
    make_pool(&instance, "north").await;
    let local = instance.installation.identity_on(instance.directory().clone()).await;
    local.first_start(Some("correct horse".into())).await.unwrap();
    let proof =
        Proof::Password { name: "admin".parse().unwrap(), password: "correct horse".into() };
    let token = local.sign_in(proof).await.unwrap();
    let bearer = token.access_token.expose();
    let members = ask(&router, by(bearer, get("/v1/pools/north/members"))).await;
    assert_eq!(told(members).await, (StatusCode::OK, "".into()));
    let nowhere = ask(&router, by(bearer, get("/v1/pools/nowhere/members"))).await;
    assert_eq!(refused(nowhere).await, (404, "not-found".into()));
}

#[tokio::test]
async fn a_stale_directory_lets_nobody_in_and_denies_nobody() {
    let instance = Instance::new().await;
    let router = instance.router(pools());
    let (ann, bearer) = instance.account("ann").await;
    make_pool(&instance, "north").await;
    make_member(&instance, "north", ann, &[Role::Owner], 1).await;
    instance.directory().catch_up().await.unwrap();
    let request = |path| by(&bearer, get(path));

    instance.installation.clock.advance(60_000);
    let jumped = ask(&router, request("/v1/pools/north/members")).await;
    assert_eq!(jumped.status(), 200, "a view that is only old is made new");

    instance.installation.log.finding(Mood::Refuses);
    let allowed = ask(&router, request("/v1/pools/north/members")).await;
    assert_eq!(allowed.status(), 200, "known to be allowed a moment ago");
    let denied = ask(&router, request("/v1/pools/nowhere/members")).await;
    assert_eq!(denied.headers()["retry-after"], "1");
    assert_eq!(refused(denied).await, (503, "unavailable".into()));

    instance.installation.clock.advance(60_000);
    for path in ["/v1/pools", "/v1/pools/north/members"] {
        let stale = ask(&router, request(path)).await;
        assert_eq!(refused(stale).await, (503, "unavailable".into()));
    }
    let body = told(ask(&router, request("/v1/pools")).await).await.1;
    assert!(body.get("detail").is_none(), "why is for the log: {body}");
}
