//! Sharing shards out: between two instances, when one leaves, is killed, or loses the brokers.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use engines::kafka::KafkaLog;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use infra::clock::{Clock, SystemClock};
use infra::log::{Group, Owned, Read, Result};
use schemas::topic::SHARDS;

use crate::broker::Brokers;
use crate::rig::{self, soon};

/// One instance and what it owns.
struct Owner {
    log: Arc<KafkaLog>,
    changes: BoxStream<'static, Result<Owned>>,
    shards: BTreeSet<u8>,
}

impl Owner {
    async fn join(address: &str) -> Self {
        let log = rig::open(address);
        let changes = soon(log.own(Group::Projectors)).await.unwrap();
        Self { log, changes, shards: BTreeSet::new() }
    }

    /// Follows the changes until it owns so many.
    async fn until(&mut self, count: usize) {
        while self.shards.len() != count {
            match self.changes.next().await.unwrap().unwrap() {
                Owned::Gained(shard) => assert!(self.shards.insert(shard), "gained twice: {shard}"),
                Owned::Lost(shard) => assert!(self.shards.remove(&shard), "never gained: {shard}"),
            }
        }
    }

    async fn leave(self) {
        drop(self.changes);
        assert!(self.log.close(rig::SOON).await, "its threads end");
    }
}

const ALL: usize = SHARDS as usize;

#[tokio::test(flavor = "multi_thread")]
async fn two_share_and_a_clean_stop_hands_over_within_two_seconds() {
    if !rig::wanted("a clean stop hands over within two seconds") {
        return;
    }
    let brokers = Brokers::start("single");
    let address = brokers.address();
    let mut first = Owner::join(&address).await;
    soon(first.until(ALL)).await;
    let mut second = Owner::join(&address).await;
    soon(async { tokio::join!(first.until(ALL / 2), second.until(ALL / 2)) }).await;
    assert!(first.shards.is_disjoint(&second.shards), "no shard has two owners");
    let kept = second.shards.clone();
    let left_at = SystemClock::new();
    let leaving = tokio::task::spawn_blocking(|| first);
    let leaving = async { leaving.await.unwrap().leave().await };
    soon(async { tokio::join!(leaving, second.until(ALL)) }).await;
    let took = left_at.uptime();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(kept.is_subset(&second.shards), "those it had were not taken away");
    report(&format!("taken over {took:?} after a clean stop"));
    second.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_owner_is_replaced_within_fifteen_seconds() {
    if !rig::wanted("a killed owner is replaced within fifteen seconds") {
        return;
    }
    let brokers = Brokers::start("single");
    std::fs::write(brokers.folder().join("address"), brokers.address()).unwrap();
    let mut child = Killed(child(&brokers));
    let said = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let said = tokio::task::spawn_blocking(move || {
        let owns_all = said.map_while(std::io::Result::ok).any(|line| line.contains("owns all"));
        assert!(owns_all, "the child says when it owns all");
    });
    soon(said).await.unwrap();
    let mut other = Owner::join(&brokers.address()).await;
    soon(other.until(ALL / 2)).await;
    let killed_at = SystemClock::new();
    child.0.kill().unwrap();
    soon(other.until(ALL)).await;
    let took = killed_at.uptime();
    assert!(took < Duration::from_secs(15), "{took:?}");
    report(&format!("taken over {took:?} after SIGKILL"));
    other.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_loses_the_brokers_gives_up_its_shards() {
    if !rig::wanted("an owner that loses the brokers gives up its shards") {
        return;
    }
    let brokers = Brokers::start("single");
    let mut owner = Owner::join(&brokers.address()).await;
    soon(owner.until(ALL)).await;
    let stopped_at = SystemClock::new();
    brokers.signal("kafka", "STOP");
    soon(owner.until(0)).await;
    let took = stopped_at.uptime();
    assert!(took < Duration::from_secs(9), "a session and its checks: {took:?}");
    report(&format!("shards given up {took:?} after the broker stopped answering"));
    brokers.signal("kafka", "CONT");
    soon(owner.until(ALL)).await;
    owner.leave().await;
}

/// A process like this one that owns until it is killed.
fn child(brokers: &Brokers) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "owners::the_one_that_is_killed", "--ignored", "--nocapture"])
        .current_dir(brokers.folder())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Ends the child however the test ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by another test, as a process to be killed"]
#[allow(clippy::print_stdout, reason = "this is how the other test hears of it")]
async fn the_one_that_is_killed() {
    let address = std::fs::read_to_string("address").expect("run by another test");
    let mut owner = Owner::join(&address).await;
    owner.until(ALL).await;
    println!("owns all");
    owner.until(0).await;
}

#[allow(clippy::print_stderr, reason = "a figure for whoever runs it with --nocapture")]
fn report(figure: &str) {
    eprintln!("figure: {figure}");
}
