//! Duties of applying writes.

use tokio::task::JoinSet;

use super::*;

pub(super) async fn rows_come_back_as_they_were(rig: &mut dyn Rig) {
    let view = active(rig).await;
    let full = mixed(5, "ä \0 '\"", u32::MAX);
    let empty = Mixed {
        upload: None,
        bytes: Bytes::new(),
        yes: None,
        note: Some(String::new()),
        size_bytes: u64::MAX,
        ..mixed(4, "", 0)
    };
    let other = Mixed { yes: Some(false), note: Some("x".repeat(10_000)), ..mixed(3, "b", 1) };
    let mut writes = Writes::default();
    for row in [&full, &empty, &other] {
        writes.upsert(row.clone(), 1);
    }
    apply(rig, view, writes).await;
    let scan = Scan::of::<Mixed>([Cell::Id(CLIENT.uuid()), Cell::Int(202_611)]);
    assert_eq!(rows::<Mixed>(rig, view, scan).await, [full, empty, other]);
}

pub(super) async fn an_older_stamp_never_wins(rig: &mut dyn Rig) {
    let view = active(rig).await;
    // Each step is an apply of its own: (stamp, text or delete, text there afterwards).
    let steps = [
        (10, Some("a"), Some("a")),
        (9, Some("older"), Some("a")),
        (11, Some("b"), Some("b")),
        (10, None, Some("b")),
        (12, None, None),
        (13, Some("c"), Some("c")),
        (12, None, Some("c")),
        (13, Some("c"), Some("c")),
        (20, None, None),
        (21, Some("d"), Some("d")),
    ];
    for (stamp, put, expected) in steps {
        let mut writes = Writes::default();
        match put {
            Some(text) => writes.upsert(single(1, text), stamp),
            None => writes.delete::<Single>([id(1)], stamp),
        }
        apply(rig, view, writes).await;
        assert_eq!(text(rig, view, 1).await.as_deref(), expected, "{put:?} at {stamp}");
    }
    // And in one apply, in order.
    let mut writes = Writes::default();
    for (stamp, put, _) in steps {
        match put {
            Some(text) => writes.upsert(single(2, text), stamp),
            None => writes.delete::<Single>([id(2)], stamp),
        }
    }
    apply(rig, view, writes).await;
    assert_eq!(text(rig, view, 2).await.as_deref(), Some("d"));
}

pub(super) async fn a_range_may_be_repeated(rig: &mut dyn Rig) {
    let view = active(rig).await;
    let range = |stamps: std::ops::Range<i64>| {
        let mut writes = Writes::default();
        for stamp in stamps {
            let of = u128::try_from(stamp % 7).unwrap();
            if stamp % 5 == 0 {
                writes.delete::<Single>([id(of)], stamp);
            } else {
                writes.upsert(single(of, &format!("at {stamp}")), stamp);
            }
            writes.upsert(mixed(stamp % 3, "x", 0), stamp);
        }
        writes
    };
    apply(rig, view, range(0..100)).await;
    let mut before = Vec::new();
    for of in 0..7 {
        before.push(text(rig, view, of).await);
    }
    assert!(before.contains(&None) && before.contains(&Some("at 99".to_owned())), "{before:?}");
    for from in [0, 50, 95, 99, 100] {
        apply(rig, view, range(from..100)).await;
        for (of, before) in (0..).zip(&before) {
            assert_eq!(text(rig, view, of).await, *before, "repeated from {from}");
        }
    }
}

pub(super) async fn a_bad_row_does_nothing(rig: &mut dyn Rig) {
    let view = active(rig).await;
    let good = single(1, "good");
    let bad: [(&str, Vec<Cell>); 4] = [
        ("id", vec![Cell::Null, Cell::Text("x".into())]),
        ("text", vec![id(2), Cell::Int(1)]),
        ("text", vec![id(2)]),
        ("text", vec![id(2), Cell::Text("x".into()), Cell::Null]),
    ];
    for (column, cells) in bad {
        let mut writes = Writes::default();
        writes.upsert(good.clone(), 1);
        writes.cells.extend(cells);
        let op = super::super::Op { cells_end: writes.cells.len(), ..writes.ops[0] };
        writes.ops.push(op);
        let applied = rig.views().apply(view, writes, vec![upto(99)]).await;
        assert_eq!(applied, Err(Error::BadRow(BadRow { column })));
    }
    assert_eq!(text(rig, view, 1).await, None, "not even the good one before it");
    assert_eq!(rig.views().state(view, &topic()).await.unwrap().checkpoint, None);
}

pub(super) async fn many_at_once_do_not_mix(rig: &mut dyn Rig) {
    let view = active(rig).await;
    let mut tasks = JoinSet::new();
    for task in 0..8_u128 {
        let views = rig.views();
        tasks.spawn(async move {
            for n in 0..20 {
                let mut writes = Writes::default();
                for of in 0..10 {
                    writes.upsert(single(100 * task + of, &format!("{task}.{n}")), n);
                }
                let topic = Topic::named(&format!("suite.{task}"));
                let upto = Checkpoint { topic, ..upto(n.unsigned_abs()) };
                views.apply(view, writes, vec![upto]).await.unwrap();
                views.page(view.name, Scan::of::<Single>([id(100 * task)])).await.unwrap();
            }
        });
    }
    soon(tasks.join_all()).await;
    for task in 0..8 {
        for of in 0..10 {
            assert_eq!(text(rig, view, 100 * task + of).await, Some(format!("{task}.19")));
        }
        let topic = Topic::named(&format!("suite.{task}"));
        let state = rig.views().state(view, &topic).await.unwrap();
        assert_eq!(state.checkpoint.unwrap().position.next, 19);
    }
}

pub(super) async fn what_was_applied_is_there_after_a_restart(rig: &mut dyn Rig) {
    let view = active(rig).await;
    let mut writes = Writes::default();
    writes.upsert(single(1, "kept"), 1);
    apply(rig, view, writes).await;
    rig.reopen().await;
    assert_eq!(text(rig, view, 1).await.as_deref(), Some("kept"));
    let expected = ViewState { active: Some(view.version), checkpoint: Some(upto(1)) };
    assert_eq!(rig.views().state(view, &topic()).await, Ok(expected));
}
