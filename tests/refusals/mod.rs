//! Bad input: a problem with a stable code, never a 5xx, and nothing left behind.

#![cfg(test)]
#![allow(clippy::disallowed_methods, reason = "a client's threads may block, in real time")]

mod audit;
mod authorization;
mod case;
mod making;
mod wire;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Barrier;

use schemas::openapi;
use schemas::problem::{CONTENT_TYPE, Code};

use self::case::{Case, Told};
use self::wire::{Answer, Then, send};
use self::world::World;

const CASES_MIN: usize = 60;
/// Codes that take more than one request, and where they are shown.
const ELSEWHERE: &[(Code, &str)] = &[
    (Code::AccountsFull, "infra/src/identity: full, no case could sign up"),
    (Code::MembersFull, "batcher/src/fold: takes a hundred thousand members"),
    (Code::SignUpClosed, "ingest/src/tests/accounts: only where the operator says so"),
    (Code::TokensFull, "batcher/src/fold: takes ten thousand tokens"),
    (Code::RateLimited, "infra/src/http/tests: takes two hundred, and the cases are more"),
    (Code::UploadInProgress, "below: takes two at once"),
    (Code::RangesFull, "batcher/src/fold/tests/range.rs: takes a thousand that are worked on"),
    (Code::RangeUnknown, "batcher/src/fold/tests/range.rs: takes pages that ingest never says"),
    (Code::PoliciesFull, "batcher/src/fold/tests/versions.rs: takes fifty changes"),
    (Code::RetriesUsedUp, "batcher/src/fold/tests/inspections.rs: takes runs that break"),
    (Code::QuotaReserved, "ingest/src/tests/quota.rs: takes one on its way"),
    (Code::BytesMissing, "ingest/src/tests/held.rs: takes a store that lost an object"),
    (Code::ContentErased, "tests/keeping.rs: takes time"),
    (Code::ResultSettled, "batcher/src/fold/tests/results.rs: takes a month"),
];

#[test]
#[allow(clippy::print_stdout, reason = "how many there were is worth knowing")]
fn every_bad_request_gets_its_code_and_leaves_nothing_behind() {
    let mut world = World::new();
    let before = world.rest();
    let cases = case::all();
    assert!(cases.len() >= CASES_MIN, "{} cases", cases.len());
    let titles: BTreeSet<_> = cases.iter().map(|case| &case.says).collect();
    assert_eq!(titles.len(), cases.len(), "no two cases are called the same");
    let mut wrong = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let id = format!("case-{number:04}");
        if let Err(why) = check(case, &world, &id) {
            wrong.push(format!("{}: {why}", case.says));
        }
    }
    println!("{} bad requests", cases.len());
    wrong.extend(changed(&before, &world.rest()));
    assert!(wrong.is_empty(), "{} of {}:\n  {}", wrong.len(), cases.len(), wrong.join("\n  "));
    still_serves(&mut world);
}

#[test]
fn every_code_that_blames_the_request_has_a_case() {
    let cases = case::all();
    let has = |code: Code| cases.iter().any(|case| case.told == Told::Problem(code));
    for code in Code::ALL.iter().filter(|code| code.status() < 500) {
        let elsewhere = ELSEWHERE.iter().any(|(known, _)| known == code);
        assert!(has(*code) != elsewhere, "{}: a case, or a reason why not", code.as_str());
    }
}

#[test]
fn every_refusal_is_one_that_the_document_names() {
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for case in case::all() {
        let (Told::Problem(code), Some(route)) = (&case.told, case.route()) else { continue };
        compared += 1;
        if !openapi::codes(route).is_some_and(|codes| codes.contains(code)) {
            wrong.push(format!("{}: {} {}", case.says, code.as_str(), route.name));
        }
    }
    assert!(wrong.is_empty() && compared > CASES_MIN, "{compared}:\n{}", wrong.join("\n"));
}

fn check(case: &Case, world: &World, id: &str) -> Result<(), String> {
    let (request, then) = case.request(world, id);
    let answer = send(&world.address(), &request, then)?;
    let answer = match (answer, &case.told) {
        (None, Told::Closed) => return Ok(()),
        (None, _) => return Err("closed without a word".to_owned()),
        (Some(answer), _) => answer,
    };
    let text = answer.text();
    let told = match &case.told {
        Told::Problem(code) => is_problem(&answer, *code).err(),
        Told::OAuth(status, error) => {
            let is_it = answer.status == *status && answer.json()["error"] == error.as_str();
            (!is_it).then(|| "another error".to_owned())
        }
        Told::Status(status) => (answer.status != *status).then(|| "another status".to_owned()),
        Told::Closed => Some("an answer".to_owned()),
    };
    let asked = String::from_utf8_lossy(&request);
    let named = answer.header("x-request-id") == Some(id) || !asked.contains(id);
    let lacks = case.with.iter().find(|(name, value)| answer.header(name) != Some(value.as_str()));
    let why = match (told, named, lacks) {
        (Some(why), ..) => why,
        (_, false, _) => "another request id".to_owned(),
        (.., Some((name, value))) => format!("{name}: {:?}, not {value}", answer.header(name)),
        _ => return Ok(()),
    };
    Err(format!("{why}: {} {text}", answer.status))
}

