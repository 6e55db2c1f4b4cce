//! The newest records, in memory: a reader that keeps up never touches the file.
//!
//! Bounded in bytes over all topics; the oldest go first, whichever topic they are of. A topic's
//! records here have no gap between them, also when older ones of the same key are compacted away.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use super::stored::Bound;
use crate::log::Record;
use schemas::topic::Offset;

/// What a record takes beside its value.
const RECORD_BYTES: usize = 96;

/// The newest records of all topics, by the topics' numbers.
#[derive(Debug)]
pub(super) struct Recent {
    bytes_max: usize,
    bytes: usize,
    /// The topic of each record, oldest first.
    order: VecDeque<i64>,
    topics: HashMap<i64, VecDeque<Record>>,
}

impl Recent {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: 0, order: VecDeque::new(), topics: HashMap::new() }
    }

    /// Adds a topic's next record.
    pub(super) fn push(&mut self, topic: i64, record: Record) {
        self.bytes += RECORD_BYTES + record.value.len();
        self.order.push_back(topic);
        self.topics.entry(topic).or_default().push_back(record);
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.order.pop_front() else { return };
            let Some(records) = self.topics.get_mut(&oldest) else { return };
            if let Some(gone) = records.pop_front() {
                self.bytes -= RECORD_BYTES + gone.value.len();
            }
            if records.is_empty() {
                self.topics.remove(&oldest);
            }
        }
    }

    /// The records of a topic in `within`, as many as the bound allows; `None` when the first is
    /// not here any more.
    pub(super) fn read(
        &self,
        topic: i64,
        within: Range<Offset>,
        bound: Bound,
    ) -> Option<Vec<Record>> {
        let records = self.topics.get(&topic)?;
        let skip = usize::try_from(within.start.checked_sub(records.front()?.offset)?).ok()?;
        let mut bytes = 0;
        let mut taken = Vec::new();
        for record in records.iter().skip(skip).take(bound.records_max) {
            bytes += record.value.len();
            if record.offset >= within.end || (!taken.is_empty() && bytes > bound.bytes_max) {
                break;
            }
            taken.push(record.clone());
        }
        if taken.is_empty() { None } else { Some(taken) }
    }

    /// Forgets all: what the file has is no longer known.
    pub(super) fn clear(&mut self) {
        self.bytes = 0;
        self.order.clear();
        self.topics.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use schemas::time::LogTime;

    fn record(offset: Offset, size: usize) -> Record {
        let value = Bytes::from(vec![0; size]);
        Record { offset, at: LogTime::from_millis(1), value }
    }

    fn offsets(records: Option<Vec<Record>>) -> Option<Vec<Offset>> {
        records.map(|records| records.iter().map(|record| record.offset).collect())
    }

    const BOUND: Bound = Bound { bytes_max: 25, records_max: 3 };

    #[test]
    fn reads_what_it_has_within_bounds() {
        let mut recent = Recent::new(10_000);
        for offset in 5..10 {
            recent.push(1, record(offset, 10));
        }
        recent.push(2, record(0, 99));
        let read = |within| offsets(recent.read(1, within, BOUND));
        assert_eq!(read(4..10), None, "it came before");
        assert_eq!(read(5..10), Some(vec![5, 6]), "25 bytes");
        assert_eq!(read(8..10), Some(vec![8, 9]));
        assert_eq!(read(8..9), Some(vec![8]), "up to the end asked for");
        assert_eq!(read(10..10), None);
        assert_eq!(offsets(recent.read(2, 0..1, BOUND)), Some(vec![0]), "one may be larger");
        assert_eq!(recent.read(3, 0..1, BOUND), None);
    }

    #[test]
    fn the_oldest_go_first_and_leave_nothing_behind() {
        let mut recent = Recent::new(3 * (RECORD_BYTES + 10));
        recent.push(1, record(0, 10));
        for offset in 0..3 {
            recent.push(2, record(offset, 10));
        }
        assert_eq!(recent.read(1, 0..1, BOUND), None);
        assert_eq!(recent.topics.len(), 1);
        recent.push(1, record(1, 10));
        assert_eq!(offsets(recent.read(2, 1..3, BOUND)), Some(vec![1, 2]));
        assert_eq!((recent.bytes, recent.order.len()), (3 * (RECORD_BYTES + 10), 3));
        recent.push(1, record(2, 100_000));
        assert_eq!((recent.bytes, recent.order.len(), recent.topics.len()), (0, 0, 0));
        recent.clear();
        assert_eq!(recent.bytes, 0);
    }
}
