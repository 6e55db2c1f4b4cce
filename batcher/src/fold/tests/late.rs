//! Late files, repeats, and what is held: never dropped.

use schemas::event::{MemberRemoveRequested, UploadReceived};
use schemas::id::AccountId;
use schemas::time::StoredAt;

use super::{BASE, OWNER, Telling, file, policy};

/// A pool of one client whose minute 0 has closed with file 1, at minute 5.
fn closed_minute() -> Telling {
    let mut pool = Telling::new(1, policy(|_| ()));
    pool.at(1_000);
    pool.file(1, 1, 1_000);
    pool.at(300_000);
    pool.file(2, 1, 300_000);
    pool
}

#[test]
fn late_files_are_gathered_and_amend_their_batch() {
    let mut pool = closed_minute();
    assert_eq!(pool.file(3, 1, 2_000), ["file 3 in 0.1 r2 late"]);
    pool.at(310_000);
    assert_eq!(pool.file(4, 1, 1_500), ["file 4 in 0.1 r2 late"]);
    assert_eq!(pool.timer(), ["page 2 of 0.1: 4,3", "amended 0.1 r2 files 3 because late"]);
    assert_eq!(pool.clock, 330_000, "30 s after the first of them");
    assert_eq!(pool.file(5, 1, 3_000), ["file 5 in 0.1 r3 late"]);
    assert_eq!(pool.timer()[1], "amended 0.1 r3 files 4 because late");
}

#[test]
fn a_window_that_never_had_a_batch_gets_its_first_late() {
    let mut pool = closed_minute();
    assert_eq!(pool.file(3, 1, 120_000), ["file 3 in 2.1 r1 late"]);
    assert_eq!(pool.timer(), ["page 1 of 2.1: 3", "ready 2.1 r1 files 1 because late"]);
}

#[test]
fn an_offline_update_is_one_unit() {
    let mut pool = Telling::new(2, policy(|_| ()));
    pool.at(1_000);
    pool.file(1, 1, 1_000);
    pool.at(130_000);
    // Newest first: judged before its own newest file moves the watermark, none is late.
    let said = pool.update(2, &[(10, 125_000), (11, 65_000), (12, 70_000)]);
    assert_eq!(
        said,
        [
            "page 1 of 0.1: 1",
            "ready 0.1 r1 files 1 because max-wait missing 2",
            "opened 2.1",
            "file 10 in 2.1 r1",
            "opened 1.1",
            "file 11 in 1.1 r1",
            "file 12 in 1.1 r1",
        ]
    );
    assert_eq!(
        pool.update(2, &[(10, 125_000), (11, 65_000), (12, 70_000)]),
        ["upload 10 repeated"]
    );
}

#[test]
fn an_update_with_a_key_used_for_other_content_is_refused_whole() {
    let mut pool = Telling::new(1, policy(|_| ()));
    pool.at(1_000);
    pool.file(1, 1, 1_000);
    let mut other = file(1, 1, 1_000);
    other.sha256 = schemas::digest::Digest::of(b"other");
    let update = schemas::event::UpdateReceived {
        update: schemas::id::UpdateId::from_bits(9),
        client: AccountId::from_bits(1),
        items: vec![file(2, 1, 2_000), other],
        stored_at: StoredAt::from_millis(BASE),
    };
    assert_eq!(pool.say(update), ["upload 1 refused"]);
    assert_eq!(pool.file(2, 1, 2_000), ["file 2 in 0.1 r1"], "its other file was not taken");
}

#[test]
fn a_repeat_is_placed_once_and_other_content_refused() {
    let mut pool = Telling::new(1, policy(|_| ()));
    pool.at(1_000);
    pool.file(1, 1, 1_000);
    assert_eq!(pool.file(1, 1, 1_000), ["upload 1 repeated"]);
    let mut other = file(1, 1, 1_000);
    other.sha256 = schemas::digest::Digest::of(b"other");
    let stored_at = StoredAt::from_millis(BASE + 1_000);
    assert_eq!(pool.say(UploadReceived { file: other, stored_at }), ["upload 1 refused"]);
}

#[test]
fn files_that_cannot_be_grouped_are_held() {
    let mut pool = closed_minute();
    let stored_at = StoredAt::from_millis(BASE + 300_000);
    let mut ahead = file(3, 1, 300_000);
    ahead.quarantined = true;
    let said = pool.say(UploadReceived { file: ahead, stored_at });
    assert_eq!(said, ["file 3 held: too far ahead"]);
    let by = AccountId::from_bits(OWNER);
    pool.say(MemberRemoveRequested { by, account: AccountId::from_bits(1) });
    assert_eq!(pool.file(4, 1, 300_000), ["file 4 held: no contributor"]);
    pool.add(1, &[schemas::role::Role::Contributor]);
    pool.at(300_000 + 43_200_001);
    let said = pool.say(UploadReceived { file: file(5, 1, 300_000), stored_at });
    assert_eq!(said.last().unwrap(), "file 5 held: stored long ago");
}

#[test]
fn files_later_than_allowed_are_held_and_their_windows_forgotten() {
    let mut pool = Telling::new(1, policy(|ask| ask.late_allowed_ms = Some(600_000)));
    pool.at(1_000);
    pool.file(1, 1, 1_000);
    pool.at(660_000);
    assert_eq!(
        pool.file(2, 1, 2_000),
        ["page 1 of 0.1: 1", "ready 0.1 r1 files 1 because max-wait", "file 2 in 0.1 r2 late",]
    );
    pool.at(660_001);
    assert_eq!(pool.file(3, 1, 3_000), ["file 3 held: too late"]);
    let said = pool.timer();
    assert_eq!(said[1], "amended 0.1 r2 files 2 because late");
    assert_eq!(said[2], "failed 0.1", "nobody worked on it in all that time");
}
