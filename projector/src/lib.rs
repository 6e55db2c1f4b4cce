//! The way out: from derived records to tables, answers, deliveries and notices.

pub mod project;
