//! Files under inspection: their windows wait for them, and for nothing else they are held up.

use schemas::event::{
    Derived, FaultCode, FileFaults, MemberRemoveRequested, OpenWindows, RetryRight, Stage,
    UploadAccepted, UploadAttemptFailed, UploadInspectionStarted, UploadReceived, UploadRejected,
    UploadRetryRequested,
};
use schemas::file::FileRef;
use schemas::id::{AccountId, RunId, UploadId};
use schemas::policy::LateMode;
use schemas::time::StoredAt;

use super::{BASE, OWNER, Telling, file, place, policy};

impl Telling {
    /// A file that is to be inspected.
    pub(super) fn inspected(&mut self, upload: u128, client: u128, at: i64) -> Vec<String> {
        let stored_at = StoredAt::from_millis(BASE + self.clock);
        let inspections = vec!["readings".parse().unwrap()];
        let file = FileRef { inspections, ..file(upload, client, at) };
        self.say(UploadReceived { file, stored_at })
    }

    pub(super) fn inspection_starts(&mut self, upload: u128, run: u128) -> Vec<String> {
        let (upload, run) = (UploadId::from_bits(upload), RunId::from_bits(run));
        self.say(UploadInspectionStarted { upload, run })
    }

    pub(super) fn accepted(&mut self, upload: u128) -> Vec<String> {
        let (upload, run) = (UploadId::from_bits(upload), RunId::from_bits(1));
        self.say(UploadAccepted { upload, run })
    }

    pub(super) fn rejected(&mut self, upload: u128) -> Vec<String> {
        let (upload, run) = (UploadId::from_bits(upload), RunId::from_bits(1));
        let rejection = FileFaults {
            inspection: "readings".parse().unwrap(),
            code: FaultCode::CsvInvalid,
            rows: 1,
            count: 0,
            faults: Vec::new(),
        };
        self.say(UploadRejected { upload, run, rejection })
    }

    pub(super) fn inspection_breaks(&mut self, upload: u128, run: u128) -> Vec<String> {
        self.attempt_fails(upload, Stage::Inspection, Some(RunId::from_bits(run)))
    }

    fn attempt_fails(&mut self, upload: u128, stage: Stage, run: Option<RunId>) -> Vec<String> {
        self.say(UploadAttemptFailed {
            upload: UploadId::from_bits(upload),
            client: AccountId::from_bits(1),
            name: "f".parse().unwrap(),
            stage,
            run,
            reason: "it broke".into(),
        })
    }

    pub(super) fn retry_upload(&mut self, upload: u128, as_sender: bool) -> Vec<String> {
        let right = if as_sender { RetryRight::Sender } else { RetryRight::Admin };
        let (by, upload) = (AccountId::from_bits(1), UploadId::from_bits(upload));
        self.say(UploadRetryRequested { by, upload, right })
    }
}

/// A record about one file, in short words.
pub(super) fn told(body: &Derived) -> String {
    match body {
        Derived::FilePlaced(placed) => {
            format!("file {} {}", placed.file.upload.bits(), place(&placed.placed))
        }
        Derived::FileReleased(released) => {
            format!("released {} {}", released.file.upload.bits(), place(&released.placed))
        }
        Derived::FileDiscarded(discarded) => format!("discarded {}", discarded.upload.bits()),
        Derived::InspectionBegun(begun) => format!("run {} begun", begun.run.bits()),
        Derived::FileAccepted(accepted) => {
            format!("accepted {} {}", accepted.file.upload.bits(), place(&accepted.placed))
        }
        Derived::FileRejected(rejected) => format!("rejected {}", rejected.upload.bits()),
        Derived::FileAttemptFailed(failed) => {
            format!(
                "attempt {} of {} failed: {:?}",
                failed.attempts,
                failed.upload.bits(),
                failed.stage
            )
        }
        Derived::FileFailed(failed) => {
            format!("upload {} failed: {:?}", failed.upload.bits(), failed.stage)
        }
        Derived::FileRetried(retried) => format!("retried {}", retried.file.upload.bits()),
        other => format!("{other:?}"),
    }
}

