//! The duties of the kept door as a suite: every back end runs it, and panics where it fails.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a suite is a test that other crates can run"
)]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemas::id::AccountId;
use schemas::time::Wall;
use tokio::task::JoinSet;

use super::{Cells, Error, Kept};
use crate::fresh;
use crate::table::{BadRow, Cell, Row, Scan};

/// A back end under test.
#[async_trait]
pub trait Rig: Send {
    /// What is kept.
    fn kept(&self) -> Arc<dyn Kept>;

    /// Ends it and begins anew on the same data, as after a restart.
    async fn reopen(&mut self);
}

/// Checks every duty. No duty depends on another.
pub async fn run(rig: &mut dyn Rig) {
    for _ in 0..2 {
        soon(rig.kept().create(&[Named::TABLE, Session::TABLE])).await.unwrap();
    }
    rows_are_put_replaced_and_deleted(rig).await;
    of_many_who_insert_one_is_first(rig).await;
    pages_are_in_the_declared_order(rig).await;
    many_at_once_are_all_kept(rig).await;
    what_is_bad_or_not_made_is_told(rig).await;
    what_was_kept_is_there_after_a_restart(rig).await;
}

crate::row! {
    /// A unique name.
    Named in "suite_named" (name: String) { by: AccountId, at: Option<Wall> }
}

crate::row! {
    /// Several rows of one owner.
    Session in "suite_session" (owner: AccountId; at: Wall = Desc, n: i64 = Asc) {}
}

crate::row! {
    /// Never made.
    Never in "suite_never" (name: String) {}
}

/// So long may anything take. Only a failure waits for it.
const SOON: Duration = Duration::from_mins(1);

/// What comes of it, soon.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("it takes too long")
}

/// Something no other run of the suite has.
fn unique() -> u128 {
    u128::from_be_bytes(fresh::bytes())
}

fn named(name: &str, by: u128) -> Named {
    let at = by.is_multiple_of(2).then(|| Wall::from_millis(i64::try_from(by).unwrap()));
    Named { name: name.to_owned(), by: AccountId::from_bits(by), at }
}

async fn get(rig: &dyn Rig, name: &str) -> Option<Named> {
    let scan = Scan::of::<Named>([Cell::Text(name.into())]);
    let rows: Vec<Named> = soon(rig.kept().page(scan)).await.unwrap().rows().unwrap();
    assert!(rows.len() <= 1);
    rows.into_iter().next()
}

async fn rows_are_put_replaced_and_deleted(rig: &dyn Rig) {
    let (name, other) = (format!("put {}", unique()), format!("other {}", unique()));
    let key = vec![Cell::Text(name.as_str().into())];
    assert_eq!(get(rig, &name).await, None);
    rig.kept().put(Cells::of(named(&other, 9))).await.unwrap();
    for by in [1, 2, 2, 3] {
        rig.kept().put(Cells::of(named(&name, by))).await.unwrap();
        assert_eq!(get(rig, &name).await, Some(named(&name, by)));
    }
    for _ in 0..2 {
        rig.kept().delete(Named::TABLE, key.clone()).await.expect("deleted, or gone already");
        assert_eq!(get(rig, &name).await, None);
    }
    assert_eq!(get(rig, &other).await, Some(named(&other, 9)));
}

async fn of_many_who_insert_one_is_first(rig: &dyn Rig) {
    for round in 0..10 {
        let name = format!("race {}", unique());
        let mut tasks = JoinSet::new();
        for by in 0..8 {
            let (kept, row) = (rig.kept(), named(&name, by));
            tasks.spawn(async move { (by, kept.insert_new(Cells::of(row)).await.unwrap()) });
        }
        let answers = soon(tasks.join_all()).await;
        let first: Vec<_> = answers.iter().filter(|(_, first)| *first).collect();
        assert_eq!(first.len(), 1, "round {round}: {answers:?}");
        assert_eq!(get(rig, &name).await, Some(named(&name, first[0].0)), "the row is its");
        let key = vec![Cell::Text(name.as_str().into())];
        rig.kept().delete(Named::TABLE, key).await.unwrap();
        assert!(rig.kept().insert_new(Cells::of(named(&name, 8))).await.unwrap(), "free again");
        assert!(!rig.kept().insert_new(Cells::of(named(&name, 8))).await.unwrap());
    }
}

