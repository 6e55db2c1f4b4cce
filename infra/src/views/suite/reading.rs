//! Duties of reading pages.

use std::cmp::Reverse;

use super::*;

pub(super) async fn pages_are_in_the_declared_order(rig: &mut dyn Rig) {
    let view = active(rig).await;
    let mut expected = Vec::new();
    let mut writes = Writes::default();
    // A step that shares no factor with 64 visits every key, in no order.
    for n in (0..64_u32).map(|n| n * 37 % 64) {
        let name = ["a", "b", "ba", "z"][usize::try_from(n / 4 % 4).unwrap()];
        let row = mixed(1_000 + i64::from(n / 16), name, n % 4 * 100);
        let elsewhere = Mixed { month: 202_612, ..row.clone() };
        let stranger = Mixed { client: AccountId::from_bits(3), ..row.clone() };
        expected.push(row.clone());
        for row in [row, elsewhere, stranger] {
            writes.upsert(row, 1);
        }
    }
    apply(rig, view, writes).await;
    expected.sort_by_key(|row| (Reverse(row.at), row.name.clone(), Reverse(row.part)));
    let partition = [Cell::Id(CLIENT.uuid()), Cell::Int(202_611)];
    let (at, name) = (Cell::Time(1_002), Cell::Text("ba".into()));
    let nothing = Cell::Time(9_999);
    for equal in [vec![], vec![at.clone()], vec![at, name], vec![nothing]] {
        let key = [partition.as_slice(), &equal].concat();
        let expected: Vec<_> =
            expected.iter().filter(|row| cells(row)[..key.len()] == key).collect();
        for limit in [1, 2, 3, 7, 15, 16, 63, 64, 65, usize::MAX] {
            let scan = Scan::of::<Mixed>(key.clone()).limit(limit);
            let rows = pages(rig, view, scan, expected.len()).await;
            assert_eq!(rows.iter().collect::<Vec<_>>(), expected, "{limit} of {equal:?}");
        }
    }
}

fn cells(row: &Mixed) -> Vec<Cell> {
    let mut cells = Vec::new();
    row.clone().put(&mut cells);
    cells
}

/// Reads page after page; each has as many as it may, and says whether there are more.
async fn pages(rig: &dyn Rig, view: View, mut scan: Scan, count: usize) -> Vec<Mixed> {
    let mut rows: Vec<Mixed> = Vec::new();
    loop {
        let page = soon(rig.views().page(view.name, scan.clone())).await.unwrap();
        let more = page.more;
        let some: Vec<Mixed> = page.rows().unwrap();
        assert_eq!(some.len(), scan.limit.min(count - rows.len()));
        rows.extend(some);
        assert_eq!(more, rows.len() < count, "{} of {count}", rows.len());
        if !more {
            return rows;
        }
        let last = cells(rows.last().unwrap());
        scan.after = Some(last[scan.key.len()..Mixed::TABLE.key_len()].to_vec());
    }
}

pub(super) async fn a_bad_scan_is_told(rig: &mut dyn Rig) {
    let view = active(rig).await;
    let client = Cell::Id(CLIENT.uuid());
    let partition = || [client.clone(), Cell::Int(202_611)];
    let bad = [
        ("month", Scan::of::<Mixed>([client.clone()])),
        ("month", Scan::of::<Mixed>([client.clone(), Cell::Text("x".into())])),
        ("name", Scan::of::<Mixed>(partition()).after(Some(vec![Cell::Time(1)]))),
        ("at", Scan::of::<Mixed>(partition()).after(Some(vec![Cell::Null]))),
    ];
    for (column, scan) in bad {
        let page = soon(rig.views().page(view.name, scan.clone())).await;
        let BadRow { column: told } = match page {
            Err(Error::BadRow(bad)) => bad,
            other => panic!("{scan:?}: {other:?}"),
        };
        // Of two that are wrong either may be told.
        assert!(told == column || scan.after.is_some(), "{told}");
    }
}
