//! Stories: what people do with Sluice, each program of theirs a process of its own.

mod again;
mod digits;
mod ends;
mod gusts;
mod person;
mod photos;
mod ranges;
mod sheet;
mod softmax;
mod stage;
mod triggers;
