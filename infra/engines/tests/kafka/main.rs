//! The Kafka log on a real broker.
//!
//! `SLUICE_TEST_KAFKA` is the address of one that the tests may use (`infra/stack/kafka-up.sh
//! single`); those that stop and kill brokers start their own. Without it they fail, unless
//! `SKIP_REAL=1`: then each says what it did not prove.

mod conformance;
mod rig;
mod tails;
