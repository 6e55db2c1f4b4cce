//! Asks the system for all it has, once all is quiet.

use std::collections::BTreeMap;
use std::process::Command;

use client::{Client, PageAsk, Progress};
use schemas::api::{BatchView, Page, UploadView};
use schemas::digest::Digest;
use schemas::event::{Derived, Event};
use schemas::file::FileRef;
use schemas::id::{AccountId, BatchId};
use schemas::name::PoolName;
use schemas::wire;
use serde_json::value::RawValue;

use super::judge::Dump;
use crate::server::{Server, sluice};

const PAGE: u32 = 200;

/// All rows of a list.
async fn all<T>(mut page: impl AsyncFnMut(PageAsk) -> client::Result<Page<T>>) -> Vec<T> {
    let (mut items, mut cursor) = (Vec::new(), None);
    loop {
        let got = page(PageAsk { cursor, limit: Some(PAGE) }).await.expect("all is quiet");
        items.extend(got.items);
        cursor = got.next_cursor;
        if cursor.is_none() {
            return items;
        }
    }
}

/// What the running server says, to an owner of the pool.
pub(super) async fn ask(client: &Client, pool: &PoolName, members: &[AccountId]) -> Dump {
    let mut dump = Dump { members: members.iter().copied().collect(), ..Dump::default() };
    for member in members {
        let history =
            all(async |page| client.history(pool, *member, &page).await).await;
        for view in &history {
            dump.contents.extend(content(client, pool, view).await.map(|d| (view.upload, d)));
        }
        dump.histories.insert(*member, history);
    }
    for batch in batches(client, pool).await {
        let pages = pages(client, pool, batch.batch, batch.revision).await;
        for revision in &batch.revisions {
            let Some(result) = revision.result else { continue };
            let page = PageAsk { cursor: None, limit: Some(1_000) };
            let view = client.deliveries(pool, result, false, &page).await.expect("all is quiet");
            let states = view.items.iter().map(|delivery| (delivery.member, delivery.state));
            dump.deliveries.insert(result, states.collect());
        }
        dump.batches.push((batch, pages));
    }
    dump
}

/// The pool's batches with their revisions.
pub(super) async fn batches(client: &Client, pool: &PoolName) -> Vec<BatchView> {
    let listed = all(async |page| client.batches(pool, &page).await).await;
    let mut batches = Vec::new();
    for batch in listed {
        batches.push(client.batch(pool, batch.batch).await.expect("all is quiet"));
    }
    batches
}

async fn pages(
    client: &Client,
    pool: &PoolName,
    batch: BatchId,
    revision: u32,
) -> BTreeMap<u32, Vec<FileRef>> {
    let mut pages: BTreeMap<u32, Vec<FileRef>> = BTreeMap::new();
    for file in client.whole_manifest(pool, batch, revision).await.expect("all is quiet") {
        pages.entry(file.page).or_default().push(file.file);
    }
    pages
}

/// The digest of an upload's bytes; none when they cannot be had.
async fn content(client: &Client, pool: &PoolName, view: &UploadView) -> Option<Digest> {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("content");
    client.fetch_upload(pool, view, &to, &Progress::none()).await.ok()?;
    Some(Digest::of(&std::fs::read(&to).unwrap()))
}

/// What the log of a stopped server says.
pub(super) fn read_log(server: &Server, pool: &PoolName, dump: &mut Dump) {
    for (offset, bytes) in records(server, pool, "events") {
        if let Ok((Event::ResultOffered(offer), _)) = wire::decode::<Event>(&bytes) {
            dump.offers.insert(offset, offer);
        }
    }
    let mut highest = None;
    for (_, bytes) in records(server, pool, "batches") {
        let (body, attributes) = wire::decode::<Derived>(&bytes).expect("derived records");
        let cause = attributes.cause.expect("derived records have a cause");
        if Some(cause.pair()) > highest {
            highest = Some(cause.pair());
            dump.derived.push((cause.offset, body));
        }
    }
    dump.replay_differs = differs(replay(server, pool).arg("--verify"));
    let into = server.data().join("rebuilt.sqlite");
    _ = std::fs::remove_file(&into);
    let mut rebuild = sluice();
    rebuild.arg("rebuild").arg("--data").arg(server.data()).arg("--into").arg(&into);
    if let Some(log) = server.log() {
        rebuild.args(["--log", log]);
    }
    dump.tables_differ = differs(&mut rebuild);
}

fn replay(server: &Server, pool: &PoolName) -> Command {
    let mut command = sluice();
    command.arg("replay").arg(pool.as_str()).arg("--data").arg(server.data());
    if let Some(log) = server.log() {
        command.args(["--log", log]);
    }
    command
}

/// The command's output when it did not end well.
fn differs(command: &mut Command) -> Option<String> {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (!output.status.success()).then(|| text(&output.stdout) + &text(&output.stderr))
}

fn records(server: &Server, pool: &PoolName, topic: &str) -> Vec<(u64, Vec<u8>)> {
    #[derive(serde::Deserialize)]
    struct Line<'a> {
        offset: u64,
        #[serde(borrow)]
        event: &'a RawValue,
    }
    let output = replay(server, pool).args(["--topic", topic]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |line: &str| {
        let line: Line<'_> = serde_json::from_str(line).unwrap();
        (line.offset, line.event.get().as_bytes().to_vec())
    };
    text.lines().map(line).collect()
}