/// A pool with a file of minute 0 under inspection, whose end the clients have passed.
fn waiting(late: LateMode) -> Telling {
    let mut pool = Telling::new(2, policy(|ask| ask.late = Some(late)));
    pool.at(50_000);
    assert_eq!(pool.inspected(1, 1, 10_000), ["file 1 inspected for 0"]);
    pool.at(100_000);
    for (upload, client) in [(8, 1), (9, 2)] {
        pool.file(upload, client, 100_000);
    }
    pool
}

#[test]
fn a_file_is_grouped_once_it_was_accepted() {
    let mut pool = Telling::new(1, policy(|_| ()));
    pool.at(1_000);
    assert_eq!(pool.inspected(1, 1, 1_000), ["file 1 inspected for 0"]);
    assert_eq!(pool.inspected(1, 1, 1_000), ["upload 1 repeated"]);
    assert_eq!(pool.inspection_starts(1, 1), ["run 1 begun"]);
    assert_eq!(pool.inspection_starts(1, 1), ["run 1 begun"], "a repeat");
    assert_eq!(pool.accepted(1), ["opened 0.1", "accepted 1 in 0.1 r1"]);
    assert!(pool.accepted(1).is_empty() && pool.rejected(1).is_empty(), "the first verdict counts");
    assert_eq!(pool.inspection_starts(1, 2), ["refused: NotUnderInspection"]);
    pool.inspected(2, 1, 2_000);
    assert_eq!(pool.rejected(2), ["rejected 2"]);
    assert!(pool.accepted(2).is_empty());
    assert_eq!(pool.retry_upload(2, false), ["refused: NotFailed"]);
    assert_eq!(pool.close().last().unwrap(), "ready 0.1 r1 files 1 because asked");
}

#[test]
fn a_close_waits_for_what_came_in_time_and_late_files_are_none_meanwhile() {
    let mut pool = waiting(LateMode::Hold);
    assert_eq!(pool.file(2, 2, 20_000), ["opened 0.1", "file 2 in 0.1 r1"], "it waits for file 1");
    let said = pool.at(101_000).accepted(1);
    let expected =
        ["accepted 1 in 0.1 r1", "page 1 of 0.1: 1,2", "ready 0.1 r1 files 2 because window-end"];
    assert_eq!(said, expected);
    assert_eq!(pool.file(3, 2, 20_000), ["file 3 held: late"]);
    // Rejected: the window closes without it.
    let mut pool = waiting(LateMode::Hold);
    pool.file(2, 2, 20_000);
    let said = pool.at(101_000).rejected(1);
    assert_eq!(
        said,
        ["rejected 1", "page 1 of 0.1: 2", "ready 0.1 r1 files 1 because window-end missing 1"]
    );
}

#[test]
fn a_window_of_its_own_is_opened_for_what_came_in_time() {
    let mut pool = waiting(LateMode::Hold);
    let expected = [
        "opened 0.1",
        "accepted 1 in 0.1 r1",
        "page 1 of 0.1: 1",
        "ready 0.1 r1 files 1 because window-end missing 2",
    ];
    assert_eq!(pool.accepted(1), expected);
}

#[test]
fn no_close_waits_longer_than_for_a_client() {
    let mut pool = waiting(LateMode::Amend);
    pool.file(2, 2, 20_000);
    // The end, the grace and the longest wait.
    pool.at(129_999);
    let mut said = Vec::new();
    while pool.clock < 130_000 {
        assert!(said.is_empty(), "{said:?}");
        said = pool.timer();
    }
    assert_eq!(said.last().unwrap(), "ready 0.1 r1 files 1 because window-end missing 1");
    assert_eq!(pool.accepted(1), ["accepted 1 in 0.1 r2 late"]);
}

#[test]
fn what_its_window_did_not_wait_for_is_late() {
    for (late, expected) in [
        (LateMode::Amend, "accepted 1 in 0.1 r1 late"),
        (LateMode::Next, "accepted 1 in 1.1 r1 late from 0"),
        (LateMode::Hold, "accepted 1 held: late"),
    ] {
        let mut pool = waiting(late);
        let said = pool.at(130_000).accepted(1);
        assert_eq!(said[0], expected, "{said:?}");
    }
}

