//! The audit log over every route and everyone: each act and each denial once, and no secret.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemas::route::{self, Route};
use serde_json::{Value, json};

use super::authorization::{PEOPLE, ask, path, rows};
use super::wire::Answer;
use super::world::World;
use crate::server::ADMIN_PASSWORD;

/// Account, act, outcome.
type Act = (String, String, &'static str);

/// Whose token it is.
fn account(token: &str) -> String {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    claims["sub"].as_str().unwrap().to_owned()
}

/// The whole audit log, oldest first, in pages of this size.
fn audit(world: &World, query: &str, page: usize) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let line = format!("GET /v1/admin/audit?limit={page}{query}{cursor}");
        let answer = world.ask("platform", &line, "");
        assert_eq!(answer.status, 200, "{line}: {}", answer.text());
        let body = answer.json();
        all.extend(body["items"].as_array().unwrap().iter().cloned());
        match body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    all.reverse();
    all
}

fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().unwrap_or_default()
}

/// What the audit log is to say of an answer: nothing of what is not there, of what was not in
/// order, and of what nobody asked.
fn expected(route: &Route, who: &str, letter: char, answer: &Answer) -> Option<&'static str> {
    let of_others = who == "platform" && route.path.contains("{pool}");
    let of_others = of_others || (who == "platform" && *route == route::CLIENT_HISTORY);
    let is_client = [route::RENEW_CLIENT, route::REVOKE_CLIENT].contains(route);
    match (answer.status, letter) {
        (202, _) if route.is_audited() => Some("asked"),
        (..400, _) if route.is_audited() || of_others => Some("done"),
        // The contributor is nobody's API client; the device is nobody yet.
        (404, _) if is_client || *route == route::JOIN_DEVICE => None,
        (400.., 'f' | 's' | 'w' | 'h' | 'o') => Some("denied"),
        _ => None,
    }
}

#[test]
fn each_act_and_each_denial_is_in_the_audit_log_once() {
    let world = World::new();
    let before = audit(&world, "", 1_000).len();
    let mut told: BTreeMap<Act, usize> = BTreeMap::new();
    // Reading it is an act of its own.
    told.insert((account(world.token("platform").unwrap()), "audit".into(), "done"), 1);
    for (route, letters) in rows() {
        for (who, letter) in PEOPLE.into_iter().zip(letters) {
            let answer = ask(&world, who, route, &path(route, who));
            let Some(token) = world.token(who) else { continue };
            if let Some(outcome) = expected(route, who, letter, &answer) {
                // Whoever signs in is who they sign in as, whoever asks.
                let actor = match *route {
                    route::LOG_IN => account(world.token("owner").unwrap()),
                    _ => account(token),
                };
                *told.entry((actor, route.audit_name(), outcome)).or_default() += 1;
            }
        }
    }
    *told.get_mut(&(account(world.token("owner").unwrap()), "log-in".into(), "done")).unwrap() += 1;
    let mut recorded: BTreeMap<Act, usize> = BTreeMap::new();
    let all = audit(&world, "", 7);
    let strangers: u64 = all[before..]
        .iter()
        .filter(|record| record["actor"].is_null())
        .map(|record| record["times"].as_u64().unwrap())
        .sum();
    let reading = all.len();
    for record in all[before..].iter().filter(|record| !record["actor"].is_null()) {
        let outcome = match text(record, "outcome") {
            "done" => "done",
            "denied" => "denied",
            "asked" => "asked",
            other => panic!("{other}: {record}"),
        };
        let act = (text(record, "actor").to_owned(), text(record, "act").to_owned(), outcome);
        *recorded.entry(act).or_default() += 1;
    }
    // The pages of this reading come after it began.
    assert!(reading > before);
    let wrong: Vec<_> = told
        .iter()
        .filter(|(act, times)| recorded.get(act) != Some(times))
        .map(|(act, times)| format!("{act:?}: {times} told, {:?} recorded", recorded.get(act)))
        .chain(
            recorded
                .keys()
                .filter(|act| !told.contains_key(act))
                .map(|act| format!("{act:?}: told of by nobody")),
        )
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(strangers, PEOPLE.len() as u64, "devices without a good token are counted");
    filters(&world, &all);
}

