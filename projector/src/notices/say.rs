//! What a derived record is to those who listen: who is told, and in which words. Pure.

use infra::log::Record;
use schemas::api::Notice;
use schemas::event::{
    Derived, FileAttemptFailed, FileFailed, FileRejected, Placement, PoolState, WindowSkipped,
};
use schemas::file::FileRef;
use schemas::id::AccountId;
use schemas::name::PoolName;
use schemas::time::LogTime;
use schemas::topic::Offset;
use schemas::wire::{self, Cause};

use super::event::Event;
use crate::project::{Said, Seen, view_of};

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// One member.
    Member(AccountId),
    /// One member; and owners, admins and processors.
    MemberAndStaff(AccountId),
    /// Owners, admins and processors.
    Staff,
    /// All.
    All,
}

/// One event of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) audience: Audience,
    pub(super) event: Event,
}

impl Told {
    /// Whether a member hears it.
    pub(super) fn is_for(&self, member: AccountId, staff: bool) -> bool {
        match self.audience {
            Audience::Member(other) => other == member,
            Audience::MemberAndStaff(other) => other == member || staff,
            Audience::Staff => staff,
            Audience::All => true,
        }
    }
}

/// The event of a record as it was read.
pub(super) fn said(pool: &PoolName, record: &Record) -> Option<Told> {
    // What cannot be read halts the projection; here it is nothing to tell.
    let (body, attributes) = wire::decode::<Derived>(&record.value).ok()?;
    say(pool, record.offset, record.at, &body, attributes.cause)
}

/// The event of one record of a pool's `.batches`, if it is one for those who listen.
pub(super) fn say(
    pool: &PoolName,
    offset: Offset,
    at: LogTime,
    body: &Derived,
    cause: Option<Cause>,
) -> Option<Told> {
    let (audience, name, notice) = notice(pool, offset, at, body)?;
    let position = format!("{pool}:{}", cause.map_or(0, |cause| cause.offset));
    Some(Told { audience, event: Event::new(offset, position, name, notice) })
}

/// Who hears of a record, under which name, and what.
pub(crate) fn notice(
    pool: &PoolName,
    offset: Offset,
    at: LogTime,
    body: &Derived,
) -> Option<(Audience, &'static str, Notice)> {
    if let Some(told) = file_notice(body) {
        return Some(told);
    }
    Some(match body {
        Derived::LeaseExpired(ended) => {
            let (batch, revision, reason) = (ended.batch, ended.revision, ended.reason);
            let notice =
                Notice::AttemptFailed { batch, revision, reason, attempts: ended.attempts };
            (Audience::Staff, "attempt-failed", notice)
        }
        Derived::UploadRefused(refused) => {
            let client = refused.client;
            let notice = Notice::Refused { upload: refused.upload, client: Some(client) };
            (Audience::MemberAndStaff(client), "refused", notice)
        }
        Derived::BatchReady(ready) => {
            (Audience::All, "batch", Notice::Batch { closed: Box::new(ready.closed.clone()) })
        }
        Derived::BatchAmended(amended) => {
            (Audience::All, "batch", Notice::Batch { closed: Box::new(amended.closed.clone()) })
        }
        Derived::BatchFailed(failed) => {
            let reason = failed.reason.as_deref().map(str::to_owned);
            (Audience::Staff, "batch-failed", Notice::BatchFailed { batch: failed.batch, reason })
        }
        Derived::BatchRetried(retried) => {
            let (batch, revision, by) = (retried.batch, retried.revision, retried.by);
            (Audience::Staff, "batch-retried", Notice::BatchRetried { batch, revision, by })
        }
        Derived::ResultPublished(published) => {
            let said = Said::Derived(body);
            let seen = Seen { pool, offset, at, event: None, stamp_us: 0, said };
            let result = Box::new(view_of(&seen, published));
            (Audience::All, "result", Notice::Result { result })
        }
        Derived::ResultWithdrawn(withdrawn) => {
            let (result, batch) = (withdrawn.result, withdrawn.batch);
            (Audience::All, "result-withdrawn", Notice::ResultWithdrawn { result, batch })
        }
        Derived::RedeliveryBegun(begun) => {
            let audience = begun.member.map_or(Audience::All, Audience::Member);
            (audience, "redelivery", Notice::Redelivery { from_seq: begun.from_seq })
        }
        Derived::WindowSkipped(skipped) => {
            let WindowSkipped { window, batch, files, .. } = *skipped;
            (Audience::All, "skipped", Notice::Skipped { window, batch, files })
        }
        Derived::BatchCancelled(cancelled) => {
            let (batch, revision) = (cancelled.batch, cancelled.revision);
            (Audience::All, "batch-cancelled", Notice::BatchCancelled { batch, revision })
        }
        Derived::PoolPaused(_) => {
            (Audience::All, "pool", Notice::Pool { state: PoolState::Paused })
        }
        Derived::PoolResumed(_) => (Audience::All, "pool", Notice::Pool { state: PoolState::Open }),
        Derived::PoolArchived(_) => {
            (Audience::All, "pool", Notice::Pool { state: PoolState::Archived })
        }
        Derived::MemberSuspended(suspended) => {
            let account = suspended.account;
            (Audience::Member(account), "suspended", Notice::Suspended { account })
        }
        Derived::MemberRemoved(removed) => {
            let account = removed.account;
            (Audience::Member(account), "removed", Notice::Removed { account })
        }
        _ => return None,
    })
}

