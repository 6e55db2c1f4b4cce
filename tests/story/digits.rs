//! Federated learning: twenty clients learn to read digits together, and none shows its own.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;

use futures_util::future::join_all;
use schemas::api::{BatchView, DeliveryState, DeliveryView, MemberView};
use schemas::event::CloseReason;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use super::person::{PASSWORD, Person};
use super::softmax::{Digit, Model, digits};
use super::stage::{Stage, eventually, example};
use crate::broker::Broker;

const POOL: &str = "digits";
const CLIENTS: usize = 20;
const ROUNDS: u32 = 5;
/// How often each client goes through its digits in a round.
const EPOCHS: u32 = 5;
/// Every so many digits one is held back, to judge by.
const HELD_BACK: usize = 6;
const ACCURACY_MIN: f64 = 0.88;
/// The client that is offline, and in which round.
const ABSENCE: (usize, u32) = (7, 3);

/// One of those who learn.
struct Client {
    person: Person,
    digits: Vec<Digit>,
    /// The model as it was last received, and its file.
    model: Model,
    file: PathBuf,
}

/// A round is a part of one long window: it closes when all have sent.
const RULES: [&str; 4] =
    ["windows.kind=tumbling", "windows.period_ms=1d", "max_wait_ms=2d", "count=20"];

impl Client {
    async fn joins(stage: &Stage, owner: &Person, number: usize, digits: Vec<Digit>) -> Self {
        let person = Person::joins(stage, &format!("client-{number}"), owner, "contributor").await;
        Self { person, digits, model: Model::new(), file: PathBuf::new() }
    }

    /// Learns from its own digits, beginning with what all have learned, and sends the weights.
    async fn learns_and_sends(&self, at: &str) -> Model {
        let mut model = self.model.clone();
        model.train(&self.digits, EPOCHS);
        std::fs::write(self.person.folder.join("weights.csv"), model.to_csv()).unwrap();
        self.person.says(["push", "weights.csv", "--at", at]).await;
        model
    }

    /// Waits for the latest mean; gives the round it is of.
    async fn receives(&mut self) -> u32 {
        let received = self.person.receives(1, &["--latest"]).await.remove(0);
        self.file = received.path;
        self.model = Model::from_means(&self.text());
        received.result.part
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.file).unwrap()
    }
}

/// Deals the digits out; gives the shares and what is held back.
fn deal() -> (Vec<Vec<Digit>>, Vec<Digit>) {
    let (mut shares, mut held_back) = (vec![Vec::new(); CLIENTS], Vec::new());
    let all = digits(include_str!("../data/digits/digits.csv"));
    for (number, digit) in all.into_iter().enumerate() {
        let taken = number - number / HELD_BACK;
        match number % HELD_BACK {
            0 => held_back.push(digit),
            _ => shares[taken % CLIENTS].push(digit),
        }
    }
    (shares, held_back)
}

