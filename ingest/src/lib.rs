//! The way in: requests become bytes in the blob store and events in the log.
//!
//! A request's way: `http` parses it and replies, the rooms beside it do the work. Bytes are
//! durable before their event, the event before the answer. What could clash is not decided here:
//! it is appended as a request, and the pool's fold answers.
//!
//! What is deliberately absent: tables. What they know is asked through [`infra::known::Known`],
//! and uploads go on while nobody can answer. No stage is imported, and no decision is remembered:
//! what this crate keeps in memory only saves asking again.

mod ask;
mod error;
mod http;
mod inspect;
mod metrics;
mod pool;
mod quota;
mod receipt;
mod state;
mod upload;
mod work;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use http::routes;
pub use inspect::inspect;
pub use metrics::IngestMetrics;
pub use quota::{Exceeded, prepare};
pub use state::{Parts, SignUps, State};
pub use upload::{Rejection, UploadKey};
