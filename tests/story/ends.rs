//! A pool's people come and go, it rests, and it ends: all by the command line.

use schemas::api::{
    ClientSecret, MemberView, PoolView, TokenView, UploadState, UploadView, WindowState, WindowView,
};
use schemas::event::PoolState;

use serde_json::Value;

use super::person::Person;
use super::stage::{Stage, eventually};

const POOL: &str = "attic";
/// What a command ends with when the server refuses what is asked.
const REFUSED: i32 = 1;
/// What it ends with when the server refuses who asks.
const FORBIDDEN: i32 = 4;

async fn push(person: &Person, name: &str, code: i32) -> Vec<Value> {
    std::fs::write(person.folder.join(name), name).unwrap();
    person.ends_with(code, ["push", name, "--at", "2026-11-21T10:30:10Z"]).await
}

/// Where the files of a person are, by their names.
async fn places(person: &Person) -> Vec<(String, UploadState)> {
    let history: Vec<UploadView> = person.reads(["history"]).await;
    let mut places: Vec<_> = history.iter().map(|it| (it.name.to_string(), it.state)).collect();
    places.sort_by(|one, other| one.0.cmp(&other.0));
    places
}

fn are(places: &[(&str, UploadState)]) -> Vec<(String, UploadState)> {
    places.iter().map(|(name, state)| ((*name).to_owned(), *state)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_rests_goes_on_and_ends_and_its_people_come_and_go() {
    use UploadState::{Accepted, Batched, Cancelled};
    let stage = Stage::new(None);
    let ada = Person::signs_up(&stage, "ada", POOL).await;
    ada.says(["pool", "create", POOL, "--every", "31d"]).await;
    let buoy = Person::joins(&stage, "buoy", &ada, "contributor").await;
    let members: Vec<MemberView> = ada.reads(["pool", "members", POOL]).await;
    let id = |name: &str| {
        let named = |it: &&MemberView| it.user_name.as_ref().is_some_and(|it| it.as_str() == name);
        members.iter().find(named).unwrap().account.to_string()
    };

    ada.says(["pool", "pause", POOL]).await;
    let told = push(&buoy, "a", 0).await;
    assert_eq!(told[0]["landing"]["paused"], true, "{told:?}");
    let rests = eventually("why its window does not close is told", async || {
        let windows: Vec<WindowView> = ada.reads(["pool", "windows", POOL]).await;
        windows.into_iter().next()
    });
    let rests = rests.await;
    let when = rests.closes_when.unwrap();
    assert!(when.starts_with("once the pool is resumed") && rests.closes_next.is_none(), "{when}");
    ada.ends_with(REFUSED, ["pool", "close", POOL]).await;
    let shown: Vec<PoolView> = buoy.reads(["pool", "show", POOL]).await;
    assert_eq!(shown[0].state, PoolState::Paused);
    ada.says(["pool", "resume", POOL]).await;
    ada.says(["pool", "close", POOL]).await;
    eventually("a is in a batch", async || {
        (places(&buoy).await == are(&[("a", Batched)])).then_some(())
    })
    .await;

    ada.says(["pool", "suspend", POOL, &id("buoy")]).await;
    push(&buoy, "b", FORBIDDEN).await;
    buoy.ends_with(FORBIDDEN, ["pool", "show", POOL]).await;
    let members: Vec<MemberView> = ada.reads(["pool", "members", POOL]).await;
    assert_eq!(members.iter().filter(|member| member.suspended).count(), 1);
    ada.says(["pool", "reinstate", POOL, &id("buoy")]).await;
    push(&buoy, "c", 0).await;
    eventually("c is in an open window", async || {
        (places(&buoy).await == are(&[("a", Batched), ("c", Accepted)])).then_some(())
    })
    .await;

    let tokens: Vec<TokenView> = ada.reads(["pool", "tokens", POOL]).await;
    assert_eq!((tokens.len(), tokens[0].uses_left), (1, 0));
    ada.says(["pool", "revoke", POOL, &tokens[0].id.to_string()]).await;
    let tokens: Vec<TokenView> = ada.reads(["pool", "tokens", POOL]).await;
    assert!(tokens[0].revoked);
    let made: Vec<ClientSecret> = ada.reads(["service", "create", "mean-of-buoys"]).await;
    let service = made[0].client_id.to_string();
    ada.says(["pool", "add", POOL, &service, "--role", "processor"]).await;
    ada.says(["service", "revoke", &service]).await;

    ada.says(["pool", "give", POOL, &id("buoy")]).await;
    ada.ends_with(FORBIDDEN, ["pool", "archive", POOL, "--open-windows", "cancel"]).await;
    buoy.says(["pool", "archive", POOL, "--open-windows", "cancel"]).await;
    push(&buoy, "d", REFUSED).await;
    eventually("c is cancelled", async || {
        (places(&buoy).await == are(&[("a", Cancelled), ("c", Cancelled)])).then_some(())
    })
    .await;
    let windows: Vec<WindowView> = buoy.reads(["pool", "windows", POOL]).await;
    let states: Vec<_> = windows.iter().map(|window| window.state).collect();
    assert_eq!(states, [WindowState::Cancelled, WindowState::Closed]);
    stage.end();
}
