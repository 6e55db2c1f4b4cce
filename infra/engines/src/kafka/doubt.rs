//! After an error that does not say which topic it is about: which of them cannot be read on?

use std::collections::HashMap;
use std::time::Duration;

use infra::log::Error;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use schemas::topic::{Cleanup, Topic};

use super::reader::Watched;
use super::refusal::{definite, refusal_of};
use super::told::Told;

/// How long one request may take.
const ASK: Duration = Duration::from_secs(5);

/// An error not yet explained.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// A topic stopped being fetched: unless it is found broken, all must be started anew.
    pub(super) some_stopped: bool,
}

/// Whether an error passes by itself.
pub(super) fn passes(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::AllBrokersDown
            | Code::BrokerTransportFailure
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::Authentication
            | Code::GroupAuthorizationFailed
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::CoordinatorLoadInProgress
            | Code::PollExceeded
            | Code::NoError
    )
}

/// The topics that cannot be read on, and why.
pub(super) fn ask<'a>(
    consumer: &BaseConsumer<Told>,
    watched: impl Iterator<Item = &'a Watched>,
) -> KafkaResult<Vec<(Topic, Error)>> {
    let metadata = consumer.fetch_metadata(None, ASK)?;
    let there: HashMap<&str, Option<RDKafkaErrorCode>> = metadata
        .topics()
        .iter()
        .map(|topic| (topic.name(), topic.error().map(RDKafkaErrorCode::from)))
        .collect();
    let (mut broken, mut left) = (Vec::new(), Vec::new());
    for watched in watched {
        let topic = &watched.topic;
        let code = match there.get(topic.name()) {
            None => Some(RDKafkaErrorCode::UnknownTopicOrPartition),
            Some(code) => *code,
        };
        match code.map(|code| definite(code, topic, 0)) {
            None => left.push(watched),
            // Nothing is certain: it is asked about again when the next error comes.
            Some(None) => {}
            Some(Some(Error::NoTopic(topic))) if watched.next > 0 => {
                broken.push((topic.clone(), Error::Gap(topic)));
            }
            Some(Some(error)) => broken.push((topic.clone(), error)),
        }
    }
    if left.is_empty() {
        return Ok(broken);
    }
    let starts = offsets(consumer, &left, Offset::Beginning)?;
    let ends = offsets(consumer, &left, Offset::End)?;
    for watched in left {
        let (start, end) = (starts.get(watched.topic.name()), ends.get(watched.topic.name()));
        if let Some(error) = verdict(&watched.topic, watched.next, start, end) {
            broken.push((watched.topic.clone(), error));
        }
    }
    Ok(broken)
}

type Place = Result<u64, RDKafkaErrorCode>;

fn verdict(topic: &Topic, next: u64, start: Option<&Place>, end: Option<&Place>) -> Option<Error> {
    match (start, end) {
        (Some(Ok(start)), Some(Ok(end))) => {
            let cut = next < *start && topic.cleanup() == Cleanup::Keep;
            (cut || next > *end).then(|| Error::Gap(topic.clone()))
        }
        (Some(Err(code)), _) | (_, Some(Err(code))) => {
            let refused = refusal_of(*code, topic);
            (!refused.retryable()).then_some(refused)
        }
        _ => None,
    }
}

/// The start or end of many topics in one request to each of their brokers.
fn offsets(
    consumer: &BaseConsumer<Told>,
    watched: &[&Watched],
    of: Offset,
) -> KafkaResult<HashMap<Box<str>, Place>> {
    let mut asked = TopicPartitionList::with_capacity(watched.len());
    for watched in watched {
        asked.add_partition_offset(watched.topic.name(), 0, of)?;
    }
    let found = consumer.offsets_for_times(asked, ASK)?;
    let place = |of: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match of.error() {
        Err(error) => Some(Err(error.rdkafka_error_code()?)),
        Ok(()) => match of.offset() {
            Offset::Offset(offset) => Some(Ok(u64::try_from(offset).ok()?)),
            _ => None,
        },
    };
    let placed =
        found.elements().into_iter().filter_map(|of| Some((of.topic().into(), place(&of)?)));
    Ok(placed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_outside_of_the_topic_is_a_gap() {
        let (kept, compacted) = (Topic::named("t"), Topic::directory());
        let gap = |topic: &Topic| Some(Error::Gap(topic.clone()));
        for (topic, next, start, end, expected) in [
            (&kept, 5, 0, 9, None),
            (&kept, 9, 0, 9, None),
            (&kept, 10, 0, 9, gap(&kept)),
            (&kept, 4, 5, 9, gap(&kept)),
            (&compacted, 4, 5, 9, None),
            (&compacted, 10, 5, 9, gap(&compacted)),
        ] {
            assert_eq!(verdict(topic, next, Some(&Ok(start)), Some(&Ok(end))), expected);
        }
        let gone = Err(RDKafkaErrorCode::UnknownTopicOrPartition);
        assert_eq!(verdict(&kept, 0, Some(&gone), None), Some(Error::NoTopic(kept.clone())));
        let busy = Err(RDKafkaErrorCode::LeaderNotAvailable);
        assert_eq!(verdict(&kept, 0, Some(&Ok(0)), Some(&busy)), None);
    }
}
