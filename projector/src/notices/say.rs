//! What a derived record is to those who listen: who is told, and in which words. Pure.

use bytes::Bytes;
use schemas::api::{Notice, Noticed};
use schemas::event::Derived;
use schemas::id::AccountId;
use schemas::name::PoolName;
use schemas::time::LogTime;
use schemas::topic::Offset;
use schemas::wire::Cause;

use crate::project::{Said, Seen, view_of};

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// One member.
    Member(AccountId),
    /// Owners, admins and processors.
    Staff,
    /// All.
    All,
}

/// One event of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) audience: Audience,
    /// Whether the member it is for belongs no longer: its streams end.
    pub(super) farewell: bool,
    /// The event as it is sent, the same bytes for all.
    pub(super) bytes: Bytes,
}

impl Told {
    /// Whether a member hears it.
    pub(super) fn is_for(&self, member: AccountId, staff: bool) -> bool {
        match self.audience {
            Audience::Member(other) => other == member,
            Audience::Staff => staff,
            Audience::All => true,
        }
    }
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
    let farewell = matches!(notice, Notice::Removed { .. });
    let data = serde_json::to_string(&Noticed { position, notice });
    let data = data.expect("names and numbers always serialise");
    let bytes = format!("id: {offset}\nevent: {name}\ndata: {data}\n\n").into();
    Some(Told { audience, farewell, bytes })
}

fn notice(
    pool: &PoolName,
    offset: Offset,
    at: LogTime,
    body: &Derived,
) -> Option<(Audience, &'static str, Notice)> {
    Some(match body {
        Derived::FilePlaced(placed) => {
            let (upload, name) = (placed.file.upload, placed.file.name.clone());
            let notice = Notice::Accepted { upload, name, placed: placed.placed.clone() };
            (Audience::Member(placed.file.client), "accepted", notice)
        }
        Derived::FileReleased(released) => {
            let (upload, name) = (released.file.upload, released.file.name.clone());
            let notice = Notice::Accepted { upload, name, placed: released.placed.clone() };
            (Audience::Member(released.file.client), "accepted", notice)
        }
        Derived::UploadRefused(refused) => {
            let notice = Notice::Refused { upload: refused.upload };
            (Audience::Member(refused.client), "refused", notice)
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
        Derived::ResultPublished(published) => {
            let seen = Seen { pool, offset, at, stamp_us: 0, cause: 0, said: Said::Derived(body) };
            let result = Box::new(view_of(&seen, published));
            (Audience::All, "result", Notice::Result { result })
        }
        Derived::MemberRemoved(removed) => {
            let account = removed.account;
            (Audience::Member(account), "removed", Notice::Removed { account })
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::event::example;

    #[test]
    fn each_notice_is_one_event_of_its_name() {
        let pool = "tests".parse().unwrap();
        let cause = Some(Cause { offset: 4, index: 0, last: true });
        let mut names = Vec::new();
        for (offset, body) in (10..).zip(example::derived()) {
            let at = LogTime::from_millis(0);
            let Some(told) = say(&pool, offset, at, &body, cause) else { continue };
            let text = String::from_utf8(told.bytes.to_vec()).unwrap();
            let lines: Vec<_> = text.trim_end().split('\n').collect();
            assert_eq!((lines.len(), lines[0]), (3, format!("id: {offset}").as_str()));
            let data: Noticed =
                serde_json::from_str(lines[2].strip_prefix("data: ").unwrap()).unwrap();
            assert_eq!(data.position, "tests:4");
            names.push(lines[1].strip_prefix("event: ").unwrap().to_owned());
            assert_eq!(told.farewell, lines[1] == "event: removed");
        }
        let expected = [
            "accepted",
            "accepted",
            "refused",
            "batch",
            "batch",
            "batch-failed",
            "removed",
            "result",
        ];
        assert_eq!(names, expected);
    }
}
