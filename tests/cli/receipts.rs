//! Receipts: kept, checked without a server, and what a changed letter does.

use std::fs;
use std::path::PathBuf;

use super::stand::{POOL, Stand, arg};

/// The one receipt in a folder.
fn only_receipt(folder: &PathBuf) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut receipts: Vec<_> = files.filter(|path| !path.ends_with("keys.json")).collect();
    assert_eq!(receipts.len(), 1);
    receipts.pop().unwrap()
}

#[test]
fn a_receipt_holds_without_the_server_and_not_with_a_letter_changed() {
    let mut stand = Stand::new("1h");
    let file = stand.file("reading.csv", "a,b\n1,2\n");
    let kept = stand.path("receipts");
    stand.well("buoy-1", &["push", "-p", POOL, arg(&file), "--receipts", arg(&kept)]);
    let receipt = only_receipt(&kept);
    stand.stop();
    let verify = |more: &[&str]| {
        let arguments: Vec<_> =
            ["--json", "receipt", "verify"].iter().chain(more).copied().collect();
        stand.run_at("http://127.0.0.1:1", "nobody", &arguments)
    };
    let holds = verify(&[arg(&kept), "--sent"]);
    assert_eq!((holds.code, &holds.objects()[0]["holds"]), (0, &true.into()), "{holds:?}");
    assert_eq!(holds.objects()[0]["receipt_of"], "upload");
    // Another file, and the file once it has changed.
    let other = stand.file("other.csv", "a,b\n1,3\n");
    let told = verify(&[arg(&receipt), "--file", arg(&other)]);
    assert_eq!(told.code, 6, "{told:?}");
    assert!(told.out.contains("another file"), "{told:?}");
    assert_eq!(verify(&[arg(&receipt), "--file", arg(&file)]).code, 0);
    fs::write(&file, "a,b\n1,2\n ").unwrap();
    assert_eq!(verify(&[arg(&kept), "--sent"]).code, 6);
    // One letter of what it says.
    let text = fs::read_to_string(&receipt).unwrap();
    let at = text.find("\"receipt\": \"").unwrap() + 200;
    let mut bytes = text.clone().into_bytes();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    fs::write(&receipt, bytes).unwrap();
    let told = verify(&[arg(&receipt)]);
    assert_eq!((told.code, &told.objects()[0]["holds"]), (6, &false.into()), "{told:?}");
    // Keys of another server.
    fs::write(&receipt, text).unwrap();
    fs::write(kept.join("keys.json"), "{\"keys\": []}").unwrap();
    let told = verify(&[arg(&receipt)]);
    assert!(told.code == 6 && told.out.contains("no key at hand"), "{told:?}");
}

#[test]
fn a_receipt_of_a_key_that_was_replaced_holds() {
    let mut stand = Stand::new("1h");
    let file = stand.file("reading.csv", "a,b\n1,2\n");
    let kept = stand.path("receipts");
    stand.well("buoy-1", &["push", "-p", POOL, arg(&file), "--receipts", arg(&kept)]);
    let receipt = only_receipt(&kept);
    fs::remove_file(kept.join("keys.json")).unwrap();
    stand.stop();
    fs::remove_file(stand.server.data().join("keys/token.pem")).unwrap();
    assert!(stand.server.again());
    // The keys that the server has now are asked for: the old one is among them.
    let told = stand.run("nobody", &["receipt", "verify", arg(&receipt)]);
    assert_eq!(told.code, 0, "{told:?}");
    // Planted: a server that has forgotten the old key.
    stand.stop();
    fs::remove_file(stand.server.data().join("keys/published.json")).unwrap();
    assert!(stand.server.again());
    assert_eq!(stand.run("nobody", &["receipt", "verify", arg(&receipt)]).code, 6);
}
