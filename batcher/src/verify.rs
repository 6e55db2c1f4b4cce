//! Proof that a pool's derived records follow from its events: folds them again and compares byte
//! for byte.

use std::collections::VecDeque;

use infra::log::{Chunk, Error, Find, Position, Read, Record, Tail};
use schemas::event::Event;
use schemas::name::PoolName;
use schemas::topic::{Offset, Topic};
use schemas::wire;

use crate::fold::{Input, SEMANTICS, State, step};
use crate::record;

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Events folded.
    pub events: u64,
    /// Derived records compared and found equal.
    pub equal: u64,
    /// Derived records that stand twice: written by two batchers, byte for byte the same.
    pub copies: u64,
    /// Outputs of the fold that are not written yet: the batcher has not got there.
    pub missing: u64,
    /// The first record that does not follow from the events, or follows otherwise.
    pub differs: Option<Difference>,
}

/// A derived record that the events do not explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its offset in `.batches`.
    pub offset: Offset,
    /// What the fold says there.
    pub expected: Option<String>,
    /// What stands there.
    pub found: String,
}

/// Why a replay could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] Error),
    /// An event could not be read.
    #[error("event {0} cannot be read: {1}")]
    Unreadable(Offset, #[source] wire::Unreadable),
    /// The pool's rules are newer than this program.
    #[error("the pool has rules {0}, this program knows {SEMANTICS}")]
    Newer(u32),
}

/// Reads one topic from its start to where it ended at the call.
struct Reader {
    tail: Box<dyn Tail>,
    next: Offset,
    end: Offset,
}

impl Reader {
    async fn open(read: &dyn Read, topic: &Topic) -> Result<Self, Error> {
        let end = read.find(topic, Find::End).await?;
        let mut tail = read.tail(4 * 1024 * 1024).await?;
        tail.watch(topic, Some(Position { next: 0, ..end }));
        Ok(Self { tail, next: 0, end: end.next })
    }

    async fn next(&mut self) -> Result<Vec<Record>, Error> {
        if self.next >= self.end {
            return Ok(Vec::new());
        }
        let Chunk { mut records, end, .. } = self.tail.next().await?;
        self.next = end;
        records.retain(|record| record.offset < self.end);
        Ok(records)
    }
}

/// Folds the pool's events again, from zero, and compares with what was written.
pub async fn verify(
    read: &dyn Read,
    name: &PoolName,
    events: &Topic,
    batches: &Topic,
) -> Result<Verified, VerifyError> {
    // Batches first: what follows from an event appended later is not expected to stand there.
    let mut written = Reader::open(read, batches).await?;
    let mut events = Reader::open(read, events).await?;
    let mut verified = Verified::default();
    let mut state = State::default();
    let mut outputs = Vec::new();
    let mut expected: VecDeque<(_, bytes::Bytes)> = VecDeque::new();
    let mut highest = None;
    let mut found = VecDeque::from(written.next().await?);
    loop {
        let records = events.next().await?;
        let done = records.is_empty();
        for Record { offset, at, value } in records {
            let (event, _) =
                wire::decode(&value).map_err(|source| VerifyError::Unreadable(offset, source))?;
            check_rules(&event)?;
            step(&mut state, Input { offset, at, event }, &mut outputs);
            verified.events += 1;
            let pool = state.pool_id();
            expected.extend(
                outputs
                    .drain(..)
                    .map(|output| (output.cause.pair(), record::draft(name, pool, &output).value)),
            );
        }
        while let Some(record) = found.front() {
            let pair = wire::cause_of(&record.value).map(wire::Cause::pair);
            if pair.is_some() && pair <= highest {
                verified.copies += 1;
            } else {
                let Some((next, value)) = expected.pop_front() else { break };
                if *value != *record.value {
                    verified.differs = Some(difference(record, Some(&value)));
                    return Ok(verified);
                }
                highest = Some(next);
                verified.equal += 1;
            }
            found.pop_front();
            if found.is_empty() {
                found = written.next().await?.into();
            }
        }
        if done {
            break;
        }
    }
    verified.missing = expected.len() as u64;
    verified.differs = found.front().map(|record| difference(record, None));
    Ok(verified)
}

fn check_rules(event: &Event) -> Result<(), VerifyError> {
    match event {
        Event::SemanticsRaised(raised) if raised.semantics > SEMANTICS => {
            Err(VerifyError::Newer(raised.semantics))
        }
        _ => Ok(()),
    }
}

fn difference(record: &Record, expected: Option<&bytes::Bytes>) -> Difference {
    let text = |bytes: &bytes::Bytes| String::from_utf8_lossy(bytes).into_owned();
    let (offset, found) = (record.offset, text(&record.value));
    Difference { offset, expected: expected.map(text), found }
}