async fn pages_are_in_the_declared_order(rig: &dyn Rig) {
    let owner = AccountId::from_bits(unique());
    let mut expected = Vec::new();
    for n in (0..20).map(|n| n * 7 % 20) {
        let session = Session { owner, at: Wall::from_millis(n / 5), n: n % 5 };
        rig.kept().put(Cells::of(session.clone())).await.unwrap();
        expected.push(session);
    }
    expected.sort_by_key(|session| (std::cmp::Reverse(session.at), session.n));
    let mut rows: Vec<Session> = Vec::new();
    let mut after = None;
    loop {
        let scan = Scan::of::<Session>([Cell::Id(owner.uuid())]).limit(6).after(after.take());
        let page = soon(rig.kept().page(scan)).await.unwrap();
        let more = page.more;
        rows.extend(page.rows::<Session>().unwrap());
        if !more {
            break;
        }
        let last = rows.last().unwrap();
        after = Some(vec![Cell::Time(last.at.millis()), Cell::Int(last.n)]);
    }
    assert_eq!(rows, expected);
}

async fn many_at_once_are_all_kept(rig: &mut dyn Rig) {
    let owners: Vec<_> = (0..8).map(|_| AccountId::from_bits(unique())).collect();
    let mut tasks = JoinSet::new();
    for owner in owners.clone() {
        let kept = rig.kept();
        tasks.spawn(async move {
            for n in 0..25 {
                let session = Session { owner, at: Wall::from_millis(0), n };
                kept.put(Cells::of(session)).await.unwrap();
            }
        });
    }
    soon(tasks.join_all()).await;
    rig.reopen().await;
    for owner in owners {
        let scan = Scan::of::<Session>([Cell::Id(owner.uuid())]);
        let rows: Vec<Session> = rig.kept().page(scan).await.unwrap().rows().unwrap();
        assert!(rows.iter().map(|session| session.n).eq(0..25));
    }
}

async fn what_is_bad_or_not_made_is_told(rig: &dyn Rig) {
    let never = || Cells::of(Never { name: "x".to_owned() });
    let key = || vec![Cell::Text("x".into())];
    let kept = rig.kept();
    let told = [
        kept.put(never()).await,
        kept.insert_new(never()).await.map(drop),
        kept.delete(Never::TABLE, key()).await,
        kept.page(Scan::of::<Never>(key())).await.map(drop),
    ];
    for told in told {
        assert!(matches!(told, Err(Error::NoTable(_))), "{told:?}");
    }
    let bad = |cells| Cells { table: Named::TABLE, cells };
    let id = Cell::Id(uuid::Uuid::nil());
    let null = bad(vec![Cell::Null, id, Cell::Null]);
    assert_eq!(kept.put(null.clone()).await, Err(Error::BadRow(BadRow { column: "name" })));
    assert_eq!(kept.insert_new(null).await, Err(Error::BadRow(BadRow { column: "name" })));
    let short = bad(key());
    assert_eq!(kept.put(short).await, Err(Error::BadRow(BadRow { column: "by" })));
    let none = kept.delete(Named::TABLE, Vec::new()).await;
    assert_eq!(none, Err(Error::BadRow(BadRow { column: "name" })));
}

async fn what_was_kept_is_there_after_a_restart(rig: &mut dyn Rig) {
    let [put, inserted, deleted] = ["a", "b", "c"].map(|name| format!("{name} {}", unique()));
    rig.kept().put(Cells::of(named(&put, 1))).await.unwrap();
    assert!(rig.kept().insert_new(Cells::of(named(&inserted, 2))).await.unwrap());
    rig.kept().put(Cells::of(named(&deleted, 3))).await.unwrap();
    rig.kept().delete(Named::TABLE, vec![Cell::Text(deleted.as_str().into())]).await.unwrap();
    rig.reopen().await;
    assert_eq!(get(rig, &put).await, Some(named(&put, 1)));
    assert_eq!(get(rig, &inserted).await, Some(named(&inserted, 2)));
    assert_eq!(get(rig, &deleted).await, None);
    assert!(!rig.kept().insert_new(Cells::of(named(&inserted, 4))).await.unwrap(), "still taken");
}
