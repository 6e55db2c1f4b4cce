//! What a pool holds: how much was sent, counted for its quota, and what has been kept for long
//! enough.

use std::collections::BTreeMap;

use schemas::event::{ContentErased, Sent, Timer};
use schemas::file::FileRef;
use schemas::id::AccountId;
use schemas::policy::Keep;
use schemas::time::LogTime;
use serde::{Deserialize, Serialize};

use super::emit::Emit;
use super::{Pool, State};

/// Senders that are counted one by one. Beyond it they count towards the pool only.
const CLIENTS_MAX: usize = 200_000;
/// Shortest and longest time between two looks at what has been kept for long enough.
const LOOK_MS: (u64, u64) = (1_000, 86_400_000);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Keeping {
    sent: Counted,
    by_client: BTreeMap<AccountId, Counted>,
    erased: Erased,
    /// When it is looked at next.
    look_at: Option<LogTime>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    files: u64,
    bytes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Erased {
    inputs_before: Option<LogTime>,
    results_before: Option<LogTime>,
}

impl Counted {
    fn add(&mut self, file: &FileRef) {
        self.files = self.files.saturating_add(1);
        self.bytes = self.bytes.saturating_add(file.size_bytes);
    }
}

impl Keeping {
    /// Counts a file; told where there is a quota. Senders are counted from then on only: most
    /// pools have none, and need not look for the sender.
    pub(super) fn count(&mut self, pool: &Pool, file: &FileRef) -> Option<Sent> {
        self.sent.add(file);
        pool.policy.quota?;
        let mut client = Counted::default();
        let full = self.by_client.len() >= CLIENTS_MAX;
        if !full || self.by_client.contains_key(&file.client) {
            let counted = self.by_client.entry(file.client).or_default();
            counted.add(file);
            client = *counted;
        }
        let (client_files, client_bytes) = (client.files, client.bytes);
        let Counted { files, bytes } = self.sent;
        Some(Sent { files, bytes, client_files, client_bytes })
    }

    /// What has been kept for long enough, if that is more than was said before.
    fn erase(&mut self, keep: &Keep, clock: LogTime) -> Option<ContentErased> {
        let before = |kept_ms: Option<u64>| kept_ms.map(|kept_ms| clock.minus(kept_ms));
        let said = self.erased;
        let erased = Erased {
            inputs_before: said.inputs_before.max(before(keep.inputs_ms)),
            results_before: said.results_before.max(before(keep.results_ms)),
        };
        let Erased { inputs_before, results_before } = erased;
        self.erased = erased;
        (erased != said).then_some(ContentErased { inputs_before, results_before })
    }
}

impl State {
    /// Arms the next look, where the pool does not keep everything for ever.
    pub(super) fn arm_erase(&mut self, pool: &Pool) {
        let shortest_ms = pool.policy.keep.and_then(|keep| keep.shortest_ms());
        let Some(kept_ms) = shortest_ms else { return };
        let look_at = self.clock.plus((kept_ms / 10).clamp(LOOK_MS.0, LOOK_MS.1));
        if let Some(armed) = self.keeping.look_at {
            if armed <= look_at {
                return;
            }
            // Other rules: less is kept than was when it was armed.
            self.timers.remove(&(armed, Timer::Erase));
        }
        self.timers.insert((look_at, Timer::Erase));
        self.keeping.look_at = Some(look_at);
    }

    /// Says what has been kept for long enough.
    pub(super) fn erase(&mut self, emit: &mut Emit<'_>) {
        self.keeping.look_at = None;
        let keep = self.pool.as_ref().and_then(|pool| pool.policy.keep);
        let erased = keep.and_then(|keep| self.keeping.erase(&keep, self.clock));
        if let Some(erased) = erased {
            self.held.erase(erased.inputs_before.unwrap_or_default());
            emit.say(erased);
        }
    }
}
