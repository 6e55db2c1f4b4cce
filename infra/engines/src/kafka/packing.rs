//! Packing records into chunks: the values of a chunk lie in one buffer.

use bytes::Bytes;
use infra::log::{Chunk, Record};
use schemas::time::LogTime;
use schemas::topic::{Offset, Topic};
use uuid::Uuid;

/// Records of one topic on their way into a chunk.
#[derive(Debug, Default)]
pub(super) struct Packing {
    values: Vec<u8>,
    records: Vec<(Offset, LogTime, usize)>,
    /// Size of the chunk before: the next is likely to be as large.
    last_bytes: usize,
}

/// The most records in a chunk.
const RECORDS_MAX: usize = 8_192;

impl Packing {
    /// Adds a record. Its bytes are copied, the only time on their way from librdkafka.
    pub(super) fn add(&mut self, offset: Offset, at: LogTime, value: &[u8]) {
        if self.records.is_empty() {
            self.values.reserve(self.last_bytes.max(value.len()));
        }
        self.values.extend_from_slice(value);
        self.records.push((offset, at, self.values.len()));
    }

    /// Whether another value fits. A chunk may have one record of any size.
    pub(super) fn fits(&self, value: &[u8], bytes_max: usize) -> bool {
        let fits = self.values.len() + value.len() <= bytes_max;
        self.records.is_empty() || (fits && self.records.len() < RECORDS_MAX)
    }

    /// The chunk, if it has records.
    pub(super) fn take(&mut self, topic: &Topic, topic_id: Uuid) -> Option<Chunk> {
        let (last, _, _) = *self.records.last()?;
        self.last_bytes = self.values.len();
        let buffer = Bytes::from(std::mem::take(&mut self.values));
        let mut start = 0;
        let records = self.records.drain(..).map(|(offset, at, end)| {
            let value = buffer.slice(start..end);
            start = end;
            Record { offset, at, value }
        });
        let records = records.collect();
        Some(Chunk { topic: topic.clone(), topic_id, records, end: last + 1 })
    }

    /// Forgets what it has.
    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.records.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_a_chunk_share_one_buffer() {
        let (mut packing, topic) = (Packing::default(), Topic::named("t"));
        assert_eq!(packing.take(&topic, Uuid::nil()), None);
        assert!(packing.fits(b"abc", 0), "one record of any size");
        for (offset, value) in [(3, "abc"), (4, ""), (7, "de")] {
            packing.add(offset, LogTime::from_millis(9), value.as_bytes());
        }
        assert!(packing.fits(b"fg", 7) && !packing.fits(b"fg", 6));
        let chunk = packing.take(&topic, Uuid::max()).unwrap();
        let seen: Vec<_> = chunk.records.iter().map(|r| (r.offset, r.value.as_ref())).collect();
        assert_eq!(seen, [(3, b"abc".as_ref()), (4, b""), (7, b"de")]);
        assert_eq!((chunk.end, chunk.topic_id), (8, Uuid::max()));
        let [first, _, last] = &chunk.records[..] else { panic!("three") };
        assert_eq!(last.value.as_ptr() as usize - first.value.as_ptr() as usize, 3);
        packing.add(8, LogTime::from_millis(9), b"x");
        packing.clear();
        assert_eq!(packing.take(&topic, Uuid::nil()), None);
    }
}
