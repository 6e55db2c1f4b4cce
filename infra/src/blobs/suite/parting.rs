//! Duties of putting an object in parts.

use super::*;

const MIB: usize = 1024 * 1024;

/// Puts bytes as parts of 5 MiB, each given in several pieces.
async fn put_parts(rig: &dyn Rig, upload: &Multipart, bytes: &Bytes) -> Vec<Part> {
    let mut parts = Vec::new();
    for (number, start) in (1..).zip((0..bytes.len()).step_by(5 * MIB)) {
        let part = bytes.slice(start..bytes.len().min(start + 5 * MIB));
        let pieces: Vec<Bytes> = body(&part, 777_777).try_collect().await.unwrap();
        let done = soon(rig.blobs().part(upload, number, pieces)).await.unwrap();
        assert_eq!((done.number, done.size_bytes), (number, part.len() as u64));
        parts.push(done);
    }
    parts
}

pub(super) async fn parts_make_an_object(rig: &mut dyn Rig) {
    for len in [1, 5 * MIB, 12 * MIB + 345] {
        let key = rig.fresh("parts");
        let bytes = bytes(len as u64, len);
        let upload = rig.blobs().begin(&key).await.unwrap();
        assert_eq!(upload.key, key);
        let parts = put_parts(rig, &upload, &bytes).await;
        expect_none(rig, &key).await;
        for _ in 0..2 {
            soon(rig.blobs().finish(&upload, &parts)).await.expect("a repeat does nothing");
            expect(rig, &key, &bytes).await;
        }
        let all = stale(rig, schemas::time::Wall::from_millis(i64::MAX), &[&key]).await;
        assert!(matches!(all.as_slice(), [Stale::Object { .. }]), "nothing is left: {all:?}");
    }
}

pub(super) async fn parts_survive_and_may_be_repeated(rig: &mut dyn Rig) {
    let key = rig.fresh("repeated");
    let whole = bytes(1, 11 * MIB);
    let upload = rig.blobs().begin(&key).await.unwrap();
    let first = put_parts(rig, &upload, &whole).await;
    rig.reopen().await;
    let again = put_parts(rig, &upload, &whole).await;
    assert_eq!(first.len(), 3);
    // Whichever answer was kept, and from two at once.
    let parts = [first[0].clone(), again[1].clone(), first[2].clone()];
    let blobs = rig.blobs();
    let (one, two) =
        soon(async { tokio::join!(blobs.finish(&upload, &parts), blobs.finish(&upload, &again)) })
            .await;
    one.unwrap();
    two.unwrap();
    rig.reopen().await;
    expect(rig, &key, &whole).await;
    rig.blobs().finish(&upload, &again).await.expect("a repeat does nothing");
}

pub(super) async fn what_is_not_whole_is_not_made(rig: &mut dyn Rig) {
    let key = rig.fresh("holes");
    let upload = rig.blobs().begin(&key).await.unwrap();
    let parts = put_parts(rig, &upload, &bytes(1, 11 * MIB)).await;
    let never = Part { number: 3, tag: "00".repeat(32), size_bytes: MIB as u64 };
    let bad = [
        vec![],
        vec![parts[0].clone(), parts[2].clone()],
        vec![parts[1].clone(), parts[0].clone(), parts[2].clone()],
        vec![parts[0].clone(), parts[1].clone(), never],
    ];
    for parts in bad {
        rig.blobs().finish(&upload, &parts).await.expect_err("it has holes");
        expect_none(rig, &key).await;
    }
    let large = vec![bytes(1, super::super::PART_BYTES_MAX), bytes(1, 1)];
    rig.blobs().part(&upload, 4, large).await.expect_err("it is too large");
    rig.blobs().finish(&upload, &parts).await.unwrap();
    expect(rig, &key, &bytes(1, 11 * MIB)).await;
}
