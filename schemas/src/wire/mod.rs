//! Bytes of a record and back: CloudEvents 1.0 in structured JSON (kafka-protocol-binding 1.0).
//!
//! Derived records carry three extension attributes: `causeoffset` (a string: CloudEvents integers
//! have 32 bits), `causeindex` and `causelast`. Their order is gapless and never repeats; a reader
//! keeps the highest pair it has seen and ignores anything at or below it.

mod quick;

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event::Body;
use crate::id::EventId;
use crate::time::LogTime;
use crate::topic::Offset;

/// Media type of a record's value.
pub const CONTENT_TYPE: &str = "application/cloudevents+json; charset=UTF-8";

/// Which event a derived record follows from, and its place among that event's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cause {
    /// The event's offset.
    pub offset: Offset,
    /// Counted from 0.
    pub index: u32,
    /// Whether it is the event's last output.
    pub last: bool,
}

impl Cause {
    /// What the order of derived records goes by.
    pub fn pair(self) -> (Offset, u32) {
        (self.offset, self.index)
    }
}

/// The attributes of a record beside its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Unique per event; a copy has the same.
    pub id: EventId,
    /// Who writes: `/sluice/ingest` or `/sluice/pools/<pool>`.
    pub source: Cow<'static, str>,
    /// When it was said; for derived records the log's clock at their cause.
    pub time: LogTime,
    /// What it is about.
    pub subject: Option<String>,
    /// For derived records only.
    pub cause: Option<Cause>,
}

/// A record that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Not a CloudEvent in JSON.
    #[error("not a CloudEvent in structured JSON: {0}")]
    NotACloudEvent(serde_json::Error),
    /// A type this program does not know: the log is newer, or it is another topic.
    #[error("unknown type {0}")]
    UnknownType(String),
    /// The data is not what its type says.
    #[error("data of {type_name}: {source}")]
    BadData {
        /// The type.
        type_name: String,
        /// What is wrong.
        source: serde_json::Error,
    },
}

#[derive(Serialize, Deserialize)]
struct CloudEvent<'a, D> {
    #[serde(borrow)]
    specversion: Cow<'a, str>,
    id: EventId,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    type_name: Cow<'a, str>,
    time: LogTime,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    subject: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    causeoffset: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    causeindex: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    causelast: Option<bool>,
    data: D,
}

/// The bytes of a record: the same body and attributes give the same bytes.
pub fn encode<B: Body>(body: &B, attributes: &Attributes) -> Vec<u8> {
    let cause = attributes.cause;
    let event = CloudEvent {
        specversion: "1.0".into(),
        id: attributes.id,
        source: attributes.source.as_ref().into(),
        type_name: body.type_name().into(),
        time: attributes.time,
        subject: attributes.subject.as_deref().map(Cow::from),
        causeoffset: cause.map(|cause| cause.offset.to_string().into()),
        causeindex: cause.map(|cause| cause.index),
        causelast: cause.map(|cause| cause.last),
        data: body,
    };
    let mut bytes = Vec::with_capacity(1_024);
    serde_json::to_writer(&mut bytes, &event).expect("names and numbers always serialise");
    bytes
}

/// Reads a record of a topic whose bodies are `B`.
pub fn decode<B: Body>(bytes: &[u8]) -> Result<(B, Attributes), Unreadable> {
    let event = read::<B>(bytes)?;
    let offset = event.causeoffset.as_deref().and_then(|text| text.parse().ok());
    let cause = match (offset, event.causeindex, event.causelast) {
        (Some(offset), Some(index), Some(last)) => Some(Cause { offset, index, last }),
        _ => None,
    };
    let attributes = Attributes {
        id: event.id,
        source: event.source.into_owned().into(),
        time: event.time,
        subject: event.subject.map(Cow::into_owned),
        cause,
    };
    Ok((event.data, attributes))
}

/// Reads only what a record says: what [`decode`] refuses this refuses as well.
pub fn body<B: Body>(bytes: &[u8]) -> Result<B, Unreadable> {
    Ok(read::<B>(bytes)?.data)
}

fn read<B: Body>(bytes: &[u8]) -> Result<CloudEvent<'_, B>, Unreadable> {
    if let Some(event) = quick::read(bytes) {
        return Ok(event);
    }
    let event: CloudEvent<'_, &RawValue> =
        serde_json::from_slice(bytes).map_err(Unreadable::NotACloudEvent)?;
    match B::decode(&event.type_name, event.data) {
        Some(Ok(data)) => Ok(event.with(data)),
        Some(Err(source)) => {
            Err(Unreadable::BadData { type_name: event.type_name.into_owned(), source })
        }
        None => Err(Unreadable::UnknownType(event.type_name.into_owned())),
    }
}

