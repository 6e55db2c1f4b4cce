//! What an external server links: claims batches of a pool, hands their files to a function, and
//! publishes the one file that it computes.
//!
//! ```no_run
//! # async fn example() -> Result<(), worker::Error> {
//! use worker::{Batch, Client, Output, Worker};
//!
//! let client = Client::new("https://sluice.example")?
//!     .signing_in("mean-server".parse().expect("a good name"), "its password");
//! let pool = "north-sea-buoys".parse().expect("a good name");
//! Worker::new(client, pool)
//!     .run(async |batch: Batch| {
//!         let total: u64 = batch.files.iter().map(|input| input.file.size_bytes).sum();
//!         Ok(Output::bytes("total.txt".parse()?, "text/plain".parse()?, total.to_string()))
//!     })
//!     .await
//! # }
//! ```
//!
//! The rules are the protocol's: one lease per batch, renewed at a third of its life; a manifest
//! and files are used only with the digests they should have; a result counts only under the lease
//! and the manifest it was computed from. A worker that dies loses nothing but its time.

mod batch;
mod gather;
mod manifest;
mod renew;
mod run;
mod work;

pub use batch::{Batch, Failed, InputFile, Output};
pub use client::{self, Client, Error};
pub use run::{Ended, Worker};