/// The external server: a program of its own that links the worker crate.
async fn mean_server(stage: &Stage, server: &Person) -> Child {
    let mut command = Command::new(example("mean"));
    command.args([&stage.server.url(), &server.name, POOL]);
    let mut program = command.stdin(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut input = program.stdin.take().unwrap();
    input.write_all(format!("{PASSWORD}\n").as_bytes()).await.unwrap();
    program
}

async fn twenty_clients_learn(log: Option<String>) {
    let stage = Stage::new(log);
    let owner = Person::signs_up(&stage, "olga", POOL).await;
    let rules = RULES.iter().flat_map(|rule| ["--set", rule]);
    owner.says(["pool", "create", POOL].into_iter().chain(rules)).await;
    let (shares, held_back) = deal();
    let joins =
        (0..).zip(shares).map(|(number, share)| Client::joins(&stage, &owner, number, share));
    let mut clients = join_all(joins).await;
    let server = Person::joins(&stage, "averages", &owner, "processor").await;
    let _program = mean_server(&stage, &server).await;

    let began = client::fresh::now().to_string();
    for round in 1..=ROUNDS {
        if round == ABSENCE.1 + 1 {
            // Back again: what it missed comes first.
            assert_eq!(clients[ABSENCE.0].receives().await, ABSENCE.1);
        }
        let is_here = |number: usize| (number, round) != ABSENCE;
        let here = || clients.iter().enumerate().filter(|(number, _)| is_here(*number));
        let sent = join_all(here().map(|(_, client)| client.learns_and_sends(&began))).await;
        if sent.len() < CLIENTS {
            owner.says(["pool", "close", POOL]).await;
        }
        let listeners = clients.iter_mut().enumerate().filter(|(number, _)| is_here(*number));
        let rounds = join_all(listeners.map(|(_, client)| client.receives())).await;
        assert!(rounds.iter().all(|of| *of == round), "round {round}: {rounds:?}");

        let mean = Model::mean(&sent);
        let mut here = clients.iter().enumerate().filter(|(number, _)| is_here(*number));
        let (_, first) = here.next().unwrap();
        assert!(first.model.is_near(&mean), "round {round}: a mean of {} is wrong", sent.len());
        let counts = first
            .text()
            .lines()
            .skip(1)
            .all(|line| line.rsplit(',').next().unwrap().parse() == Ok(sent.len()));
        assert!(counts, "round {round}: a mean is not of {} values", sent.len());
        let same = here.all(|(_, client)| client.text() == first.text());
        assert!(same, "round {round}: not all have the same model");
        println!("round {round}: {:.3}", first.model.accuracy(&held_back));
    }

    let last = clients[0].text();
    assert!(clients.iter().all(|client| client.text() == last), "not all have the same model");
    let accuracy = clients[ABSENCE.0].model.accuracy(&held_back);
    assert!(accuracy >= ACCURACY_MIN, "{accuracy} of {} digits", held_back.len());
    check_rounds(&owner).await;
    check_deliveries(&owner).await;
    stage.end();
}

/// Each round is a batch of what all sent, but for the one that a client missed.
async fn check_rounds(owner: &Person) {
    let mut batches: Vec<BatchView> = owner.reads(["batches"]).await;
    batches.sort_by_key(|batch| batch.part);
    assert_eq!(batches.len(), usize::try_from(ROUNDS).unwrap());
    let members: Vec<MemberView> = owner.reads(["pool", "members", POOL]).await;
    let absent = format!("client-{}", ABSENCE.0);
    let is_absent = |member: &&MemberView| {
        member.user_name.as_ref().is_some_and(|name| name.as_str() == absent)
    };
    let absent = members.iter().find(is_absent).unwrap().account;
    for batch in batches {
        let view: Vec<BatchView> = owner.reads(["batches", &batch.batch.to_string()]).await;
        let closed = &view[0].revisions[0].closed;
        let (files, reason, missing) = if batch.part == ABSENCE.1 {
            (19, CloseReason::Asked, vec![absent])
        } else {
            (20, CloseReason::Count, vec![])
        };
        assert_eq!((batch.files, batch.revision, closed.reason), (files, 1, reason));
        assert_eq!(closed.missing, missing, "round {}", batch.part);
    }
}

/// All clients have acknowledged the last model.
async fn check_deliveries(owner: &Person) {
    let have = eventually("all have acknowledged the last model", async || {
        let deliveries: Vec<DeliveryView> = owner.reads(["deliveries"]).await;
        let has = |delivery: &DeliveryView| delivery.state == DeliveryState::Acknowledged;
        let names = deliveries.into_iter().filter(has).filter_map(|delivery| delivery.user_name);
        let names: BTreeSet<String> = names.map(|name| name.to_string()).collect();
        (names.len() == CLIENTS).then_some(names)
    });
    assert!(have.await.iter().all(|name| name.starts_with("client-")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_clients_learn_digits_together_and_one_was_away() {
    twenty_clients_learn(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_clients_learn_digits_with_the_log_on_kafka() {
    let Some(broker) = Broker::wanted("twenty clients learn digits together") else { return };
    twenty_clients_learn(Some(broker.url())).await;
}
