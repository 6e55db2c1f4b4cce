//! Inspections seen from outside: what is wrong is told, what dies is made good, what cannot be
//! inspected fails and is retried.

#![allow(clippy::disallowed_methods, reason = "a test waits for a server in real time")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use client::{Client, Heard, PageAsk, Progress, Source, Upload};
use futures_util::StreamExt as _;
use schemas::api::{CreatePool, Notice, UploadState, UploadView};
use schemas::event::Stage;
use schemas::id::UploadId;
use schemas::name::PoolName;
use schemas::policy::{PolicyAsk, WindowsAsk};
use schemas::problem::Code;
use schemas::role::{Role, RoleSet};

use crate::server::{Server, Setup, sluice};

const SOON: Duration = Duration::from_mins(1);

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

/// A pool whose readings are inspected, its owner, who also sends, and another who sends.
async fn pool(server: &Server) -> (PoolName, Client, Client) {
    let client = server.client();
    let mut people = Vec::new();
    for name in ["ada", "buoy"] {
        let name: schemas::name::UserName = name.parse().unwrap();
        let signed_in = client.sign_up(&name, "a long password").await.unwrap();
        people.push((signed_in.user_id, client.clone().signing_in(name, "a long password")));
    }
    let [(_, ada), (account, buoy)] = &people[..] else { panic!("two") };
    let windows = WindowsAsk::Tumbling { period_ms: Some(86_400_000), origin: None };
    let inspections = r#"[{"kind":"csv","columns":[
        {"name":"at","type":"timestamp","required":true},
        {"name":"value","type":"number","required":true}]}]"#;
    let policy = PolicyAsk {
        windows: Some(windows),
        inspections: Some(serde_json::from_str(inspections).unwrap()),
        ..PolicyAsk::default()
    };
    let name: PoolName = "readings".parse().unwrap();
    ada.create_pool(&CreatePool { name: name.clone(), policy }).await.unwrap();
    ada.add_member(&name, *account, RoleSet::of(&[Role::Contributor])).await.unwrap();
    (name, ada.clone(), buoy.clone())
}

fn csv(rows: &str) -> Upload {
    let bytes = format!("at,value\n{rows}");
    let mut upload = Upload::new("a.csv".parse().unwrap(), Source::bytes(bytes));
    upload.media_type = "text/csv".parse().unwrap();
    upload
}

async fn until(
    client: &Client,
    pool: &PoolName,
    upload: UploadId,
    state: UploadState,
) -> UploadView {
    eventually(&format!("{state:?}"), async || {
        let view = client.read_upload(pool, upload).await.ok()?;
        (view.state == state).then_some(view)
    })
    .await
}

