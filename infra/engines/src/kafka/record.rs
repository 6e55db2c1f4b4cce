//! A draft as a Kafka record: `CloudEvents` in structured mode, its attributes mirrored as headers.
//!
//! The Kafka binding allows the mirror (kafka-protocol-binding 1.0, 3.3.3), so that external readers
//! can filter by `ce_type` without parsing the value.

use infra::log::Draft;
use rdkafka::message::{Header, OwnedHeaders};
use schemas::wire::CONTENT_TYPE;

/// Bytes that Kafka adds to a record: lengths, offset and time deltas, at most.
const RECORD_HEAD_BYTES: usize = 70;
/// The most headers that a record has.
const HEADERS_MAX: usize = 10;

/// The headers of a draft.
#[derive(Debug)]
pub(super) struct Mirror {
    texts: Vec<(&'static str, String)>,
}

impl Mirror {
    /// The mirror of a draft's attributes.
    pub(super) fn of(draft: &Draft) -> Self {
        let attributes = &draft.attributes;
        let mut texts = Vec::with_capacity(HEADERS_MAX);
        texts.push(("content-type", CONTENT_TYPE.to_owned()));
        texts.push(("ce_specversion", "1.0".to_owned()));
        texts.push(("ce_id", attributes.id.to_string()));
        texts.push(("ce_type", draft.type_name.to_owned()));
        texts.push(("ce_source", attributes.source.clone().into_owned()));
        texts.push(("ce_time", attributes.time.to_string()));
        if let Some(subject) = &attributes.subject {
            texts.push(("ce_subject", subject.clone()));
        }
        if let Some(cause) = attributes.cause {
            texts.push(("ce_causeoffset", cause.offset.to_string()));
            texts.push(("ce_causeindex", cause.index.to_string()));
            texts.push(("ce_causelast", cause.last.to_string()));
        }
        Self { texts }
    }

    /// What the record takes in Kafka beside its value.
    pub(super) fn head_bytes(&self, draft: &Draft) -> usize {
        let headers: usize =
            self.texts.iter().map(|(name, text)| name.len() + text.len() + 6).sum();
        RECORD_HEAD_BYTES + draft.key.len() + headers
    }

    /// As librdkafka takes them.
    pub(super) fn headers(&self) -> OwnedHeaders {
        let mut headers = OwnedHeaders::new_with_capacity(self.texts.len());
        for (key, text) in &self.texts {
            headers = headers.insert(Header { key, value: Some(text) });
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::message::Headers;
    use schemas::event::{Derived, UploadRepeated};
    use schemas::id::{EventId, UploadId};
    use schemas::time::LogTime;
    use schemas::wire::{Attributes, Cause};

    #[test]
    fn attributes_are_mirrored() {
        let attributes = Attributes {
            id: EventId::from_bits(1),
            source: "/sluice/pools/demo".into(),
            time: LogTime::from_millis(1),
            subject: Some("a".into()),
            cause: Some(Cause { offset: 9, index: 1, last: true }),
        };
        let body = Derived::from(UploadRepeated { upload: UploadId::from_bits(2), update: None });
        let draft = Draft::new("key", &body, attributes);
        let mirror = Mirror::of(&draft);
        let headers = mirror.headers();
        let text = |(at, name): (usize, &str)| {
            let header = headers.get(at);
            assert_eq!(header.key, name);
            String::from_utf8(header.value.unwrap().to_vec()).unwrap()
        };
        let names = [
            "content-type",
            "ce_specversion",
            "ce_id",
            "ce_type",
            "ce_source",
            "ce_time",
            "ce_subject",
            "ce_causeoffset",
            "ce_causeindex",
            "ce_causelast",
        ];
        let texts: Vec<String> = names.into_iter().enumerate().map(text).collect();
        assert_eq!(
            texts,
            [
                "application/cloudevents+json; charset=UTF-8",
                "1.0",
                "00000000-0000-0000-0000-000000000001",
                "sluice.upload.repeated.v1",
                "/sluice/pools/demo",
                "1970-01-01T00:00:00.001Z",
                "a",
                "9",
                "1",
                "true"
            ]
        );
        assert!((200..600).contains(&mirror.head_bytes(&draft)));
    }
}
