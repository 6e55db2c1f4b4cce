//! HTTP/1.1 by hand: what a client library would not send, sent; what came back, taken apart.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// Whoever says nothing for longer hangs.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Whether the client goes on listening only, once it has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Waits,
    Ends,
}

/// Sends bytes on a connection of their own and reads until the server closes it. `Ok(None)`: it
/// closed without a word. `Err`: it did something that is no answer.
pub(super) fn send(address: &str, request: &[u8], then: Then) -> Result<Option<Answer>, String> {
    let mut socket = TcpStream::connect(address).map_err(|error| error.to_string())?;
    socket.set_read_timeout(Some(SILENCE_MAX)).unwrap();
    socket.set_write_timeout(Some(SILENCE_MAX)).unwrap();
    // A server that has refused need not read the rest; what it said is read below.
    let written = socket.write_all(request);
    if then == Then::Ends && written.is_ok() {
        _ = socket.shutdown(Shutdown::Write);
    }
    let mut came = Vec::new();
    let mut piece = [0; 16_384];
    loop {
        match socket.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => came.extend(piece.iter().take(n)),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            // A read with a timeout is not begun again by itself after a signal.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("it hangs: {error}, after {} bytes", came.len())),
        }
        // A stream of events never ends.
        if came.starts_with(b"HTTP/1.1 200") && contains(&came, b"text/event-stream\r\n") {
            break;
        }
    }
    if came.is_empty() { Ok(None) } else { parse(&came).map(Some) }
}

fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

fn parse(came: &[u8]) -> Result<Answer, String> {
    let no_answer = || format!("no answer: {}", String::from_utf8_lossy(came));
    let end = came.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(no_answer)?;
    let head = String::from_utf8_lossy(&came[..end]).into_owned();
    let body = &came[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
    let status = status.and_then(|line| line.get(..3)?.parse().ok()).ok_or_else(no_answer)?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers = lines.map(header).collect::<Option<_>>().ok_or_else(no_answer)?;
    let mut answer = Answer { status, headers, body: Vec::new() };
    let length = answer.header("content-length").map(|length| length.parse().unwrap_or(usize::MAX));
    answer.body = match length {
        Some(length) if body.len() < length => return Err(format!("a short body: {head}")),
        // Two answers to one request: it was taken for two.
        Some(length) if body.len() > length => return Err(no_answer()),
        None if answer.header("transfer-encoding").is_some() => unchunked(body),
        _ => body.to_vec(),
    };
    Ok(answer)
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).unwrap_or_default();
        let size = usize::from_str_radix(size, 16).unwrap_or(0);
        body = &body[end + 2..];
        if size == 0 || body.len() < size {
            break;
        }
        whole.extend(&body[..size]);
        body = body.get(size + 2..).unwrap_or_default();
    }
    whole
}