impl<'a> CloudEvent<'a, &RawValue> {
    fn with<D>(self, data: D) -> CloudEvent<'a, D> {
        let Self { specversion, id, source, type_name, time, subject, .. } = self;
        let Self { causeoffset, causeindex, causelast, .. } = self;
        CloudEvent {
            specversion,
            id,
            source,
            type_name,
            time,
            subject,
            causeoffset,
            causeindex,
            causelast,
            data,
        }
    }
}

/// Reads of a derived record only which event it follows from; `None` when it does not say.
pub fn cause_of(bytes: &[u8]) -> Option<Cause> {
    #[derive(Deserialize)]
    struct Caused<'a> {
        #[serde(borrow)]
        causeoffset: Cow<'a, str>,
        causeindex: u32,
        causelast: bool,
    }
    let caused: Caused<'_> = serde_json::from_slice(bytes).ok()?;
    let offset = caused.causeoffset.parse().ok()?;
    Some(Cause { offset, index: caused.causeindex, last: caused.causelast })
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}{}", self.offset, self.index, if self.last { "" } else { "+" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Derived, Event, Timer, TimerDue, UploadRepeated};
    use crate::id::{BatchId, UploadId};

    fn attributes() -> Attributes {
        Attributes {
            id: EventId::from_bits(1),
            source: "/sluice/pools/demo".into(),
            time: LogTime::from_millis(1),
            subject: None,
            cause: Some(Cause { offset: 9, index: 1, last: true }),
        }
    }

    #[test]
    fn there_and_back() {
        let body = Derived::from(UploadRepeated { upload: UploadId::from_bits(2), update: None });
        let bytes = encode(&body, &attributes());
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert_eq!(
            text,
            r#"{"specversion":"1.0","id":"00000000-0000-0000-0000-000000000001","source":"/sluice/pools/demo","type":"sluice.upload.repeated.v1","time":"1970-01-01T00:00:00.001Z","causeoffset":"9","causeindex":1,"causelast":true,"data":{"upload":"00000000-0000-0000-0000-000000000002"}}"#
        );
        assert_eq!(decode::<Derived>(&bytes).unwrap(), (body, attributes()));
        assert_eq!((cause_of(&bytes), cause_of(b"{}")), (attributes().cause, None));
    }

    /// However its parts are ordered or written, a record says the same.
    #[test]
    fn any_order_and_form_is_read() {
        let body = Event::from(TimerDue {
            timer: Timer::Lease(BatchId::from_bits(3)),
            due: LogTime::from_millis(5),
        });
        let text = String::from_utf8(encode(&body, &attributes())).unwrap();
        assert!(quick::read::<Event>(text.as_bytes()).is_some(), "ours are read in one pass");
        let type_name = r#""type":"sluice.timer.due.v1","#;
        let moved = text.replacen(type_name, "", 1).replacen('}', "", 0);
        let moved = format!("{},{}}}", &moved[..moved.len() - 1], type_name.trim_end_matches(','));
        let escaped = text.replacen("/sluice", "\\u002fsluice", 1);
        for other in [moved, escaped, format!(" {text}\n")] {
            assert_eq!(decode::<Event>(other.as_bytes()).unwrap(), (body.clone(), attributes()));
        }
        let twice = text.replacen(type_name, &type_name.repeat(2), 1);
        let bare = text.replacen(r#""specversion":"1.0","#, "", 1);
        for bad in [twice, bare, format!("{text}x"), text.replace("1.0\"", "1.0")] {
            assert!(matches!(decode::<Event>(bad.as_bytes()), Err(Unreadable::NotACloudEvent(_))));
        }
    }

    #[test]
    fn unknown_fields_are_ignored_and_unknown_types_named() {
        let timer = Timer::Lease(BatchId::from_bits(3));
        let body = Event::from(TimerDue { timer, due: LogTime::from_millis(5) });
        let text = String::from_utf8(encode(&body, &attributes())).unwrap();
        let more = text.replace("\"data\":{", "\"later\":[1],\"data\":{\"later\":{\"x\":1},");
        assert_eq!(decode::<Event>(more.as_bytes()).unwrap().0, body);
        let other = text.replace("timer.due.v1", "timer.due.v2");
        assert!(matches!(decode::<Event>(other.as_bytes()), Err(Unreadable::UnknownType(_))));
        let bad = text.replace("\"due\":", "\"duo\":");
        assert!(matches!(decode::<Event>(bad.as_bytes()), Err(Unreadable::BadData { .. })));
        assert!(matches!(decode::<Event>(b"\xff"), Err(Unreadable::NotACloudEvent(_))));
    }
}
