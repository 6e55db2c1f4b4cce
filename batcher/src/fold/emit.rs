//! Where the outputs of one event go, numbered.

use schemas::event::{Derived, Refusal, RequestRefused};
use schemas::time::LogTime;
use schemas::topic::Offset;
use schemas::wire::Cause;

use super::Output;

/// Collects the outputs of one event.
pub(super) struct Emit<'a> {
    out: &'a mut Vec<Output>,
    offset: Offset,
    index: u32,
    time: LogTime,
}

impl<'a> Emit<'a> {
    pub(super) fn new(out: &'a mut Vec<Output>, offset: Offset, time: LogTime) -> Self {
        Self { out, offset, index: 0, time }
    }

    /// One more output.
    pub(super) fn say(&mut self, body: impl Into<Derived>) {
        let cause = Cause { offset: self.offset, index: self.index, last: false };
        self.out.push(Output { cause, time: self.time, body: body.into() });
        self.index += 1;
    }

    /// The event asked for what cannot be.
    pub(super) fn refuse(&mut self, reason: Refusal) {
        self.say(RequestRefused { reason });
    }
}
