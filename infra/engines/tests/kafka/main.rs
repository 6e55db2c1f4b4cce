//! The Kafka log on a real broker.
//!
//! `SLUICE_TEST_KAFKA` is the address of one that the tests may use (`infra/stack/kafka-up.sh
//! single`); those that stop and kill brokers start their own. Without it they fail, unless
//! `SKIP_REAL=1`: then each says what it did not prove.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of this is tests; the lints know it only of the functions marked so"
)]

mod broker;
mod conformance;
mod faults;
mod figures;
mod ledger;
mod owners;
mod rig;
mod settings;
mod tails;
