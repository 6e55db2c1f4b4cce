//! What a pool holds and for how long, seen from outside: quotas in its view, bytes that go when
//! their time is over, history that stays.

#![allow(clippy::disallowed_methods, reason = "a test waits for a server in real time")]

use std::time::{Duration, Instant};

use client::{Client, PageAsk, Progress, Source, Upload};
use schemas::api::{Content, CreatePool};
use schemas::name::PoolName;
use schemas::policy::{PolicyAsk, WindowsAsk};
use schemas::problem::Code;
use schemas::role::{Role, RoleSet};

use crate::server::{ADMIN_PASSWORD, Server, Setup};

const SOON: Duration = Duration::from_secs(30);

async fn eventually<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(since.elapsed() < SOON, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn pool(server: &Server, policy: PolicyAsk) -> (PoolName, Client) {
    let client = server.client();
    let signed_in = client.sign_up(&"ada".parse().unwrap(), "a long password").await.unwrap();
    let ada = client.signed_in(&signed_in.access_token);
    let name: PoolName = "keeping".parse().unwrap();
    ada.create_pool(&CreatePool { name: name.clone(), policy }).await.unwrap();
    let roles = RoleSet::of(&[Role::Owner, Role::Contributor]);
    ada.add_member(&name, signed_in.user_id, roles).await.unwrap();
    (name, ada)
}

fn upload(bytes: &str) -> Upload {
    Upload::new("a.txt".parse().unwrap(), Source::bytes(bytes.to_owned()))
}

#[tokio::test]
async fn bytes_go_when_their_time_is_over_and_history_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut setup = Setup::new(&folder.path().join("data"));
    setup.limits.push("sweep_every_ms=100".to_owned());
    let server = Server::start(setup);
    let windows = WindowsAsk::Tumbling { period_ms: Some(86_400_000), origin: None };
    let policy =
        PolicyAsk { windows: Some(windows), keep_inputs_ms: Some(2_000), ..PolicyAsk::default() };
    let (pool, ada) = pool(&server, policy).await;
    let receipt = ada.upload(&pool, &upload("hello"), &Progress::none()).await.unwrap();
    let view = ada.read_upload(&pool, receipt.upload).await.unwrap();
    assert_eq!(view.content, Content::Kept);
    let objects = || {
        let find = std::process::Command::new("find").arg(server.data().join("blobs")).output();
        String::from_utf8(find.unwrap().stdout)
            .unwrap()
            .matches(&receipt.upload.to_string())
            .count()
    };
    assert_eq!(objects(), 1);
    let to = folder.path().join("fetched");
    let view = eventually("it is erased", async || {
        let view = ada.read_upload(&pool, receipt.upload).await.unwrap();
        (view.content == Content::Erased).then_some(view)
    })
    .await;
    let refused = ada.fetch_upload(&pool, &view, &to, &Progress::none()).await.unwrap_err();
    assert_eq!((refused.status(), refused.code()), (Some(410), Some(Code::ContentErased)));
    eventually("its object is gone", async || (objects() == 0).then_some(())).await;
    let page = PageAsk { cursor: None, limit: None };
    let history = ada.history(&pool, view.client, &page).await.unwrap().items;
    assert_eq!(history, [view], "what is known of it stays");
    let admin = server.client().signing_in("admin".parse().unwrap(), ADMIN_PASSWORD);
    let report = admin.sweep_report().await.unwrap();
    assert!(report.dry_run && report.complete && report.unnamed == 0, "{report:?}");
}

#[tokio::test]
async fn a_pool_shows_what_it_holds_and_takes_no_more_than_its_quota() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Setup::new(&folder.path().join("data")));
    let policy = PolicyAsk { quota_bytes: Some(12), quota_files: Some(3), ..PolicyAsk::default() };
    let (pool, ada) = pool(&server, policy).await;
    ada.upload(&pool, &upload("hello"), &Progress::none()).await.unwrap();
    ada.upload(&pool, &upload("again"), &Progress::none()).await.unwrap();
    let refused = ada.upload(&pool, &upload("one more"), &Progress::none()).await.unwrap_err();
    assert!(
        matches!(refused.code(), Some(Code::PoolQuotaExceeded | Code::QuotaReserved)),
        "{refused}"
    );
    ada.upload(&pool, &upload("ok"), &Progress::none()).await.unwrap();
    let held = ada.pool(&pool).await.unwrap().held.unwrap();
    assert_eq!((held.files, held.bytes, held.own_files, held.own_bytes), (3, 12, 3, 12));
    let refused = ada.upload(&pool, &upload("x"), &Progress::none()).await.unwrap_err();
    assert_eq!((refused.status(), refused.code()), (Some(403), Some(Code::PoolQuotaExceeded)));
}
