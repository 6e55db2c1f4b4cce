//! The proof: stories, refusals, chaos and house rules, against the built binary.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "all of this crate is a test, its helpers too"
)]

mod broker;
mod chaos;
mod cli;
mod demo;
mod federated;
mod full_disk;
mod inspections;
mod keeping;
mod notices;
mod random;
mod refusals;
mod server;
mod story;
mod tidy;
