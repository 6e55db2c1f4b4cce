//! Backups: made under load, put back, and complete.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::server::{Server, Setup};

use super::stand::{POOL, Stand, arg};

#[test]
fn a_backup_under_load_has_all_that_was_acknowledged_before_it_began() {
    let mut stand = Stand::new("1s");
    let folder = stand.path("before");
    for n in 0..40 {
        stand.file(&format!("before/{n}.csv"), &format!("{n}\n"));
    }
    for n in 0..800 {
        stand.file(&format!("during/{n}.csv"), &format!("during {n}\n"));
    }
    let (kept, to) = (stand.path("receipts"), stand.path("backup"));
    let import = |folder, more: &[&str]| {
        let mut arguments = vec!["import", "-p", POOL, folder];
        arguments.extend(more);
        stand.run("buoy-1", &arguments)
    };
    assert_eq!(import(arg(&folder), &["--receipts", arg(&kept)]).code, 0);
    let (data, during) = (stand.server.data().to_owned(), stand.path("during"));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let done = import(arg(&during), &["--jobs", "8"]);
            over.store(true, Ordering::Relaxed);
            done
        });
        // Asking starts a process, which is pause enough.
        let history = ["history", "-p", POOL, "--limit", "100"];
        while stand.json("buoy-1", &history).len() < 60 && !over.load(Ordering::Relaxed) {}
        stand.well("nobody", &["backup", arg(&to), "--data", arg(&data)]);
        assert!(!over.load(Ordering::Relaxed), "the backup is made under load");
        assert_eq!(load.join().unwrap().code, 0);
    });
    let full = stand.run("nobody", &["backup", arg(&to), "--data", arg(&data)]);
    assert!(full.code == 1 && full.err.contains("not empty"), "{full:?}");
    stand.stop();
    let restored = stand.path("restored");
    stand.well("nobody", &["restore", arg(&to), "--data", arg(&restored)]);
    let over = stand.run("nobody", &["restore", arg(&to), "--data", arg(&restored)]);
    assert!(over.code == 1 && over.err.contains("not empty"), "{over:?}");
    let replayed = stand.run("nobody", &["replay", POOL, "--verify", "--data", arg(&restored)]);
    assert_eq!(replayed.code, 0, "{replayed:?}");
    // Who had an account has it, and proves every receipt, byte by byte.
    let server = Server::start(Setup::new(&restored));
    stand.run_at(&server.url(), "buoy-1", &["login", "buoy-1"]);
    let arguments =
        ["--json", "prove", "-p", POOL, arg(&kept), "--bytes", "--data", arg(&restored)];
    let proved = stand.run_at(&server.url(), "buoy-1", &arguments);
    assert!(matches!(proved.code, 0 | 3), "{proved:?}");
    for check in ["receipts", "lost", "altered bytes"] {
        let found = proved.objects().into_iter().find(|found| found["check"] == check).unwrap();
        assert_eq!((&found["looked_at"], &found["wrong"]), (&40.into(), &0.into()), "{check}");
    }
}

#[test]
fn a_backup_with_a_changed_byte_is_not_put_back() {
    let stand = Stand::new("1h");
    let file = stand.file("a.csv", "1\n");
    stand.well("buoy-1", &["push", "-p", POOL, arg(&file)]);
    let (to, data) = (stand.path("backup"), stand.server.data().to_owned());
    stand.well("nobody", &["backup", arg(&to), "--data", arg(&data)]);
    stand.well("nobody", &["restore", arg(&to), "--check"]);
    let key = to.join("keys/upload.key");
    let mut bytes = fs::read(&key).unwrap();
    bytes[0] ^= 1;
    fs::write(&key, bytes).unwrap();
    assert_eq!(stand.run("nobody", &["restore", arg(&to), "--check"]).code, 6);
    let restored = stand.path("restored");
    let told = stand.run("nobody", &["restore", arg(&to), "--data", arg(&restored)]);
    assert!(told.code == 6 && told.err.contains("keys/upload.key"), "{told:?}");
    assert!(!restored.exists(), "nothing half done is left");
    fs::remove_file(to.join("manifest.json")).unwrap();
    assert_eq!(stand.run("nobody", &["restore", arg(&to), "--check"]).code, 1);
}
