//! Runs a test of this crate as a process of its own, armed with faults, and hears what it said
//! before it ended. For tests of what survives.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::faults;

const FOLDER: &str = "SLUICE_KILLED_FOLDER";
const FAULTS: &str = "SLUICE_KILLED_FAULTS";

/// What became of the process.
#[derive(Debug)]
pub(crate) struct Ended {
    /// What it said, in order.
    pub(crate) said: Vec<String>,
    /// Whether a crash point ended it.
    pub(crate) crashed: bool,
}

/// Runs the ignored test of this path on `folder`, armed with `faults`.
pub(crate) fn run(test: &str, folder: &Path, faults: &str) -> Ended {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(FAULTS, faults)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    let said = out.lines().filter_map(|line| line.split_once("said: ")).map(|(_, said)| said);
    let crashed = !output.status.success();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    assert!(crashed || out.contains("1 passed"), "no test {test}: {out}");
    Ended { said: said.map(str::to_owned).collect(), crashed }
}

/// In the process: arms the faults and tells the folder; `None` when nobody runs it so.
#[allow(clippy::disallowed_methods, reason = "a test has no configuration to be read once")]
pub(crate) fn begin() -> Option<PathBuf> {
    let folder = std::env::var_os(FOLDER)?;
    faults::arm(&std::env::var(FAULTS).unwrap()).unwrap();
    Some(folder.into())
}

/// In the process: tells the one who runs it.
pub(crate) fn say(what: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "said: {what}").unwrap();
    out.flush().unwrap();
}
