//! A folder into a pool, once however often it is run.

use super::stand::{POOL, Stand, arg};

#[test]
fn a_folder_is_imported_once_whatever_happens_between() {
    let mut stand = Stand::new("1h");
    for (name, content) in
        [("20261120T100000-a.csv", "1\n"), ("below/20261120T110000-b.csv", "2\n")]
    {
        stand.file(&format!("in/{name}"), content);
    }
    stand.file("in/empty-20261120T120000.csv", "");
    stand.file("in/no-time.csv", "3\n");
    let (folder, kept) = (stand.path("in"), stand.path("receipts"));
    let import = |stand: &Stand, more: &[&str]| {
        let mut arguments = vec!["--json", "import", "-p", POOL, arg(&folder)];
        arguments.extend(["--time-in-name", "%Y%m%dT%H%M%S"]);
        arguments.extend(more);
        stand.run("buoy-1", &arguments)
    };
    let planned = import(&stand, &["--dry-run"]);
    assert_eq!(planned.code, 3, "one has no time: {planned:?}");
    assert_eq!(stand.json("buoy-1", &["history", "-p", POOL]).len(), 0, "nothing is sent");
    let first = import(&stand, &["--receipts", arg(&kept)]);
    assert_eq!(first.code, 3, "the rest goes on: {first:?}");
    let summary = |objects: Vec<serde_json::Value>| objects.last().unwrap()["summary"].clone();
    let found = summary(first.objects());
    assert_eq!(
        (&found["files"], &found["sent"], &found["failed"]),
        (&4.into(), &2.into(), &2.into())
    );
    let receipts = |said: &super::stand::Said| {
        let objects = said.objects();
        let receipts = objects.iter().filter_map(|object| object["receipt"].as_str());
        receipts.map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
    };
    stand.restart();
    stand.file("in/20261120T130000-c.csv", "4\n");
    let second = import(&stand, &["--jobs", "1"]);
    let found = summary(second.objects());
    assert_eq!((&found["sent"], &found["repeated"]), (&1.into(), &2.into()), "{second:?}");
    assert!(receipts(&second).is_superset(&receipts(&first)), "the same receipts, from the tables");
    let history = stand.json("buoy-1", &["history", "-p", POOL]);
    assert_eq!(history.len(), 3);
    let times: std::collections::BTreeSet<_> =
        history.iter().map(|upload| upload["observed_at"].as_str().unwrap()).collect();
    let hours = ["10", "11", "13"].map(|hour| format!("2026-11-20T{hour}:00:00.000Z"));
    assert!(times.iter().eq(hours.iter()), "{times:?}");
    let gone = stand.run("buoy-1", &["import", "-p", "nowhere", arg(&folder), "--jobs", "1"]);
    assert_eq!(gone.code, 5, "{gone:?}");
    assert!(gone.out.contains("4 not tried"), "{gone:?}");
}