/// Whether it is that problem, told as every problem is.
fn is_problem(answer: &Answer, code: Code) -> Result<(), String> {
    let body = answer.json();
    let is = |right: bool, what: &str| if right { Ok(()) } else { Err(what.to_owned()) };
    is(body["code"] == code.as_str(), "another code")?;
    is(answer.status == code.status() && body["status"] == code.status(), "another status")?;
    is(answer.header("content-type") == Some(CONTENT_TYPE), "another media type")?;
    is(body["type"] == format!("/docs/errors#{}", code.as_str()), "another type")?;
    is(body["title"] == code.title(), "another title")?;
    let id = answer.header("x-request-id");
    is(id.is_some() && body["request_id"].as_str() == id, "no request id")?;
    is(answer.header("x-content-type-options") == Some("nosniff"), "may be sniffed")?;
    is(answer.header("cache-control") == Some("no-store"), "may be kept")
}

fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let differs = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    differs
        .map(|name| format!("{name}: {:?} then {:?}", before.get(name), after.get(name)))
        .collect()
}

/// It runs, never began again, takes a good file, and nothing failed on its side.
fn still_serves(world: &mut World) {
    let headers = "content-type: text/csv\r\n";
    let line = "POST /v1/pools/$pool/uploads?name=good.csv";
    let good = world.ask_with("contributor", line, headers, "time,value\n1,2\n");
    assert_eq!(good.status, 201, "{}", good.text());
    let metrics = world.ask("nobody", "GET /metrics", "").text();
    let failed = metrics.lines().filter(|line| line.contains("\"5xx\"") && !line.ends_with(" 0"));
    assert_eq!(failed.collect::<Vec<_>>(), Vec::<&str>::new());
    assert!(world.server.runs());
    let log = std::fs::read_to_string(world.server.data().join("server.log")).unwrap();
    let bad = |line: &&str| line.contains("ERROR") || line.contains("panicked");
    assert_eq!(log.lines().filter(bad).collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn of_two_broken_uploads_under_one_key_one_is_told_of_the_other() {
    let world = World::new();
    let before = world.rest();
    let request = world.filled_in(
        "POST /v1/pools/$pool/uploads?name=a.csv HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         authorization: Bearer $sender\r\ncontent-type: text/csv\r\nidempotency-key: at-once\r\n\
         content-length: 4000\r\n\r\na,b\r\n",
    );
    let both = Barrier::new(2);
    let upload = || {
        both.wait();
        send(&world.address(), request.as_bytes(), Then::Waits).unwrap().unwrap()
    };
    let [one, two] = std::thread::scope(|scope| {
        [scope.spawn(upload), scope.spawn(upload)].map(|thread| thread.join().unwrap())
    });
    let (broken, told) = if one.status == 408 { (one, two) } else { (two, one) };
    is_problem(&broken, Code::SlowBody).unwrap_or_else(|why| panic!("{why}: {broken:?}"));
    is_problem(&told, Code::UploadInProgress).unwrap_or_else(|why| panic!("{why}: {told:?}"));
    assert_eq!(changed(&before, &world.rest()), Vec::<String>::new());
}

#[test]
fn a_token_for_one_that_many_redeem_at_once_is_redeemed_by_one() {
    const MANY: usize = 8;
    let mut world = World::new();
    let names: Vec<String> = (0..MANY).map(|number| format!("late-{number}")).collect();
    for name in &names {
        world.sign_up(name);
    }
    let all = Barrier::new(MANY);
    let body = world.filled_in(r#"{"token":"$good_token"}"#);
    let join = |name: &String| {
        all.wait();
        world.ask(name, "POST /v1/pools/$csv/join", &body)
    };
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let threads: Vec<_> = names.iter().map(|name| scope.spawn(move || join(name))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!((won.len(), lost.len()), (1, MANY - 1), "{answers:?}");
    for answer in lost {
        is_problem(answer, Code::TokenUsedUp).unwrap_or_else(|why| panic!("{why}: {answer:?}"));
    }
    let members = world.ask("owner", "GET /v1/pools/$csv/members", "").json();
    let late = |member: &&serde_json::Value| {
        member["user_name"].as_str().is_some_and(|name| name.starts_with("late-"))
    };
    assert_eq!(members["items"].as_array().unwrap().iter().filter(late).count(), 1);
}
