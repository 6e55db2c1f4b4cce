//! Where a file will land, as far as is known when it is answered for: history says where it did.

use std::collections::BTreeMap;
use std::time::Duration;

use infra::known::KnownPart;
use schemas::api::{Landing, StatedOf, UploadReceipt};
use schemas::event::PoolState;
use schemas::file::FileRef;
use schemas::pace;
use schemas::policy::Policy;
use schemas::time::{LogTime, Wall, Window};

use super::{Landed, Sender, Taken};
use crate::receipt::Fact;
use crate::state::State;

/// Longest an answer is kept waiting for what the tables know.
const LOOK_MAX: Duration = Duration::from_millis(50);
/// Most windows that are looked up for one answer.
const WINDOWS_MAX: usize = 20;

/// What the tables know of windows: each is asked for once, and nothing once they are slow.
#[derive(Debug, Default)]
struct Parts {
    known: BTreeMap<Window, Option<KnownPart>>,
    away: bool,
}

impl State {
    /// The receipts for files of one sender.
    pub(crate) async fn receipts<'a>(
        &self,
        sender: &Sender,
        taken: impl IntoIterator<Item = &'a Taken>,
    ) -> Vec<UploadReceipt> {
        let mut parts = Parts::default();
        let mut receipts = Vec::new();
        let next_upload_after = self.next_upload_after(sender);
        let paused = self.access.directory().read(|fold| {
            fold.pool(&sender.pool.pool).is_some_and(|pool| pool.state == PoolState::Paused)
        });
        for Taken { landed, repeated } in taken {
            let file = &landed.file;
            let (policy, window) = sender.pool.grouping(file.effective_at);
            let part = self.part(sender, &window, &mut parts).await;
            receipts.push(UploadReceipt {
                upload: file.upload,
                idempotency_key: sender.key.text().clone(),
                size_bytes: file.size_bytes,
                sha256: file.sha256,
                media_type: file.media_type.clone(),
                received_at: file.received_at,
                effective_at: file.effective_at,
                clamped: file.clamped,
                quarantined: file.quarantined,
                landing: Landing { paused, ..landing(policy, file, window, part) },
                inspections: file.inspections.clone(),
                next_upload_after,
                receipt: self.upload_receipt(sender, landed),
                repeated: *repeated,
            });
        }
        receipts
    }

    /// What is signed of a file whose event's place is known.
    fn upload_receipt(&self, sender: &Sender, landed: &Landed) -> Option<Box<str>> {
        let Landed { file, offset } = landed;
        let fact = Fact {
            of: StatedOf::Upload { upload: file.upload, client: file.client },
            sha256: file.sha256,
            size_bytes: Some(file.size_bytes),
            topic: &sender.topics.events,
            offset: (*offset)?,
            at: Wall::from_millis(file.received_at.millis()),
        };
        self.attest(&sender.pool, fact)
    }

    /// When the sender's next file is best sent.
    fn next_upload_after(&self, sender: &Sender) -> Wall {
        let every_ms = sender.policy().update_every_ms;
        pace::next_upload_after(sender.pool.id, sender.client, every_ms, self.clock.now())
    }

    async fn part(&self, sender: &Sender, window: &Window, parts: &mut Parts) -> Option<KnownPart> {
        if let Some(known) = parts.known.get(window) {
            return *known;
        }
        if parts.away || parts.known.len() >= WINDOWS_MAX {
            return None;
        }
        let asked = tokio::time::timeout(LOOK_MAX, self.known.part(&sender.pool.pool, window));
        let Ok(Ok(part)) = asked.await else {
            parts.away = true;
            return None;
        };
        *parts.known.entry(*window).or_insert(part)
    }
}

fn landing(policy: &Policy, file: &FileRef, window: Window, part: Option<KnownPart>) -> Landing {
    let closes_at = window.end.plus(policy.close.grace_ms);
    let held_back_ms = policy.close.minimum.map_or(0, |minimum| minimum.wait_ms);
    let closes_at = LogTime::from_millis(closes_at.millis());
    let closes_at_latest = closes_at.plus(policy.close.max_wait_ms).plus(held_back_ms);
    let over = file.received_at.millis() >= closes_at_latest.millis();
    Landing {
        window,
        closes_at,
        closes_at_latest,
        files_in_window: part.filter(|part| !part.closed).map(|part| part.files),
        late: part.map_or(over, |part| part.closed),
        paused: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::event::{Event, example};
    use schemas::limit::Limits;
    use schemas::policy::PolicyAsk;
    use schemas::time::ReceivedAt;

    #[test]
    fn a_landing_tells_what_the_policy_and_the_tables_say() {
        let ask = PolicyAsk {
            update_every_ms: Some(60_000),
            grace_ms: Some(10_000),
            max_wait_ms: Some(100_000),
            ..PolicyAsk::default()
        };
        let policy = ask.resolve(&Limits::default()).unwrap();
        let received = example::events().into_iter().find_map(|event| match event {
            Event::UploadReceived(received) => Some(received.file),
            _ => None,
        });
        let mut file = received.unwrap();
        let window = policy.windows.of(file.effective_at);
        let part = |files, closed| Some(KnownPart { files, closed });
        let mut check = |received_ms: i64, part, expected: (Option<u32>, bool)| {
            file.received_at = ReceivedAt::from_millis(window.end.millis() + received_ms);
            let landing = landing(&policy, &file, window, part);
            assert_eq!((landing.files_in_window, landing.late), expected, "{received_ms} {part:?}");
            assert_eq!(landing.closes_at_latest.millis(), window.end.millis() + 110_000);
        };
        check(0, part(3, false), (Some(3), false));
        check(0, part(3, true), (None, true));
        check(0, None, (None, false));
        check(109_999, None, (None, false));
        check(110_000, None, (None, true));
    }
}
