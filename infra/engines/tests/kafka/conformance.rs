//! The duties of the log's door, as every back end has them.

use std::sync::Arc;

use async_trait::async_trait;
use engines::kafka::KafkaLog;
use infra::log::suite::{self, Rig};
use infra::log::{Append, Read};
use schemas::topic::Topic;

use crate::rig;

struct OnKafka {
    address: String,
    log: Arc<KafkaLog>,
}

#[async_trait]
impl Rig for OnKafka {
    fn append(&self) -> Arc<dyn Append> {
        self.log.clone()
    }

    fn read(&self) -> Arc<dyn Read> {
        self.log.clone()
    }

    fn fresh(&mut self, what: &str) -> Topic {
        rig::fresh(what)
    }

    fn record_bytes_max(&self) -> usize {
        900_000
    }

    async fn reopen(&mut self) {
        assert!(self.log.close(rig::SOON).await, "its threads end");
        self.log = rig::open(&self.address);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_has_the_duties_of_the_log() {
    let Some(address) = rig::broker("Kafka has the duties of the log") else { return };
    let log = rig::open(&address);
    let mut rig = OnKafka { address, log };
    suite::run(&mut rig).await;
    assert!(rig.log.close(rig::SOON).await, "its threads end");
}
