//! House rules that a machine can check: the same answer on a laptop and in CI.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::server::sluice;

/// Longest file.
const LINES_MAX: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file under version control.
fn files() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(output.status.success());
    let names = String::from_utf8(output.stdout).unwrap();
    let paths = names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
    paths.filter(|path| root().join(path).is_file()).collect()
}

fn sources() -> Vec<(PathBuf, String)> {
    let rust = files().into_iter().filter(|path| path.extension().is_some_and(|ext| ext == "rs"));
    rust.map(|path| {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        (path, text)
    })
    .collect()
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn check(rule: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn every_file_says_what_it_is_and_is_short() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            broken.push(format!("{}: {lines} lines", path.display()));
        }
        if !text.starts_with("//! ") {
            broken.push(format!("{}: does not open with //!", path.display()));
        }
    }
    check("files open with //! and have at most 400 lines", broken);
}

#[test]
fn no_file_is_a_drawer() {
    let drawers = [
        "utils.rs",
        "util.rs",
        "common.rs",
        "manager.rs",
        "helper.rs",
        "helpers.rs",
        "misc.rs",
        "types.rs",
    ];
    let is_drawer = |path: &PathBuf| {
        path.file_name().is_some_and(|name| drawers.iter().any(|drawer| name == *drawer))
    };
    let broken = files().into_iter().filter(is_drawer).map(|path| path.display().to_string());
    check("files are named after what they hold", broken.collect());
}

/// What a folder's code must not name.
const ARROWS: &[(&str, &[&str], &str)] = &[
    (
        "schemas/src",
        &["tokio", "std::fs", "std::net", "SystemTime", "infra::"],
        "schemas does no I/O",
    ),
    (
        "infra/src",
        &["ingest::", "batcher::", "projector::", "rdkafka"],
        "infra knows no stage and no Kafka",
    ),
    (
        "ingest/src",
        &["batcher::", "projector::", "rusqlite", "rdkafka", "infra::views::Views"],
        "ingest knows no other stage and no tables",
    ),
    (
        "batcher/src",
        &["ingest::", "projector::", "axum", "rusqlite", "rdkafka", "infra::views"],
        "batcher knows no other stage, no HTTP and no tables",
    ),
    ("batcher/worker/src", &["infra::", "axum", "rusqlite"], "a worker links the client only"),
    ("infra/client/src", &["infra::", "axum", "rusqlite"], "the client links the schemas only"),
    (
        "projector/src",
        &["ingest::", "batcher::", "rusqlite", "rdkafka"],
        "projector knows no other stage",
    ),
];

#[test]
fn arrows_point_one_way() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        let path = path.display().to_string();
        if path.ends_with("_tests.rs") {
            continue;
        }
        for (folder, forbidden, why) in
            ARROWS.iter().filter(|(folder, ..)| path.starts_with(folder))
        {
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                if let Some(word) = forbidden.iter().find(|word| line.contains(**word)) {
                    broken.push(format!("{path} names {word}: {why} ({folder})"));
                }
            }
        }
    }
    check("stages never import each other", broken);
}

#[test]
fn log_lines_are_lowercase_without_a_stop() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        for macro_name in ["error!(", "warn!(", "info!("] {
            for call in text.split(&format!("tracing::{macro_name}")).skip(1) {
                let call = call.split(");").next().unwrap_or_default();
                let message = call.rsplit('"').nth(1).unwrap_or_default();
                let capital = message.starts_with(|c: char| c.is_ascii_uppercase());
                if capital || message.ends_with('.') {
                    broken.push(format!("{}: {message:?}", path.display()));
                }
            }
        }
    }
    check("log text is lowercase without a full stop", broken);
}

#[test]
fn what_is_written_from_the_code_is_up_to_date() {
    let output = sluice().args(["golden", "--check"]).current_dir(root()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "run `make golden` and look at what changes: {said}");
}

#[test]
fn every_planted_bug_is_documented() {
    let testing = read("docs/testing.md");
    let bugs = infra::faults::BUGS.iter().map(|(bug, _)| format!("`{bug}`"));
    check("planted bugs are documented", bugs.filter(|bug| !testing.contains(bug)).collect());
}

#[test]
fn documents_keep_their_bounds() {
    let bounds = [
        ("README.md", 120),
        ("docs/architecture.md", 250),
        ("docs/adding.md", 120),
        ("docs/glossary.md", 100),
        ("docs/worker.md", 150),
    ];
    let mut broken = Vec::new();
    for (name, lines_max) in bounds {
        let lines = read(name).lines().count();
        if lines > lines_max {
            broken.push(format!("{name}: {lines} lines, at most {lines_max}"));
        }
    }
    for path in files().iter().filter(|path| path.starts_with("docs/decisions")) {
        let lines = fs::read_to_string(root().join(path)).unwrap().lines().count();
        if lines > 60 {
            broken.push(format!("{}: {lines} lines, at most 60", path.display()));
        }
    }
    check("documents are short", broken);
}

#[test]
fn the_makefile_helps_with_every_verb() {
    let makefile = read("Makefile");
    let phony = makefile.lines().find_map(|line| line.strip_prefix(".PHONY: ")).unwrap();
    let targets: BTreeSet<&str> = phony.split_whitespace().collect();
    let helped: BTreeSet<&str> = makefile
        .lines()
        .filter(|line| line.contains(": ##") || line.contains(" ## "))
        .filter_map(|line| line.split(':').next())
        .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        .collect();
    assert_eq!(targets, helped, "each target has its line of help");
}
