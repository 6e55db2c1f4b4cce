//! What is held, and what admins make of it; late files that go into the next window.

use schemas::event::{UploadDiscardRequested, UploadReceived, UploadReleaseRequested};
use schemas::id::{AccountId, UploadId};
use schemas::policy::LateMode;
use schemas::time::{EffectiveAt, StoredAt};

use super::{BASE, OWNER, Telling, file, policy};

/// A pool of one client whose minute 0 has closed with file 1, at minute 5.
fn closed_minute(mode: LateMode) -> Telling {
    let mut pool = Telling::new(
        1,
        policy(|ask| (ask.late, ask.late_allowed_ms) = (Some(mode), Some(600_000))),
    );
    pool.at(1_000);
    pool.file(1, 1, 1_000);
    pool.at(300_000);
    pool.file(2, 1, 300_000);
    pool
}

impl Telling {
    /// Releases what came as `file(upload, client, came)`.
    pub(super) fn release(
        &mut self,
        (upload, client, came): (u128, u128, i64),
        at: Option<i64>,
    ) -> Vec<String> {
        let effective_at = at.map(|at| EffectiveAt::from_millis(BASE + at));
        let (by, file) = (AccountId::from_bits(OWNER), file(upload, client, came));
        self.say(UploadReleaseRequested { by, file, effective_at })
    }

    pub(super) fn discard(&mut self, upload: u128) -> Vec<String> {
        let (by, upload) = (AccountId::from_bits(OWNER), UploadId::from_bits(upload));
        self.say(UploadDiscardRequested { by, upload })
    }
}

#[test]
fn late_files_go_into_the_next_open_window() {
    let mut pool = closed_minute(LateMode::Next);
    let said = pool.file(3, 1, 2_000);
    assert_eq!(said, ["opened 4.1", "file 3 in 4.1 r1 late from 0"], "its grace is not over yet");
    assert_eq!(pool.file(4, 1, 3_000), ["file 4 in 4.1 r1 late from 0"]);
    pool.at(310_000);
    let said = pool.file(5, 1, 310_000);
    assert_eq!(
        said,
        ["file 5 in 5.1 r1", "page 1 of 4.1: 3,4", "ready 4.1 r1 files 2 because window-end"]
    );
    assert_eq!(pool.file(6, 1, 4_000), ["file 6 in 5.1 r1 late from 0"]);
}

#[test]
fn late_files_are_held_until_an_admin_decides() {
    let mut pool = closed_minute(LateMode::Hold);
    assert_eq!(pool.file(3, 1, 2_000), ["file 3 held: late"]);
    assert_eq!(pool.file(4, 1, 3_000), ["file 4 held: late"]);
    assert_eq!(pool.release((3, 1, 2_000), None), ["released 3 in 0.1 r2 late"]);
    assert_eq!(pool.release((3, 1, 2_000), None), ["refused: NotHeld"], "once");
    assert_eq!(pool.discard(3), ["refused: NotHeld"]);
    assert_eq!(pool.discard(4), ["discarded 4"]);
    assert_eq!(pool.release((4, 1, 3_000), None), ["refused: NotHeld"]);
    assert_eq!(pool.timer(), ["page 2 of 0.1: 3", "amended 0.1 r2 files 2 because late"]);
}

#[test]
fn a_release_may_name_another_time_but_none_to_come() {
    let mut pool = closed_minute(LateMode::Hold);
    pool.file(3, 1, 2_000);
    pool.file(4, 1, 3_000);
    assert_eq!(pool.release((3, 1, 2_000), Some(300_500)), ["released 3 in 5.1 r1"]);
    assert_eq!(pool.release((4, 1, 3_000), Some(9_000_000)), ["released 4 in 5.1 r1"]);
}

#[test]
fn what_is_too_old_to_amend_is_released_into_the_next_window() {
    let mut pool = closed_minute(LateMode::Amend);
    pool.at(3_000_000);
    assert_eq!(pool.file(3, 1, 2_000).last().unwrap(), "file 3 held: too late");
    let said = pool.release((3, 1, 2_000), None);
    assert_eq!(said, ["opened 48.1", "released 3 in 48.1 r1 late from 0"], "no id comes twice");
}

#[test]
fn a_release_needs_the_content_that_was_held() {
    let mut pool = closed_minute(LateMode::Hold);
    pool.file(3, 1, 2_000);
    assert_eq!(pool.discard(1), ["refused: NotHeld"], "it is in a batch");
    let (by, mut other) = (AccountId::from_bits(OWNER), file(3, 1, 2_000));
    other.sha256 = schemas::digest::Digest::of(b"other");
    let said = pool.say(UploadReleaseRequested { by, file: other, effective_at: None });
    assert_eq!(said, ["refused: NotHeld"]);
}

#[test]
fn a_file_from_too_far_ahead_does_not_move_the_watermark_when_released() {
    let mut pool = closed_minute(LateMode::Amend);
    let mut ahead = file(3, 1, 9_000_000);
    ahead.quarantined = true;
    let stored_at = StoredAt::from_millis(BASE + 300_000);
    let said = pool.say(UploadReceived { file: ahead, stored_at });
    assert_eq!(said, ["file 3 held: too far ahead"]);
    assert_eq!(pool.release((3, 1, 9_000_000), None), ["released 3 in 5.1 r1"]);
    assert_eq!(pool.file(4, 1, 300_001), ["file 4 in 5.1 r1"]);
}
