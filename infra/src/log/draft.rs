//! A record on its way into the log.

use bytes::Bytes;
use schemas::event::Body;
use schemas::wire::{self, Attributes};

/// A record to be appended. Its bytes are made once, here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What a compacted topic is compacted by, and what a partitioned one is spread by.
    pub key: Box<str>,
    /// The type's name, mirrored as the header `ce_type`.
    pub type_name: &'static str,
    /// The attributes, mirrored as `ce_*` headers by back ends that have headers.
    pub attributes: Attributes,
    /// A CloudEvent in structured JSON.
    pub value: Bytes,
}

impl Draft {
    /// The record that says `body`.
    pub fn new(key: impl Into<Box<str>>, body: &impl Body, attributes: Attributes) -> Self {
        let value = wire::encode(body, &attributes).into();
        Self { key: key.into(), type_name: body.type_name(), attributes, value }
    }
}
