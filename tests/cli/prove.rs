//! `sluice prove`: says so when all is well, and when it is not.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::stand::{POOL, Said, Stand, arg};

/// What a check found: looked at, wrong.
fn found(said: &Said, check: &str) -> (u64, u64) {
    let objects = said.objects();
    let found = objects.iter().find(|found| found["check"] == check).expect("the check");
    let number = |field: &str| found[field].as_u64().unwrap();
    (number("looked_at"), number("wrong"))
}

/// Every object of uploads in a data folder.
fn objects(data: &Path) -> Vec<PathBuf> {
    let fans = fs::read_dir(data.join("blobs")).unwrap().map(|fan| fan.unwrap().path());
    let files = fans.flat_map(|fan| fs::read_dir(fan).unwrap().map(|file| file.unwrap().path()));
    let is_upload = |file: &PathBuf| file.file_name().unwrap().to_string_lossy().starts_with("u,");
    files.filter(is_upload).collect()
}

#[test]
fn a_pool_is_proved_and_every_planted_fault_shows() {
    let mut stand = Stand::new("1h");
    for n in 0..5 {
        stand.file(&format!("in/{n}.csv"), &format!("{n}\n"));
    }
    let (folder, kept) = (stand.path("in"), stand.path("receipts"));
    let data = stand.server.data().to_owned();
    stand.well("buoy-1", &["import", "-p", POOL, arg(&folder), "--receipts", arg(&kept)]);
    stand.well("ada", &["pool", "close", POOL]);
    let prove = |stand: &Stand, who: &str| {
        let arguments =
            ["--json", "prove", "-p", POOL, arg(&kept), "--bytes", "--data", arg(&data)];
        stand.run(who, &arguments)
    };
    let well = prove(&stand, "ada");
    assert_eq!(well.code, 0, "{well:?}");
    for check in ["receipts", "lost", "altered bytes"] {
        assert_eq!(found(&well, check), (5, 0), "{check}");
    }
    assert!(found(&well, "replay").0 > 0 && found(&well, "doubled in batches").0 >= 5);

    // A byte of a file.
    let object = objects(&data).pop().unwrap();
    let whole = fs::read(&object).unwrap();
    fs::write(&object, b"X\n").unwrap();
    let told = prove(&stand, "ada");
    assert_eq!((told.code, found(&told, "altered bytes")), (6, (5, 1)), "{told:?}");
    fs::write(&object, whole).unwrap();

    // A row of the tables: one file is in no history any more.
    stand.stop();
    let tables = rusqlite::Connection::open(data.join("views.sqlite")).unwrap();
    let named = "SELECT name FROM sqlite_schema WHERE name GLOB 'client_history_[0-9]*'";
    let table: String = tables.query_row(named, [], |row| row.get(0)).unwrap();
    let one = format!("SELECT upload FROM {table} LIMIT 1");
    let deleted = tables.execute(&format!("DELETE FROM {table} WHERE upload = ({one})"), []);
    assert_eq!(deleted.unwrap(), 1);
    drop(tables);
    assert!(stand.server.again());
    let told = prove(&stand, "ada");
    assert_eq!((told.code, found(&told, "lost")), (6, (5, 1)), "{told:?}");
    assert!(told.objects().iter().any(|check| {
        let faults = check["faults"].as_array().into_iter().flatten();
        faults.filter_map(Value::as_str).any(|fault| fault.contains("is lost"))
    }));
}
