//! The real engines behind the doors of `infra`. Only here are they called by name.

pub mod kafka;
