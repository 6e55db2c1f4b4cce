//! The outside world behind doors: clock, log, blobs, views, kept, identity; and the plumbing of a
//! process around them.
//!
//! Only this crate and `engines` know the names SQLite, Kafka, CQL, S3 and JWT. Each door is a trait
//! of at most nine methods with its duties written on it, a conformance suite that every back end
//! passes, and a faulty wrapper for tests.

pub mod audit;
pub mod backup;
pub mod blobs;
pub mod clock;
pub mod directory;
#[cfg(test)]
mod fakes;
pub mod faults;
#[cfg(any(test, feature = "suites"))]
pub mod faulty;
pub mod fresh;
#[cfg(test)]
mod full_disk_tests;
pub mod http;
pub mod identity;
pub mod kept;
#[cfg(test)]
#[cfg(feature = "faults")]
mod killed;
pub mod known;
pub mod log;
pub mod recent;
pub mod room;
pub mod secret_file;
mod sqlite;
pub mod steady;
pub mod supervise;
pub mod table;
pub mod telemetry;
pub mod views;
