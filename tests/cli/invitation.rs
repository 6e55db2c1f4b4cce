//! Who may not sign up comes by invitation: a join token, made, listed, used once, revoked.

use serde_json::Value;

use super::stand::{POOL, Stand};

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

#[test]
fn an_invitation_is_good_once_and_can_be_taken_back() {
    let mut stand = Stand::new("1h");
    stand.stop();
    stand.server.say(&["--sign-ups", "invite"]);
    assert!(stand.server.again());
    let uninvited = stand.run("eve", &["signup", "eve"]);
    assert_eq!(uninvited.code, 4, "{uninvited:?}");
    let invite = |stand: &Stand, life: &str| {
        let issue = ["pool", "token", POOL, "--role", "listener", "--uses", "1", "--for", life];
        stand.json("ada", &issue).remove(0)
    };
    let [used, taken_back, open] = ["7d", "7d", "1d"].map(|life| invite(&stand, life));
    let joined = stand.json("eve", &["join", POOL, text(&used, "token"), "--name", "eve"]);
    assert_eq!((text(&joined[0], "user_name"), joined[0].get("password")), ("eve", None));
    assert_eq!(stand.json("eve", &["history"]).len(), 0, "eve is signed in");
    let login = stand.run("eve", &["login", "eve"]);
    assert_eq!(login.code, 0, "with the password that was chosen: {login:?}");
    let again = stand.run("mallory", &["join", POOL, text(&used, "token"), "--name", "mallory"]);
    assert_ne!(again.code, 0, "it is used up");
    stand.well("ada", &["pool", "revoke", POOL, text(&taken_back, "id")]);
    let revoked =
        stand.run("trent", &["join", POOL, text(&taken_back, "token"), "--name", "trent"]);
    assert_ne!(revoked.code, 0, "it was taken back");
    let listed = stand.json("ada", &["pool", "tokens", POOL]);
    let state = |token: &Value| {
        let found = listed.iter().find(|listed| listed["id"] == token["id"]);
        let found = found.unwrap_or_else(|| panic!("{token} is not in {listed:?}"));
        (found["uses_left"].as_u64().unwrap(), found["revoked"].as_bool().unwrap_or(false))
    };
    assert_eq!(
        (state(&used), state(&taken_back), state(&open)),
        ((0, false), (1, true), (1, false))
    );
    assert!(listed.iter().all(|token| token.get("token").is_none()), "no secret is listed");
    let audit = stand.json("ada", &["audit", "-p", POOL, "--act", "join-device"]);
    let outcomes: Vec<_> = audit.iter().map(|record| text(record, "outcome")).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == "done").count(), 1, "{audit:?}");
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == "denied").count(), 2, "{audit:?}");
}
