//! Kafka's errors in the door's words.

use std::time::Duration;

use infra::log::Error;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use schemas::topic::Topic;

/// When asking again may help: about as long as a client takes to connect anew.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(500);

/// It did nothing, and may do it later.
pub(super) fn refused(reason: impl Into<String>) -> Error {
    Error::Refused { reason: reason.into(), retry_after: RETRY_AFTER }
}

/// What a request that changes nothing says by failing.
pub(super) fn refusal(error: &KafkaError, topic: &Topic) -> Error {
    match error.rdkafka_error_code() {
        Some(code) => refusal_of(code, topic),
        None => refused(error.to_string()),
    }
}

/// The same, by its code.
pub(super) fn refusal_of(code: RDKafkaErrorCode, topic: &Topic) -> Error {
    definite(code, topic, 0).unwrap_or_else(|| refused(format!("{topic}: {code}")))
}

/// What an error says that leaves no doubt: nothing was appended, and trying again does not help.
pub(super) fn definite(code: RDKafkaErrorCode, topic: &Topic, size_bytes: usize) -> Option<Error> {
    use RDKafkaErrorCode as Code;
    match code {
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            Some(Error::NoTopic(topic.clone()))
        }
        Code::MessageSizeTooLarge | Code::InvalidMessageSize => Some(Error::TooLarge(size_bytes)),
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::SaslAuthenticationFailed
        | Code::Authentication
        | Code::UnsupportedSASLMechanism
        | Code::InvalidReplicationFactor
        | Code::InvalidConfig
        | Code::InvalidTopic
        | Code::InvalidPartitions
        | Code::PolicyViolation
        | Code::InvalidRecord => Some(Error::Misconfigured(format!("{topic}: {code}"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_as_certain_as_kafka_is() {
        use RDKafkaErrorCode as Code;
        let topic = Topic::named("t");
        let cases = [
            (Code::UnknownTopicOrPartition, Some(Error::NoTopic(topic.clone()))),
            (Code::MessageSizeTooLarge, Some(Error::TooLarge(7))),
            // All of these may have happened (reliability.md, finding 2).
            (Code::NotLeaderForPartition, None),
            (Code::BrokerTransportFailure, None),
            (Code::RequestTimedOut, None),
            (Code::MessageTimedOut, None),
            (Code::NotEnoughReplicasAfterAppend, None),
            (Code::PurgeInflight, None),
            (Code::PurgeQueue, None),
        ];
        for (code, certain) in cases {
            assert_eq!(definite(code, &topic, 7), certain, "{code}");
        }
        let denied = definite(Code::TopicAuthorizationFailed, &topic, 7).unwrap();
        assert!(matches!(denied, Error::Misconfigured(_)) && !denied.retryable());
        assert!(refusal(&KafkaError::Canceled, &topic).retryable());
        assert!(refusal_of(Code::AllBrokersDown, &topic).retryable());
    }
}
