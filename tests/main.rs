//! The proof: stories, refusals, chaos and house rules, against the built binary.

mod chaos;
mod demo;
mod random;
mod refusals;
mod server;
mod tidy;
