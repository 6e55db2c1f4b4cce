//! Webhooks, as far as both sides share them: what is kept of each, where they may lead, and how
//! one message is signed and sent. Ingest registers, the projector delivers.

mod address;
mod post;
mod sign;
mod store;
#[cfg(test)]
mod store_tests;

pub use address::{Forbidden, Reach};
pub use post::{Outcome, Poster};
pub use sign::{Key, Signed};
pub use store::{Ended, MakeError, Progress, Webhook, Webhooks, Which};
