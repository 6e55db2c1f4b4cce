//! Server-sent events, parsed as they come (WHATWG HTML, section 9.2.6).

use std::time::Duration;

/// Longest line and longest event that are taken.
const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SseEvent {
    /// The last id named up to it, by this event or an earlier one.
    pub(crate) id: Option<String>,
    /// Its data, lines joined.
    pub(crate) data: String,
}

/// A line or an event was too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {EVENT_BYTES_MAX} bytes")]
pub(crate) struct TooLong;

/// A stream of events being read.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    /// The last byte was a CR: an LF that follows belongs to it.
    after_cr: bool,
    begun: bool,
    data: Option<String>,
    /// As named by the event that is coming in.
    coming_id: Option<String>,
    id: Option<String>,
    retry: Option<Duration>,
}

impl Parser {
    /// Of a stream that goes on after this id.
    pub(crate) fn after(id: Option<String>) -> Self {
        Self { coming_id: id.clone(), id, ..Self::default() }
    }

    /// The stream was cut and begins again: what had not ended will come once more.
    pub(crate) fn begin_again(&mut self) {
        *self = Self { retry: self.retry, ..Self::after(self.id.take()) };
    }

    /// The last id named by an event that has ended.
    pub(crate) fn id(&self) -> Option<&String> {
        self.id.as_ref()
    }

    /// How long the server asks to wait before coming back, if it does.
    pub(crate) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Takes the next bytes; gives the events that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<SseEvent>, TooLong> {
        let mut events = Vec::new();
        for byte in bytes {
            let was_cr = std::mem::replace(&mut self.after_cr, *byte == b'\r');
            match byte {
                b'\n' if was_cr => {}
                b'\n' | b'\r' => {
                    let line = std::mem::take(&mut self.line);
                    events.extend(self.end_line(&line)?);
                }
                _ if self.line.len() == EVENT_BYTES_MAX => return Err(TooLong),
                byte => self.line.push(*byte),
            }
        }
        Ok(events)
    }

    fn end_line(&mut self, line: &[u8]) -> Result<Option<SseEvent>, TooLong> {
        let line = String::from_utf8_lossy(line);
        let mut line = &*line;
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            self.id.clone_from(&self.coming_id);
            let data = self.data.take();
            return Ok(data.map(|data| SseEvent { id: self.id.clone(), data }));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut self.data {
                Some(data) if data.len() + value.len() >= EVENT_BYTES_MAX => return Err(TooLong),
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "id" if !value.contains('\0') => self.coming_id = Some(value.to_owned()),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(Duration::from_millis).or(self.retry);
            }
            // Comments have no name; every notice names its kind in its data.
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the text says in one piece, after checking that it says the same in any pieces.
    fn parsed(text: &str) -> Vec<(Option<String>, String)> {
        let of = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut parser = Parser::default();
            let events: Vec<_> = pieces.flat_map(|piece| parser.push(piece).unwrap()).collect();
            events.into_iter().map(|event| (event.id, event.data)).collect::<Vec<_>>()
        };
        let whole = of(&mut std::iter::once(text.as_bytes()));
        for size in 1..=text.len().min(9) {
            assert_eq!(of(&mut text.as_bytes().chunks(size)), whole, "in pieces of {size}");
        }
        whole
    }

    fn check(text: &str, expected: &[(Option<&str>, &str)]) {
        let expected: Vec<_> =
            expected.iter().map(|(id, data)| (id.map(str::to_owned), (*data).to_owned())).collect();
        assert_eq!(parsed(text), expected, "{text:?}");
    }

    #[test]
    fn events() {
        check("data: one\n\ndata: two\n\n", &[(None, "one"), (None, "two")]);
        check("data: a\ndata: b\ndata:\ndata:  c\n\n", &[(None, "a\nb\n\n c")]);
        check(": hello\n\n:\n\ndata: x\n: in between\n\n", &[(None, "x")]);
        check("id: 7\ndata: x\n\ndata: y\n\n", &[(Some("7"), "x"), (Some("7"), "y")]);
        check("id: 7\n\ndata: y\n\n", &[(Some("7"), "y")]);
        check("id: a\0b\ndata: x\n\n", &[(None, "x")]);
        check("event: result\ndata: x\nother: z\n\n", &[(None, "x")]);
        check("data\n\n", &[(None, "")]);
        check("\u{feff}data: x\n\n", &[(None, "x")]);
        check("data: ü\u{2028}\n\n", &[(None, "ü\u{2028}")]);
        check("data: x\r\rdata: y\r\n\r\ndata: z\n\n", &[(None, "x"), (None, "y"), (None, "z")]);
        check("data: cut off\n", &[]);
        check("\n\n\n", &[]);
    }

    #[test]
    fn an_event_that_was_cut_off_does_not_count() {
        let mut parser = Parser::after(Some("6".into()));
        parser.push(b"id: 7\ndata: x\n\nid: 8\ndata: half").unwrap();
        assert_eq!(parser.id().unwrap(), "7");
        parser.begin_again();
        let events = parser.push(b"data: y\n\n").unwrap();
        assert_eq!(events, [SseEvent { id: Some("7".into()), data: "y".into() }]);
    }

    #[test]
    fn the_wait_it_asks_for() {
        let mut parser = Parser::default();
        parser.push(b"retry: soon\nretry: 1500\n").unwrap();
        assert_eq!(parser.retry(), Some(Duration::from_millis(1_500)));
        parser.push(b"retry: 99999999999999999999\n").unwrap();
        assert_eq!(parser.retry(), Some(Duration::from_millis(1_500)));
    }

    #[test]
    fn what_is_too_long_ends_it() {
        let mut parser = Parser::default();
        parser.push(b"data: ").unwrap();
        let long = vec![b'x'; EVENT_BYTES_MAX];
        assert_eq!(parser.push(&long), Err(TooLong));
        let mut parser = Parser::default();
        parser.push(b"data: ").unwrap();
        parser.push(&long[10..]).unwrap();
        parser.push(b"\ndata: 5678901234567").unwrap();
        assert_eq!(parser.push(b"\n\n"), Err(TooLong));
    }
}