/// The notices of one member from the beginning, until one is meant.
async fn heard(client: &Client, pool: &PoolName, meant: fn(&Notice) -> bool) -> Vec<Notice> {
    let mut notices = client.notices(pool, Some("0".into()));
    let mut all = Vec::new();
    loop {
        let next = tokio::time::timeout(SOON, notices.next()).await.expect("a notice in time");
        if let Some(Ok(Heard::Notice { notice, .. })) = next {
            let last = meant(&notice);
            all.push(notice);
            if last {
                return all;
            }
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_told_and_only_good_ones_are_grouped() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Setup::new(&folder.path().join("data")));
    let (pool, ada, buoy) = pool(&server).await;
    let send = async |upload: Upload| {
        let receipt = buoy.upload(&pool, &upload, &Progress::none()).await.unwrap();
        assert_eq!(receipt.inspections.len(), 1);
        receipt.upload
    };
    let good = send(csv("2026-11-21T10:30:00Z,1.5\n")).await;
    let bad = send(csv("2026-11-21T10:30:00Z,1.5\n2026-11-21T10:31:00Z,warm\n")).await;
    until(&buoy, &pool, good, UploadState::Accepted).await;
    let view = until(&buoy, &pool, bad, UploadState::Rejected).await;
    let rejection = view.rejection.unwrap();
    let fault = &rejection.faults[0];
    assert_eq!((rejection.rows, rejection.count, fault.row, fault.column), (2, 1, 3, Some(2)));
    assert!(!fault.detail.contains("warm"), "what is in the file is not told");
    let refused = buoy.retry_upload(&pool, bad).await.unwrap_err();
    assert_eq!(refused.code(), Some(Code::NotFailed));
    let is_rejected = |notice: &Notice| matches!(notice, Notice::Rejected { .. });
    let told = heard(&buoy, &pool, is_rejected).await;
    assert!(told.iter().any(|it| matches!(it, Notice::Received { upload, .. } if *upload == good)));
    assert!(told.iter().any(|it| matches!(it, Notice::Accepted { upload, .. } if *upload == good)));
    let told = heard(&ada, &pool, is_rejected).await;
    assert_eq!(told.len(), 1, "admins hear of what failed only: {told:?}");
    ada.close_window(&pool, None).await.unwrap();
    until(&buoy, &pool, good, UploadState::Batched).await;
    let page = PageAsk { cursor: None, limit: Some(10) };
    let batches = ada.batches(&pool, &page).await.unwrap().items;
    assert_eq!(batches.iter().map(|batch| batch.files).collect::<Vec<_>>(), [1]);
}

fn objects(server: &Server) -> Vec<PathBuf> {
    let find = std::process::Command::new("find")
        .arg(server.data().join("blobs"))
        .args(["-type", "f", "-size", "-2", "-path", "*blobs/*"])
        .output();
    let found = String::from_utf8(find.unwrap().stdout).unwrap();
    found.lines().map(PathBuf::from).collect()
}

#[tokio::test]
async fn what_cannot_be_inspected_fails_and_is_retried() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(Setup::new(&folder.path().join("data")));
    let (pool, ada, buoy) = pool(&server).await;
    // The first run dies with its process; by the next start the bytes are gone.
    assert!(server.stop().is_some_and(|status| status.success()));
    server.rearm("crash=ingest.inspection-begun:1");
    assert!(server.again());
    let before = objects(&server);
    let upload = csv("2026-11-21T10:30:00Z,1.5\n");
    let sent = buoy.upload(&pool, &upload, &Progress::none()).await;
    while server.runs() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let bytes: Vec<PathBuf> =
        objects(&server).into_iter().filter(|path| !before.contains(path)).collect();
    let [object] = &bytes[..] else { panic!("one object: {bytes:?}") };
    let away = folder.path().join("away");
    std::fs::rename(object, &away).unwrap();
    server.rearm("");
    assert!(server.again());
    let receipt = match sent {
        Ok(receipt) => receipt,
        Err(_) => buoy.upload(&pool, &upload, &Progress::none()).await.unwrap(),
    };
    let view = until(&buoy, &pool, receipt.upload, UploadState::Failed).await;
    assert_eq!(view.attempts, 3);
    assert!(view.attempt_failed_because.is_some());
    for person in [&ada, &buoy] {
        let is_failed = |notice: &Notice| matches!(notice, Notice::UploadFailed { .. });
        let told = heard(person, &pool, is_failed).await;
        let attempts = told.iter().filter_map(|notice| match notice {
            Notice::UploadAttemptFailed { attempts, stage: Stage::Inspection, .. }
            | Notice::UploadFailed { attempts, stage: Stage::Inspection, .. } => Some(*attempts),
            _ => None,
        });
        assert_eq!(attempts.collect::<Vec<_>>(), [1, 2, 3]);
    }
    std::fs::rename(&away, object).unwrap();
    let profile = folder.path().join("profile.json");
    let says = |arguments: &[&str]| {
        let mut command = sluice();
        command.args(["--json", "--server", &server.url(), "--profile"]).arg(&profile);
        command.env("SLUICE_PASSWORD", "a long password").args(arguments).output().unwrap()
    };
    assert!(says(&["login", "buoy"]).status.success());
    let told = says(&["retry", "--pool", pool.as_str(), &receipt.upload.to_string()]);
    assert!(told.status.success(), "{told:?}");
    until(&buoy, &pool, receipt.upload, UploadState::Accepted).await;
}
