//! Quorum: parts that close because enough of the contributors have a file in them.

use schemas::policy::{Quorum, QuorumOf};
use schemas::role::Role;
use schemas::time::Window;

use super::windows::{Clients, Part};
use super::{Pool, State};

impl State {
    /// The first window in whose open part a quorum has reported. Looked at once a whole event has
    /// been taken: all files of an update count before any part of theirs closes.
    pub(super) fn first_with_quorum(&self, pool: &Pool) -> Option<Window> {
        if !pool.has_older() && pool.policy.close.quorum.is_none() {
            return None;
        }
        let reported = |(window, part): &(&Window, &Part)| {
            let quorum = pool.rules(window).close.quorum;
            quorum.is_some_and(|quorum| self.has_quorum(quorum, &part.clients))
        };
        let (window, _) = self.open.iter().find(reported)?;
        Some(*window)
    }

    /// Whether those who have reported are as many as a quorum asks for.
    pub(super) fn has_quorum(&self, quorum: Quorum, clients: &Clients) -> bool {
        let of = match quorum.of {
            QuorumOf::Active => self.watermark.active(),
            QuorumOf::Expected => self.contributors,
        };
        let asked = (u64::from(of) * u64::from(quorum.permille)).div_ceil(1_000).max(1);
        // Those who left since are no part of whom it is a share; counted only where it matters.
        let reported = clients.iter().filter(|client| match quorum.of {
            QuorumOf::Active => self.watermark.is_active(**client),
            QuorumOf::Expected => self.has_role(**client, Role::Contributor),
        });
        clients.len() as u64 >= asked && reported.count() as u64 >= asked
    }
}
