//! Duties of checkpoints and versions.

use super::*;

pub(super) async fn a_checkpoint_is_of_one_version_and_topic(rig: &mut dyn Rig) {
    let (view, other) = (active(rig).await, rig.fresh());
    rig.views().create(other, &[Mixed::TABLE, Single::TABLE]).await.unwrap();
    let topics = [topic(), Topic::named("suite.batches")];
    for topic in &topics {
        assert_eq!(rig.views().state(view, topic).await.unwrap().checkpoint, None);
    }
    let mut expected = [upto(1), Checkpoint { topic: topics[1].clone(), ..upto(9) }];
    expected[1].pair = Some((u64::MAX, u32::MAX));
    expected[1].stamp_us = i64::MAX;
    let later = Checkpoint { pair: Some((0, 0)), ..upto(u64::MAX) };
    let earlier = upto(0);
    for checkpoint in [&expected[0].clone(), &expected[1].clone(), &later, &earlier] {
        rig.views().apply(view, Writes::default(), vec![checkpoint.clone()]).await.unwrap();
        if checkpoint.topic == topics[0] {
            // Also a range that is repeated from an earlier one.
            expected[0] = checkpoint.clone();
        }
        for (topic, expected) in topics.iter().zip(&expected) {
            let state = rig.views().state(view, topic).await.unwrap();
            assert_eq!(state.active, Some(view.version));
            if *topic == topics[0] || checkpoint.topic == *topic {
                assert_eq!(state.checkpoint.as_ref(), Some(expected));
            }
            assert_eq!(rig.views().state(other, topic).await.unwrap().checkpoint, None);
        }
    }
}

pub(super) async fn a_version_is_filled_beside_the_one_being_read(rig: &mut dyn Rig) {
    let old = active(rig).await;
    let View { name, version } = rig.fresh();
    assert_ne!((name, version), (old.name, old.version));
    let new = View { name: old.name, version: old.version + 1_000 };
    rig.views().create(new, &[Single::TABLE]).await.unwrap();
    for (view, said) in [(old, "old"), (new, "new")] {
        let mut writes = Writes::default();
        writes.upsert(single(1, said), 1);
        rig.views().apply(view, writes, vec![upto(3)]).await.unwrap();
        assert_eq!(text(rig, view, 1).await.as_deref(), Some("old"), "the old one is read");
    }
    assert_eq!(rig.views().state(new, &topic()).await.unwrap().active, Some(old.version));
    rig.views().activate(new).await.unwrap();
    assert_eq!(text(rig, new, 1).await.as_deref(), Some("new"));
    let discarded = rig.views().discard(new).await;
    assert!(matches!(discarded, Err(Error::Refused { .. })), "it is being read: {discarded:?}");
    for _ in 0..2 {
        rig.views().discard(old).await.unwrap();
    }
    let state = rig.views().state(old, &topic()).await.unwrap();
    assert_eq!(state, ViewState { active: Some(new.version), checkpoint: None });
    assert_eq!(text(rig, new, 1).await.as_deref(), Some("new"));
    // Made again, it is empty.
    rig.views().create(old, &[Single::TABLE]).await.unwrap();
    rig.views().activate(old).await.unwrap();
    assert_eq!(text(rig, old, 1).await, None);
}

pub(super) async fn what_was_not_made_is_told(rig: &mut dyn Rig) {
    let never = View { name: "suite_never", version: 1 };
    let gone = rig.fresh();
    let state = rig.views().state(never, &topic()).await;
    assert_eq!(state, Ok(ViewState::default()));
    let page = rig.views().page(never.name, Scan::of::<Single>([id(1)])).await;
    assert!(matches!(page, Err(Error::NoTable(_))), "{page:?}");
    let mut writes = Writes::default();
    writes.upsert(single(1, "x"), 1);
    let applied = rig.views().apply(gone, writes, vec![upto(1)]).await;
    assert!(matches!(applied, Err(Error::NoTable(_))), "{applied:?}");
    let activated = rig.views().activate(gone).await;
    assert!(matches!(activated, Err(Error::NoTable(_))), "{activated:?}");
    let state = rig.views().state(gone, &topic()).await.unwrap();
    assert_eq!(state.checkpoint, None, "nothing was applied");
    rig.views().discard(gone).await.expect("there is nothing to throw away");
}
