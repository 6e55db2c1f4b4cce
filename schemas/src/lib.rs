//! The language all of Sluice speaks: ids, names, times, policies, events, topics, wire and HTTP forms.
//!
//! Nothing here does I/O, knows the time or makes anything random. Read in this order: [`id`],
//! [`name`], [`time`], [`digest`], [`limit`], [`role`], [`policy`], [`mod@file`], [`event`],
//! [`topic`], [`wire`], then what HTTP speaks: [`problem`], [`api`], [`route`], [`openapi`].

pub mod api;
pub mod digest;
pub mod event;
pub mod file;
pub mod id;
pub mod limit;
pub mod name;
pub mod openapi;
pub mod pace;
pub mod policy;
pub mod problem;
pub mod role;
pub mod route;
mod text;
pub mod time;
pub mod topic;
pub mod wire;