/// What is asked for is what there is of it, and a pool's own is what is about it.
fn filters(world: &World, all: &[Value]) {
    let owner = world.fact("owner").to_owned();
    let denied = |record: &Value| text(record, "outcome") == "denied";
    let check = |query: &str, wanted: &dyn Fn(&Value) -> bool| {
        let wanted: Vec<_> = all.iter().filter(|record| wanted(record)).collect();
        let mut found = audit(world, query, 5);
        found.truncate(wanted.len());
        assert!(!wanted.is_empty() && found.iter().eq(wanted.iter().copied()), "{query}");
    };
    check(&format!("&actor={owner}"), &|record| text(record, "actor") == owner);
    check("&outcome=denied", &denied);
    check("&act=log-in", &|record| text(record, "act") == "log-in");
    let pool = world.fact("pool").to_owned();
    check(&format!("&pool={pool}&outcome=denied"), &|record| {
        text(record, "pool") == pool && denied(record)
    });
    let guest = world.fact("guest").to_owned();
    check(&format!("&object={guest}"), &|record| text(record, "object") == guest);
    let middle = text(&all[all.len() / 2], "at").to_owned();
    check(&format!("&from={middle}"), &|record| text(record, "at") >= middle.as_str());
    check(&format!("&to={middle}"), &|record| text(record, "at") < middle.as_str());
    let own = world.ask("owner", "GET /v1/pools/$pool/audit?limit=3", "").json();
    let items = own["items"].as_array().unwrap();
    assert_eq!(items.len(), 3);
    assert!(items.iter().all(|record| text(record, "pool") == pool), "{own}");
    assert!(own["next_cursor"].is_string());
}

/// Every file below the folder that has one of these texts in it.
fn having(folder: &Path, texts: &[(String, String)], found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // What is sent is stored, and keys are where keys are.
        if path.is_dir() && !path.ends_with("blobs") && !path.ends_with("keys") {
            having(&path, texts, found);
        } else if path.is_file() {
            let bytes = fs::read(&path).unwrap();
            for (what, text) in texts {
                if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                    found.push(format!("{what} in {}", path.display()));
                }
            }
        }
    }
}

#[test]
fn no_secret_is_in_any_log_or_table() {
    let mut world = World::new();
    let mut secrets: Vec<(String, String)> = Vec::new();
    let mut keep = |what: &str, text: &str| secrets.push((what.to_owned(), text.to_owned()));
    let signed_in =
        world.done("nobody", "PUT /auth/login/owner", r#"{"password":"a long password"}"#);
    keep("the refresh token", signed_in["refresh_token"].as_str().unwrap());
    keep("the access token", signed_in["access_token"].as_str().unwrap());
    let client = world.done("owner", "POST /v1/clients", r#"{"name":"the-service"}"#);
    keep("the secret of a client", client["client_secret"].as_str().unwrap());
    let token =
        world.done("owner", "POST /v1/pools/$pool/join-tokens", r#"{"roles":["listener"]}"#);
    keep("a join token", token["token"].as_str().unwrap());
    let device = json!({ "token": token["token"] }).to_string();
    let device = world.done("nobody", "POST /v1/pools/$pool/devices", &device);
    keep("the password of a device", device["password"].as_str().unwrap());
    // What is typed into the wrong field, and what nobody asked for.
    for line in [
        "PUT /auth/login/hunter2-in-the-wrong-field",
        "PUT /auth/login/ada%40example.org",
        "POST /v1/pools/$pool/join",
    ] {
        let body = r#"{"password":"a wrong password","token":"a wrong token"}"#;
        world.ask("owner", line, body);
    }
    keep("what was typed", "hunter2-in-the-wrong-field");
    keep("an address", "example.org");
    keep("a password that was wrong", "a wrong password");
    keep("a token that was wrong", "a wrong token");
    keep("a password", "a long password");
    keep("the admin's password", ADMIN_PASSWORD);
    for (who, token) in &world.tokens {
        keep(&format!("the token of {who}"), token);
    }
    // Any of them, whoever it is of.
    keep("a token of ours", "eyJ0eXAiOiJhdCtqd3Qi");
    assert!(world.token("owner").unwrap().starts_with("eyJ0eXAiOiJhdCtqd3Qi"));
    // What strangers were denied is there as well by then.
    assert!(audit(&world, "", 1_000).iter().any(|record| text(record, "act") == "log-in"));
    world.server.stop();
    let mut found = Vec::new();
    having(world.server.data(), &secrets, &mut found);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn what_was_answered_is_in_the_audit_log_whatever_dies() {
    let mut world = World::new();
    let guest = world.fact("guest").to_owned();
    let disable = format!("POST /v1/accounts/{guest}/disable");
    assert_eq!(world.ask("platform", &disable, "").status, 204);
    world.server.kill();
    assert!(world.server.again());
    let query = format!("&act=disable-account&object={guest}");
    let records = audit(&world, &query, 10);
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(text(&records[0], "outcome"), "done");
}
