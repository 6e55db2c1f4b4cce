//! The proof: stories, refusals, chaos and house rules, against the built binary.

mod broker;
mod chaos;
mod random;
mod server;
mod story;
mod tidy;
