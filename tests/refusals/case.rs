//! The cases as data: files in the manner of `.http` files, one request each and what it is told.
//!
//! ```text
//! ### what is wrong with it
//! contributor POST /v1/pools/$pool/uploads?name=a.csv
//! content-type: text/csv
//!
//! the body, its lines joined by CRLF
//! < 415 forbidden-file-type
//! < header: value
//! ```
//! `nobody` sends no token. What every request has is added unless it is given: host, length, the
//! type `application/json` of a body (`content-type:` leaves it out), `connection: close`.
//! `raw` in place of the first line: what follows is sent as it is, to the line of the answer;
//! `cut`: and then the sending side is closed. `\xHH` is a byte, `\{N*x}` is N times x, `\u` and
//! `\"` stay as they are; `$name` is something of [`World`].
//!
//! The answer: a status and a problem code; a status alone where the request never came as far as
//! a route; `oauth` and an error of RFC 6749; or `closed`, without a word.

use std::ops::Range;

use schemas::problem::Code;
use schemas::route::{self, Route};

use super::authorization;
use super::wire::Then;
use super::world::World;

const FILES: &[(&str, &str)] = &[
    ("framing", include_str!("cases/framing.http")),
    ("accounts", include_str!("cases/accounts.http")),
    ("tokens", include_str!("cases/tokens.http")),
    ("pools", include_str!("cases/pools.http")),
    ("uploads", include_str!("cases/uploads.http")),
    ("updates", include_str!("cases/updates.http")),
    ("webhooks", include_str!("cases/webhooks.http")),
    ("work", include_str!("cases/work.http")),
    ("reads", include_str!("cases/reads.http")),
];

/// What a request is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Problem(Code),
    OAuth(u16, String),
    Status(u16),
    Closed,
}

#[derive(Clone, Debug)]
pub(super) struct Case {
    /// Its file and what is wrong with it.
    pub(super) says: String,
    /// Its first line, or `raw` or `cut`.
    ask: String,
    headers: Vec<String>,
    body: String,
    pub(super) told: Told,
    pub(super) with: Vec<(String, String)>,
}

/// All of them.
pub(super) fn all() -> Vec<Case> {
    let of = |(file, text): &(&str, &str)| {
        let cases = text.split("### ").skip(1);
        cases.map(|case| Case::parse(file, case)).collect::<Vec<_>>()
    };
    FILES.iter().flat_map(of).collect()
}

impl Case {
    fn parse(file: &str, text: &str) -> Self {
        let (title, rest) = text.split_once('\n').unwrap();
        let says = format!("{file}: {title}");
        let (request, answer) = rest.split_once("\n< ").unwrap_or_else(|| panic!("{says}: told?"));
        let (ask, request) = request.split_once('\n').unwrap_or((request, ""));
        let (head, body) = match ask {
            "raw" | "cut" => ("", format!("{request}\n")),
            _ => match format!("\n{request}").split_once("\n\n") {
                Some((_, body)) => (&request[..request.len() - body.len()], body.to_owned()),
                None => (request, String::new()),
            },
        };
        let headers = head.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        let mut answers = answer.trim_end().split("\n< ");
        let told = Told::parse(answers.next().unwrap_or_default(), &says);
        let with = answers.map(|line| line.split_once(": ").unwrap_or_else(|| panic!("{says}")));
        let with = with.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let body = body.replace('\n', "\r\n");
        Self { says, ask: ask.to_owned(), headers, body, told, with }
    }

    /// The route it is sent to, if it comes as far.
    pub(super) fn route(&self) -> Option<&'static Route> {
        let mut words = self.ask.split(' ').skip(1);
        let (verb, target) = (words.next()?, words.next()?);
        let path: Vec<&str> = target.split('?').next()?.split('/').collect();
        let is_it = |route: &&Route| {
            let parts: Vec<&str> = route.path.split('/').collect();
            let mut both = parts.iter().zip(&path);
            authorization::verb(route) == verb
                && parts.len() == path.len()
                && both.all(|(part, given)| part == given || part.starts_with('{'))
        };
        // One without parameters goes before one with.
        route::ALL.iter().filter(is_it).min_by_key(|route| route.path.matches('{').count())
    }

    /// What is sent.
    pub(super) fn request(&self, world: &World, id: &str) -> (Vec<u8>, Then) {
        match self.ask.as_str() {
            "raw" => return (self.bytes(&self.body, world), Then::Waits),
            "cut" => return (self.bytes(&self.body, world), Then::Ends),
            _ => {}
        }
        let (who, line) = self.ask.split_once(' ').unwrap_or_else(|| panic!("{}", self.says));
        let body = self.bytes(&self.body, world);
        let mut head = format!("{line} HTTP/1.1\r\n");
        let mut names = Vec::new();
        for header in &self.headers {
            let (name, value) = header.split_once(':').unwrap_or_else(|| panic!("{}", self.says));
            names.push(name.to_owned());
            if !value.is_empty() {
                head.extend([header, "\r\n"]);
            }
        }
        let mut add = |name: &str, value: String| {
            if !names.iter().any(|given| given == name) {
                head.extend([name, ": ", &value, "\r\n"]);
            }
        };
        add("host", "localhost".to_owned());
        add("connection", "close".to_owned());
        add("x-request-id", id.to_owned());
        if let Some(token) = world.token(who) {
            add("authorization", format!("Bearer {token}"));
        }
        if !body.is_empty() {
            add("content-type", "application/json".to_owned());
        }
        if !body.is_empty() || !line.starts_with("GET") {
            let chunked = self.headers.iter().any(|header| header.starts_with("transfer-encoding"));
            if !chunked {
                add("content-length", body.len().to_string());
            }
        }
        let mut request = self.bytes(&format!("{head}\r\n"), world);
        request.extend(body);
        (request, Then::Waits)
    }

    fn bytes(&self, text: &str, world: &World) -> Vec<u8> {
        unescaped(&world.filled_in(text), &self.says)
    }
}

impl Told {
    fn parse(line: &str, says: &str) -> Self {
        let (status, rest) = line.split_once(' ').unwrap_or((line, ""));
        if status == "closed" {
            return Self::Closed;
        }
        let status = status.parse().unwrap_or_else(|_| panic!("{says}: {line}"));
        if rest.is_empty() {
            return Self::Status(status);
        }
        if let Some(error) = rest.strip_prefix("oauth ") {
            return Self::OAuth(status, error.to_owned());
        }
        let code = Code::ALL.iter().find(|code| code.as_str() == rest);
        let code = *code.unwrap_or_else(|| panic!("{says}: no code {rest}"));
        assert_eq!(code.status(), status, "{says}: another status");
        Self::Problem(code)
    }
}

fn unescaped(text: &str, says: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend(before.as_bytes());
        let part = |range: Range<usize>| after.get(range).unwrap_or_else(|| panic!("{says}"));
        rest = match part(0..1) {
            "x" => {
                bytes.push(u8::from_str_radix(part(1..3), 16).unwrap());
                part(3..after.len())
            }
            "{" => {
                let (repeated, rest) = after.split_once('}').unwrap();
                let (times, what) = part(1..repeated.len()).split_once('*').unwrap();
                bytes.extend(unescaped(what, says).repeat(times.parse().unwrap()));
                rest
            }
            "u" | "\"" => {
                bytes.push(b'\\');
                after
            }
            other => panic!("{says}: \\{other}"),
        };
    }
    bytes.extend(rest.as_bytes());
    bytes
}
