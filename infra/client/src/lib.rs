//! The typed HTTP client of Sluice: what the command line, workers and tests call a server by.
//!
//! One method per route, on [`Client`]. Every call is bounded in time and in size; a call that can
//! be repeated without doing anything twice is repeated, a few times, when the line or the server
//! fails ([`Patience`]). What cannot is not, unless it is known that nothing was done. An
//! [`Error`] says whether a repeat may help and whether the call may have taken effect.
//!
//! ```no_run
//! # async fn example() -> client::Result<()> {
//! use client::{Client, Progress, Source, Upload};
//!
//! let client = Client::new("https://sluice.example")?.signed_in("eyJ…");
//! let pool = "north-sea-buoys".parse().expect("a good name");
//! let name = "reading-0930.csv".parse().expect("a good name");
//! let upload = Upload::new(name, Source::file("/data/reading-0930.csv").await?);
//! let receipt = client.upload(&pool, &upload, &Progress::none()).await?;
//! println!("{} will be in the window from {}", receipt.upload, receipt.landing.window.start);
//! # Ok(()) }
//! ```
//!
//! Read in this order: [`Client`], [`Error`], [`Source`] and [`Upload`], [`Client::notices`],
//! [`spool`].

mod accounts;
mod auth;
mod call;
mod client;
mod error;
mod everyone;
mod fetch;
pub mod fresh;
mod members;
mod multipart;
mod notices;
mod part;
mod pools;
mod results;
mod retry;
mod source;
pub mod spool;
mod sse;
mod uploads;
mod work;

pub use client::{Client, PageAsk, Probe};
pub use error::{Error, Refusal, Result};
pub use fetch::Wanted;
pub use notices::{Heard, Notices};
pub use retry::Patience;
pub use source::{Progress, Source};
pub use uploads::{OnInvalid, Update, UpdateFile, Upload};
pub use work::Offer;
