//! A server with pools, people and things in every state that a refusal needs, and how to ask it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::making::expired_token;
use super::wire::{Answer, Then, send};
use crate::server::{Server, Setup};

/// How long something that must come may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Everyone but nobody, and what they are in the pool.
pub(super) const MEMBERS: &[(&str, &str)] = &[
    ("admin", "admin"),
    ("contributor", "contributor"),
    ("other", "contributor"),
    ("listener", "listener"),
    ("processor", "processor"),
    ("rival", "processor"),
    ("analyst", "analyst"),
    ("suspended", "contributor"),
];

pub(super) struct World {
    pub(super) server: Server,
    /// Text by its name.
    pub(super) facts: BTreeMap<String, String>,
    pub(super) tokens: BTreeMap<String, String>,
    /// The last position of the pool that an answer named.
    position: String,
    _folder: tempfile::TempDir,
}

impl World {
    /// One in which every file is in a batch, and nothing happens by itself.
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let expired = expired_token(&data);
        let mut setup = Setup::new(&data);
        for limit in [
            "head_wait_ms_max=1500",
            "body_pause_ms_max=1500",
            "file_bytes_max=100000",
            "update_bytes_max=20000",
            "update_files_max=3",
            "range_files_max=1",
            "pools_max=4",
            "pool_webhooks_max=3",
        ] {
            setup.limits.push(limit.to_owned());
        }
        // Targets of webhooks that nobody serves; they are never sent anything.
        setup.flags = ["--webhook-network", "127.0.0.0/8"].map(str::to_owned).into();
        let server = Server::start(setup);
        let (facts, tokens) = (BTreeMap::new(), BTreeMap::new());
        let mut world = Self { server, facts, tokens, position: String::new(), _folder: folder };
        world.know("expired", &expired);
        world.people();
        world.pools();
        world.batches();
        world.join_tokens();
        world.webhooks();
        world.standing();
        world.forge();
        world.parts();
        world
    }

    pub(super) fn token(&self, who: &str) -> Option<&str> {
        let token = self.tokens.get(who);
        assert!(token.is_some() || who == "nobody", "who is {who}?");
        token.map(String::as_str)
    }

    /// Something of this world by its name.
    pub(super) fn fact(&self, name: &str) -> &str {
        self.facts.get(name).unwrap_or_else(|| panic!("no fact ${name}"))
    }

    pub(super) fn know(&mut self, name: &str, value: &str) {
        self.facts.insert(name.to_owned(), value.to_owned());
    }

    /// The text with every `$name` in place.
    pub(super) fn filled_in(&self, text: &str) -> String {
        let mut parts = text.split('$');
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
            let end = part.find(|c| !is_name(c)).unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            filled.push_str(&self.filled_in(self.fact(name)));
            filled.push_str(rest);
        }
        filled
    }

    pub(super) fn address(&self) -> String {
        self.server.url().replace("http://", "")
    }

    /// Asks with a JSON body, or with none.
    pub(super) fn ask(&self, who: &str, line: &str, body: &str) -> Answer {
        self.ask_with(who, line, "content-type: application/json\r\n", body)
    }

    pub(super) fn ask_with(&self, who: &str, line: &str, headers: &str, body: &str) -> Answer {
        let mut request = format!("{} HTTP/1.1\r\n", self.filled_in(line));
        let (headers, body) = (self.filled_in(headers), self.filled_in(body));
        if let Some(token) = self.token(who) {
            write!(request, "authorization: Bearer {token}\r\n").unwrap();
        }
        if line.starts_with("GET ") && !self.position.is_empty() && line.contains("$pool") {
            write!(request, "sluice-position: {}\r\n", self.position).unwrap();
        }
        let length = body.len();
        write!(
            request,
            "host: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        )
        .unwrap();
        let answer = send(&self.address(), request.as_bytes(), Then::Waits);
        answer.unwrap().unwrap_or_else(|| panic!("{line}: no answer"))
    }

    /// Asks for what must be done.
    pub(super) fn done(&mut self, who: &str, line: &str, body: &str) -> Value {
        self.done_with(who, line, "content-type: application/json\r\n", body)
    }

    pub(super) fn done_with(&mut self, who: &str, line: &str, headers: &str, body: &str) -> Value {
        let answer = self.ask_with(who, line, headers, body);
        let (status, text) = (answer.status, answer.text());
        assert!((200..300).contains(&status), "{who} {line}: {status} {text}");
        if line.contains("$pool/")
            && let Some(position) = answer.header("sluice-position")
        {
            position.clone_into(&mut self.position);
        }
        answer.json()
    }

    /// What must not change: the files on the disk, and all that can be read of both pools.
    pub(super) fn left(&self) -> BTreeMap<String, String> {
        let mut left = BTreeMap::new();
        list(self.server.data(), &mut left);
        for (who, pool) in
            [("owner", "$pool"), ("owner", "$csv"), ("owner", "$attic"), ("stranger", "$foreign")]
        {
            for part in ["", "/members", "/windows", "/batches", "/results"] {
                self.note(who, &format!("GET /v1/pools/{pool}{part}"), &mut left);
            }
        }
        for line in [
            "GET /client/history/$contributor",
            "GET /v1/pools/$pool/batches/$done",
            "GET /v1/pools/$pool/batches/$leased",
            "GET /v1/pools/$pool/batches/$lost",
            "GET /v1/pools/$pool/results/$result/deliveries",
            "GET /v1/pools",
        ] {
            self.note("platform", line, &mut left);
        }
        left
    }

    fn note(&self, who: &str, line: &str, left: &mut BTreeMap<String, String>) {
        let answer = self.ask(who, line, "");
        assert_eq!(answer.status, 200, "{who} {line}: {}", answer.text());
        left.insert(format!("{who} {line}"), answer.text());
    }

    /// Waits until what is left does not change any more.
    pub(super) fn rest(&self) -> BTreeMap<String, String> {
        let until = Instant::now() + PATIENCE;
        let mut left = self.left();
        loop {
            std::thread::sleep(Duration::from_millis(300));
            let again = self.left();
            if again == left || Instant::now() > until {
                return again;
            }
            left = again;
        }
    }
}

fn list(folder: &Path, left: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, left);
        } else if !path.to_string_lossy().contains(".sqlite") && !path.ends_with("server.log") {
            let size = path.metadata().unwrap().len();
            left.insert(path.display().to_string(), format!("{size} bytes"));
        }
    }
}
