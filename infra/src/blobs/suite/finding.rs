//! Duties of reading ranges, and of sweeping what is of no use.

use schemas::time::Wall;

use super::*;

pub(super) async fn ranges_are_cut_to_the_object(rig: &mut dyn Rig) {
    let (key, empty) = (rig.fresh("ranges"), rig.fresh("empty"));
    let bytes = put(rig, &key, 1, 300_000).await;
    put(rig, &empty, 1, 0).await;
    let cases = [
        (0, 0, 0),
        (0, 1, 1),
        (5, 10, 10),
        (65_535, 65_537, 65_537),
        (100_000, 300_000, 300_000),
        (299_999, 400_000, 300_000),
        (300_000, 300_000, 300_000),
        (300_000, u64::MAX, 300_000),
    ];
    for (start, end, cut) in cases {
        let got = get(rig, &key, start..end).await.unwrap();
        let (start, cut) = (usize::try_from(start).unwrap(), cut);
        assert!(got == bytes.slice(start..cut), "{start}..{end}");
    }
    assert!(get(rig, &empty, 0..1).await.unwrap().is_empty());
    for (start, end) in [(300_001, 300_002), (300_001, 400_000), (10, 5)] {
        let got = get(rig, &key, Range { start, end }).await;
        assert!(matches!(got, Err(Error::Range)), "{start}..{end}");
    }
}

pub(super) async fn what_is_old_is_told_and_can_be_removed(rig: &mut dyn Rig) {
    let (object, begun, both) = (rig.fresh("object"), rig.fresh("begun"), rig.fresh("both"));
    let keys = [&object, &begun, &both];
    put(rig, &object, 1, 1_000).await;
    put(rig, &both, 2, 1_000).await;
    for key in [&begun, &both] {
        let upload = rig.blobs().begin(key).await.unwrap();
        rig.blobs().part(&upload, 1, vec![bytes(1, 1_000)]).await.unwrap();
    }
    let put_at = rig.blobs().stat(&object).await.unwrap().unwrap().put_at;
    // Stores tell times to the second or better, and by one clock.
    assert_eq!(stale(rig, put_at.minus(2_000), &keys).await, []);
    let mut found = stale(rig, put_at.plus(3_600_000), &keys).await;
    assert_eq!(found.len(), 4, "{found:?}");
    found.sort_by_key(|stale| matches!(stale, Stale::Multipart { .. }));
    for stale in &found {
        let (Stale::Object { put_at: at, .. } | Stale::Multipart { begun_at: at, .. }) = stale;
        assert!(at.since(put_at) <= 60_000 && put_at.since(*at) <= 2_000, "{stale:?}");
    }
    let Stale::Multipart { upload, .. } = found[2].clone() else { panic!("{found:?}") };
    for stale in found.iter().chain(&found) {
        rig.blobs().remove(stale.clone()).await.expect("it is removed, or gone already");
    }
    assert_eq!(stale(rig, Wall::from_millis(i64::MAX), &keys).await, []);
    for key in keys {
        expect_none(rig, key).await;
    }
    rig.blobs().part(&upload, 1, vec![bytes(1, 1_000)]).await.expect_err("it is gone");
}
