//! One notice as it is sent: made once, the same bytes for all, whichever way each hears.

use bytes::Bytes;
use schemas::api::{Notice, Noticed};
use schemas::topic::Offset;

/// A notice, as an event of a stream and as the JSON within.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Its record's place in `.batches`.
    pub(super) id: Offset,
    /// Whether the member it is for belongs no longer: its streams end.
    pub(super) farewell: bool,
    bytes: Bytes,
    json_at: u32,
}

impl Event {
    pub(super) fn new(id: Offset, position: String, name: &str, notice: Notice) -> Self {
        let farewell = matches!(notice, Notice::Removed { .. } | Notice::Suspended { .. });
        let data = serde_json::to_string(&Noticed { id: Some(id), position, notice });
        let data = data.expect("names and numbers always serialise");
        let head = format!("id: {id}\nevent: {name}\ndata: ");
        let json_at = u32::try_from(head.len()).expect("a number and a word are short");
        Self { id, farewell, bytes: format!("{head}{data}\n\n").into(), json_at }
    }

    /// A server-sent event (WHATWG HTML, section 9.2).
    pub(super) fn sse(&self) -> Bytes {
        self.bytes.clone()
    }

    /// Its data alone.
    pub(super) fn json(&self) -> Bytes {
        let from = usize::try_from(self.json_at).unwrap_or(usize::MAX);
        let upto = self.bytes.len().saturating_sub(b"\n\n".len());
        self.bytes.slice(from.min(upto)..upto)
    }
}

/// What a stream gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A notice.
    Notice(Event),
    /// Nothing happened, and we live.
    Alive,
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::event::PoolState;

    #[test]
    fn the_same_bytes_are_an_event_and_its_data() {
        let notice = Notice::Pool { state: PoolState::Paused };
        let event = Event::new(7, "tests:4".into(), "pool", notice);
        let json = r#"{"id":7,"position":"tests:4","notice":"pool","state":"paused"}"#;
        assert_eq!(event.json(), json.as_bytes());
        assert_eq!(event.sse(), format!("id: 7\nevent: pool\ndata: {json}\n\n").as_bytes());
    }
}