/// What a record says of one file.
fn file_notice(body: &Derived) -> Option<(Audience, &'static str, Notice)> {
    Some(match body {
        Derived::FileDiscarded(discarded) => {
            let (upload, by) = (discarded.upload, discarded.by);
            (Audience::Staff, "discarded", Notice::Discarded { upload, by })
        }
        Derived::FilePlaced(said) => placed_notice(&said.file, &said.placed),
        Derived::FileReleased(said) => placed_notice(&said.file, &said.placed),
        Derived::FileAccepted(said) => placed_notice(&said.file, &said.placed),
        Derived::FileRetried(said) => received_notice(&said.file),
        Derived::FileRejected(said) => {
            let FileRejected { upload, client, name, rejection } = said.clone();
            let rejection = Box::new(rejection);
            let notice = Notice::Rejected { upload, client, name, rejection };
            (Audience::MemberAndStaff(client), "rejected", notice)
        }
        Derived::FileAttemptFailed(said) => {
            let FileAttemptFailed { upload, client, name, attempts, stage, reason } = said.clone();
            let notice =
                Notice::UploadAttemptFailed { upload, client, name, attempts, stage, reason };
            (Audience::MemberAndStaff(client), "upload-attempt-failed", notice)
        }
        Derived::FileFailed(said) => {
            let FileFailed { upload, client, name, attempts, stage, reason } = said.clone();
            let notice = Notice::UploadFailed { upload, client, name, attempts, stage, reason };
            (Audience::MemberAndStaff(client), "upload-failed", notice)
        }
        _ => return None,
    })
}

/// A file that was put somewhere: told to its sender; where it is held, to those who decide on it
/// too.
fn placed_notice(file: &FileRef, placed: &Placement) -> (Audience, &'static str, Notice) {
    let FileRef { upload, client, .. } = *file;
    let name = file.name.clone();
    match *placed {
        Placement::Inspecting { .. } => received_notice(file),
        Placement::Held { reason, .. } => {
            let notice = Notice::Held { upload, client, name, reason };
            (Audience::MemberAndStaff(client), "held", notice)
        }
        Placement::Window { .. } | Placement::Gathering { .. } => {
            let notice = Notice::Accepted { upload, name, placed: placed.clone() };
            (Audience::Member(client), "accepted", notice)
        }
    }
}

/// A file that is inspected before it is put anywhere.
fn received_notice(file: &FileRef) -> (Audience, &'static str, Notice) {
    let notice = Notice::Received { upload: file.upload, name: file.name.clone() };
    (Audience::Member(file.client), "received", notice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::api::Noticed;
    use schemas::event::{FilePlaced, example};

    #[test]
    fn each_notice_is_one_event_of_its_name() {
        let pool = "tests".parse().unwrap();
        let cause = Some(Cause { offset: 4, index: 0, last: true });
        let mut names = Vec::new();
        for (offset, body) in (10..).zip(example::derived()) {
            let at = LogTime::from_millis(0);
            let Some(told) = say(&pool, offset, at, &body, cause) else { continue };
            let text = String::from_utf8(told.event.sse().to_vec()).unwrap();
            let lines: Vec<_> = text.trim_end().split('\n').collect();
            assert_eq!((lines.len(), lines[0]), (3, format!("id: {offset}").as_str()));
            let data: Noticed =
                serde_json::from_str(lines[2].strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!((data.id, data.position.as_str()), (Some(offset), "tests:4"));
            names.push(lines[1].strip_prefix("event: ").unwrap().to_owned());
            let ends = ["event: removed", "event: suspended"].contains(&lines[1]);
            assert_eq!(told.event.farewell, ends);
        }
        let expected = [
            "accepted",
            "accepted",
            "discarded",
            "refused",
            "skipped",
            "batch",
            "batch",
            "batch-failed",
            "batch-cancelled",
            "batch-retried",
            "suspended",
            "removed",
            "pool",
            "pool",
            "pool",
            "attempt-failed",
            "result",
            "result-withdrawn",
            "redelivery",
            "accepted",
            "rejected",
            "upload-attempt-failed",
            "upload-failed",
            "received",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn failures_are_told_to_those_who_can_do_something_about_them() {
        let pool = "tests".parse().unwrap();
        let all = example::derived();
        let mut held = all.iter().find_map(|body| match body {
            Derived::FilePlaced(placed) => Some(placed.clone()),
            _ => None,
        });
        let held = held.take().map(|placed| {
            let window = placed.placed.window();
            let reason = schemas::event::HeldReason::TooLate;
            FilePlaced { placed: Placement::Held { reason, window }, ..placed }
        });
        let sender = held.as_ref().unwrap().file.client;
        let other = AccountId::from_bits(99);
        let told = |body: &Derived| say(&pool, 1, LogTime::from_millis(0), body, None).unwrap();
        let held = told(&held.unwrap().into());
        assert!(held.event.sse().starts_with(b"id: 1\nevent: held\n"), "{held:?}");
        let heard = |told: &Told| {
            [(sender, false), (other, true), (other, false)]
                .map(|(member, staff)| told.is_for(member, staff))
        };
        assert_eq!(heard(&held), [true, true, false]);
        for body in &all {
            let expected = match body {
                Derived::FilePlaced(_) => [true, false, false],
                Derived::UploadRefused(_)
                | Derived::FileRejected(_)
                | Derived::FileAttemptFailed(_)
                | Derived::FileFailed(_) => [true, true, false],
                Derived::LeaseExpired(_) | Derived::BatchFailed(_) => [false, true, false],
                _ => continue,
            };
            assert_eq!(heard(&told(body)), expected, "{body:?}");
        }
    }
}