#[test]
fn what_was_late_or_to_be_held_when_it_came_is_so_after_its_verdict() {
    let mut pool = Telling::new(2, policy(|ask| ask.late = Some(LateMode::Amend)));
    pool.at(300_000);
    pool.file(9, 1, 300_000);
    assert_eq!(pool.inspected(1, 1, 10_000), ["file 1 inspected for 0"]);
    assert_eq!(pool.accepted(1), ["accepted 1 in 0.1 r1 late"]);
    let (by, account) = (AccountId::from_bits(OWNER), AccountId::from_bits(2));
    pool.inspected(2, 2, 299_000);
    pool.say(MemberRemoveRequested { by, account });
    pool.inspected(3, 2, 299_000);
    let said = pool.accepted(2);
    assert_eq!(said, ["opened 4.1", "accepted 2 in 4.1 r1"], "its sender belonged when it came");
    assert_eq!(pool.accepted(3), ["accepted 3 held: no contributor"]);
    assert_eq!(pool.release((3, 2, 299_000), None), ["released 3 in 4.1 r1"]);
}

#[test]
fn a_pool_is_archived_around_what_is_inspected() {
    let mut pool = Telling::new(1, policy(|_| ()));
    pool.at(1_000);
    pool.file(1, 1, 1_000);
    pool.inspected(2, 1, 1_000);
    pool.inspected(3, 1, 1_000);
    let said = pool.archive(OpenWindows::Close);
    assert_eq!(said.last().unwrap(), "archived");
    assert_eq!(pool.accepted(2), ["accepted 2 held: archived"]);
    assert_eq!(pool.rejected(3), ["rejected 3"]);
    assert_eq!(pool.inspected(4, 1, 1_000), ["file 4 held: archived"], "nobody will look at it");
}

#[test]
fn three_runs_that_break_fail_an_upload_until_it_is_retried() {
    let mut pool = Telling::new(1, policy(|_| ()));
    pool.at(1_000);
    pool.inspected(1, 1, 1_000);
    pool.inspection_starts(1, 1);
    assert_eq!(pool.inspection_breaks(1, 1), ["attempt 1 of 1 failed: Inspection"]);
    assert!(pool.inspection_breaks(1, 1).is_empty(), "once");
    pool.inspection_starts(1, 2);
    // The process that ran it is gone.
    assert_eq!(pool.inspection_starts(1, 3), ["attempt 2 of 1 failed: Inspection", "run 3 begun"]);
    let expected = ["upload 1 failed: Inspection", "refused: NotUnderInspection"];
    assert_eq!(pool.inspection_starts(1, 4), expected);
    assert!(pool.accepted(1).is_empty(), "too late");
    for _ in 0..3 {
        assert_eq!(pool.retry_upload(1, true), ["retried 1"]);
        assert_eq!(pool.retry_upload(1, true), ["refused: NotFailed"], "it is inspected");
        for run in 10..13 {
            pool.inspection_starts(1, run);
            pool.inspection_breaks(1, run);
        }
    }
    assert_eq!(pool.retry_upload(1, true), ["refused: RetriesUsedUp"]);
    assert_eq!(pool.retry_upload(1, false), ["retried 1"], "an admin may");
    pool.inspection_starts(1, 20);
    assert_eq!(pool.accepted(1), ["opened 0.1", "accepted 1 in 0.1 r1"]);
}

#[test]
fn attempts_at_what_never_came_are_counted_until_it_comes() {
    let mut pool = Telling::new(1, policy(|_| ()));
    pool.at(1_000);
    assert_eq!(pool.attempt_fails(1, Stage::Digest, None), ["attempt 1 of 1 failed: Digest"]);
    assert_eq!(pool.attempt_fails(1, Stage::Store, None), ["attempt 2 of 1 failed: Store"]);
    assert_eq!(pool.attempt_fails(1, Stage::Digest, None), ["upload 1 failed: Digest"]);
    assert!(pool.attempt_fails(1, Stage::Digest, None).is_empty(), "told once");
    assert_eq!(pool.file(1, 1, 1_000), ["opened 0.1", "file 1 in 0.1 r1"], "what came is a fact");
    assert!(pool.attempt_fails(1, Stage::Digest, None).is_empty());
    pool.at(90_000_000);
    let said = pool.attempt_fails(2, Stage::Digest, None);
    assert_eq!(said.last().unwrap(), "attempt 1 of 2 failed: Digest");
}
