//! The demo, as `make run` plays it: every member has every result with a receipt, and the log
//! says the same.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::server::sluice;

#[test]
fn the_demo_reaches_every_member() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("demo");
    let mut command = sluice();
    command.args(["demo", "--once", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
    let said = text(command.output().unwrap());
    let lines = ["12 of 12 clients have each of the ", "27 of 27 files are in batches"];
    for line in lines {
        assert!(said.contains(line), "{line:?} is not in:\n{said}");
    }
    let by_own_times = "one update of 3 files, in 3 windows by their own times";
    assert_eq!(said.matches(by_own_times).count(), 2, "{said}");

    let batches = records(&data, "batches");
    let results: BTreeSet<_> = of_type(&batches, "sluice.result.published.v1", &["result"]);
    assert!(results.len() >= 3, "{results:?}");
    let deliveries = records(&data, "deliveries");
    let receipts: BTreeSet<_> =
        of_type(&deliveries, "sluice.delivery.acknowledged.v1", &["result", "member"]);
    assert_eq!(receipts.len(), 14 * results.len(), "twelve clients, the owner and the worker");
    text(replay(&data, &["--verify"]));
}

/// What a command said that must have ended well.
fn text(output: Output) -> String {
    let [said, told] = [output.stdout, output.stderr].map(String::from_utf8);
    let said = said.expect("text");
    assert!(output.status.success(), "{}\n{said}\n{told:?}", output.status);
    said
}

fn replay(data: &Path, arguments: &[&str]) -> Output {
    let mut command = sluice();
    command.args(["replay", "demo", "--data"]).arg(data).args(arguments);
    command.output().expect("it runs")
}

/// The records of one of the pool's topics.
fn records(data: &Path, topic: &str) -> Vec<Value> {
    let said = text(replay(data, &["--topic", topic]));
    said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// These fields of the records of one type, each once.
fn of_type(records: &[Value], name: &str, fields: &[&str]) -> BTreeSet<Vec<String>> {
    let is_of_type =
        |record: &&Value| record.pointer("/event/type").is_some_and(|is| is.as_str() == Some(name));
    let field = |record: &Value, field: &&str| {
        record.pointer(&format!("/event/data/{field}")).expect("the field").to_string()
    };
    let of_type = records.iter().filter(is_of_type);
    of_type.map(|record| fields.iter().map(|name| field(record, name)).collect()).collect()
}
