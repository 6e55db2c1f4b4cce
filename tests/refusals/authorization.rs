//! Every route and everyone: who is let in, and what the others are told.

use std::collections::BTreeSet;

use schemas::problem::Code;
use schemas::role::{Act, Role, RoleSet, Verdict, judge};
use schemas::route::{self, Method, Route};

use super::is_problem;
use super::wire::Answer;
use super::world::{MEMBERS, World};

const TABLE: &str = include_str!("authorization.txt");

/// The columns of the table.
pub(super) const PEOPLE: [&str; 14] = [
    "nobody",
    "stranger",
    "platform",
    "owner",
    "admin",
    "contributor",
    "other",
    "listener",
    "processor",
    "analyst",
    "removed",
    "suspended",
    "device",
    "service",
];

const JSON: &str = "application/json";
const FORM: &str = "multipart/form-data; boundary=X";

/// What is sent with a request that is as it should be but for who sends it: a query, a type and a
/// body. Whoever is let in changes nothing that another row needs.
const SENT: &[(Route, &str, &str, &str)] = &[
    (route::SIGN_UP, "", JSON, r#"{"user_name":"owner","password":"a long password"}"#),
    (route::LOG_IN, "", JSON, r#"{"password":"a long password"}"#),
    (route::VALIDATE, "?user_id=$out", "", ""),
    (route::TOKEN, "", "application/x-www-form-urlencoded", "grant_type=none"),
    (route::MAKE_CLIENT, "", JSON, r#"{"name":"owner"}"#),
    (route::CREATE_POOL, "", JSON, r#"{"name":"elsewhere"}"#),
    (route::CHANGE_POLICY, "", JSON, "{}"),
    (route::CLOSE_WINDOW, "", JSON, r#"{"at":"1970-01-01T00:00:00Z"}"#),
    (route::ADD_MEMBER, "", JSON, r#"{"roles":["listener"]}"#),
    (route::ARCHIVE_POOL, "", JSON, r#"{"open_windows":"cancel"}"#),
    (route::GIVE_AWAY, "", JSON, r#"{"account":"$owner"}"#),
    (route::JOIN_DEVICE, "", JSON, r#"{"token":"never issued"}"#),
    (route::ISSUE_TOKEN, "", JSON, r#"{"roles":["listener"]}"#),
    (route::JOIN, "", JSON, r#"{"token":"never issued"}"#),
    (route::UPLOAD, "?name=a.csv", "text/csv", "a,b"),
    (route::FILE_UPLOAD, "?pool=$pool&name=a.csv", "text/csv", "a,b"),
    (route::API_UPLOAD, "?pool=$pool&name=a.csv", "text/csv", "a,b"),
    (route::UPDATE, "", FORM, "$manifest\r\n$part_a\r\n$part_b\r\n--X--"),
    (route::RELEASE_UPLOAD, "", JSON, "{}"),
    (
        route::REQUEST_BATCH,
        "",
        JSON,
        r#"{"from":"1970-01-01T00:00:00Z","to":"1970-01-01T01:00:00Z"}"#,
    ),
    (route::CLAIM, "", JSON, r#"{"claim":"0199f3a2-5c1e-7d53-b0a4-3d2f0c7f9a11"}"#),
    (route::RENEW, "", JSON, r#"{"epoch":0}"#),
    (route::FAIL, "", JSON, r#"{"epoch":0,"reason":"none"}"#),
    (
        route::OFFER_RESULT,
        "?name=r.txt&revision=1&epoch=0&manifest_sha256=$leased_manifest",
        "text/plain",
        "43",
    ),
    (
        route::ACKNOWLEDGE,
        "",
        JSON,
        r#"{"sha256":"0000000000000000000000000000000000000000000000000000000000000000"}"#,
    ),
];

/// The rows of the table: a route and a letter for each of [`PEOPLE`].
pub(super) fn rows() -> Vec<(&'static Route, Vec<char>)> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let row = |line: &str| {
        let (name, letters) = line.split_once('|').unwrap();
        let route = route::ALL.iter().find(|route| named(route) == name.trim());
        let route = route.unwrap_or_else(|| panic!("there is no route {name}"));
        let letters: Vec<char> = letters.chars().filter(|letter| *letter != ' ').collect();
        assert_eq!(letters.len(), PEOPLE.len(), "{name}");
        (route, letters)
    };
    lines.map(row).collect()
}

pub(super) fn verb(route: &Route) -> &'static str {
    match route.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
    }
}

fn named(route: &Route) -> String {
    format!("{} {}", verb(route), route.path)
}

/// The route's path with what is there in place of its parameters.
pub(super) fn path(route: &Route, who: &str) -> String {
    let batch = if route.act == Act::Work { "$leased" } else { "$done" };
    let account = match *route {
        // Each who may removes another.
        route::REMOVE_MEMBER if who == "platform" => "$leaver_one",
        route::REMOVE_MEMBER if who == "admin" => "$leaver_two",
        // An owner, the last one, stays.
        route::REMOVE_MEMBER => "$owner",
        route::SUSPEND_MEMBER | route::RESUME_MEMBER => "$rival",
        _ => "$guest",
    };
    // What is archived already is not changed by it.
    let pool = if *route == route::ARCHIVE_POOL { "$attic" } else { "$pool" };
    let name = if *route == route::LOG_IN { "owner" } else { "out" };
    let parameters = [
        ("{pool}", pool),
        ("{token}", "$spare_token"),
        ("{account}", account),
        ("{client}", "$contributor"),
        ("{upload}", "$upload"),
        ("{batch}", batch),
        ("{result}", "$result"),
        ("{user_name}", name),
        ("{part}", "start.js"),
    ];
    let fill = |path: String, (name, fact): (&str, &str)| path.replace(name, fact);
    let path = parameters.into_iter().fold(route.path.to_owned(), fill);
    assert!(!path.contains('{'), "what is to stand in {path}?");
    path
}

pub(super) fn ask(world: &World, who: &str, route: &Route, path: &str) -> Answer {
    let sent = SENT.iter().find(|(sent, ..)| sent == route);
    let (query, kind, body) =
        sent.map_or(("", "", ""), |(_, query, kind, body)| (query, kind, body));
    let mut headers = "x-request-id: the-same-for-all\r\n".to_owned();
    if !kind.is_empty() {
        headers.push_str("content-type: ");
        headers.push_str(kind);
        headers.push_str("\r\n");
    }
    world.ask_with(who, &format!("{} {path}{query}", verb(route)), &headers, body)
}

fn as_told(answer: &Answer, letter: char) -> Result<(), String> {
    match letter {
        '+' if [401, 403, 404].contains(&answer.status) => Err("is not let in".to_owned()),
        '+' if answer.status >= 500 => Err("fails".to_owned()),
        '+' => Ok(()),
        '-' => is_problem(answer, Code::NotSignedIn),
        'h' | 'o' => is_problem(answer, Code::NotFound),
        'f' => is_problem(answer, Code::Forbidden),
        's' => is_problem(answer, Code::MemberSuspended),
        'w' => is_problem(answer, Code::WrongUser),
        'c' if answer.json()["error"] == "invalid_client" => Ok(()),
        letter => Err(format!("what is {letter}?")),
    }
}

#[test]
fn every_route_lets_in_whom_the_table_says() {
    let rows = rows();
    let ruled: BTreeSet<String> = rows.iter().map(|(route, _)| named(route)).collect();
    let all: BTreeSet<String> = route::ALL.iter().map(named).collect();
    assert_eq!(ruled, all, "every route has a row");
    let world = World::new();
    let mut wrong = Vec::new();
    for (route, letters) in rows {
        for (who, letter) in PEOPLE.into_iter().zip(letters) {
            let answer = ask(&world, who, route, &path(route, who));
            if let Err(why) = as_told(&answer, letter) {
                let (status, text) = (answer.status, answer.text());
                wrong.push(format!("{who} {}: {letter}: {why}: {status} {text}", named(route)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_pool_one_is_not_in_is_told_from_one_that_is_not_there_in_nothing() {
    let world = World::new();
    for route in route::ALL.iter().filter(|route| route.path.contains("{pool}")) {
        for who in ["stranger", "removed", "nobody"] {
            let [there, nowhere] = ["$pool", "$nowhere"].map(|pool| {
                let path = path(route, who).replace("$attic", "$pool").replace("$pool", pool);
                let mut answer = ask(&world, who, route, &path);
                answer.headers.retain(|(name, _)| name != "date");
                answer
            });
            assert_eq!(there, nowhere, "{who} {}", named(route));
        }
    }
}

/// Whether the roles say who may.
fn judged(act: Act) -> bool {
    ![Act::Join, Act::JoinDevice].contains(&act)
}

#[test]
fn the_table_says_what_the_roles_say() {
    for (route, letters) in rows() {
        if !route.path.contains("{pool}") || !judged(route.act) {
            continue;
        }
        for (who, letter) in PEOPLE.into_iter().zip(letters) {
            let role = MEMBERS.iter().find(|(name, _)| *name == who).map(|(_, role)| *role);
            let role = role.or((who == "owner").then_some("owner"));
            let role = role.or((who == "device").then_some("contributor"));
            let role = role.or((who == "service").then_some("processor"));
            let roles = role.map(|role| RoleSet::of(&[role.parse::<Role>().unwrap()]));
            let expected: &[char] = match judge(route.act, roles, who == "platform") {
                _ if who == "nobody" => &['-'],
                _ if who == "suspended" => &['s'],
                Verdict::Yes => &['+'],
                Verdict::OwnOnly => &['+', 'o'],
                Verdict::Forbidden => &['f'],
                Verdict::Hidden => &['h'],
            };
            assert!(expected.contains(&letter), "{who} {}: {letter}", named(route));
        }
    }
}
