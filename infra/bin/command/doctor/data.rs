//! What may be wrong with a server's data folder: looked at from outside, nothing is changed.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use super::{Finding, finding};
use crate::print::bytes;

/// Room that a server should have: below it, uploads are soon refused.
const FREE_BYTES_MIN: u64 = 1 << 30;
/// What only the server's user may read.
const SECRETS: [&str; 2] = ["keys/token.pem", "keys/upload.key"];

/// Looks at the folder.
pub(super) fn look(data: &Path, findings: &mut Vec<Finding>) {
    let shown = data.display();
    if !data.join("log.sqlite").is_file() {
        let gone = finding("data", false, format!("{shown} has no log"));
        findings
            .push(gone.fix("name the folder that sluice up --data has, or restore a backup to it"));
        return;
    }
    findings.push(finding("data", true, format!("{shown}, {}", user(data))));
    findings.push(secrets(data));
    findings.push(room(data));
}

/// Whether a server has it.
fn user(data: &Path) -> &'static str {
    match File::open(data.join("lock")).map(|lock| lock.try_lock()) {
        Ok(Err(TryLockError::WouldBlock)) => "in use by a server",
        _ => "in use by no server",
    }
}

#[cfg(unix)]
fn secrets(data: &Path) -> Finding {
    use std::os::unix::fs::PermissionsExt as _;
    for name in SECRETS {
        match fs::metadata(data.join(name)) {
            Err(error) => {
                let gone = finding("keys", false, format!("{name}: {error}"));
                return gone.fix(
                    "restore them from a backup: without them receipts and keys of \
                                 earlier uploads are worth nothing",
                );
            }
            Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
                let open = finding("keys", false, format!("others can read {name}"));
                return open.fix("chmod 600 the files in the folder keys");
            }
            Ok(_) => {}
        }
    }
    finding("keys", true, "there, and only their owner reads them")
}

#[cfg(not(unix))]
fn secrets(data: &Path) -> Finding {
    let there = SECRETS.iter().all(|name| fs::metadata(data.join(name)).is_ok());
    finding("keys", there, "the files in the folder keys")
}

fn room(data: &Path) -> Finding {
    match infra::room::free_bytes(data) {
        Err(error) => finding("disk", false, error.to_string()),
        Ok(free) => {
            let enough = free >= FREE_BYTES_MIN;
            let fix = "make room, or move the folder to a larger disk while the server is stopped";
            finding("disk", enough, format!("{} free", bytes(free))).fix(fix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_folder_is_looked_at_from_outside() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let wrong = || {
            let mut findings = Vec::new();
            look(folder.path(), &mut findings);
            let wrong = findings.into_iter().filter(|finding| !finding.ok);
            wrong.map(|finding| (finding.check, finding.fix.is_some())).collect::<Vec<_>>()
        };
        assert_eq!(wrong(), [("data", true)]);
        fs::write(folder.path().join("log.sqlite"), "").unwrap();
        assert!(wrong().contains(&("keys", true)));
        fs::create_dir(folder.path().join("keys")).unwrap();
        for name in SECRETS {
            let path = folder.path().join(name);
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        assert!(!wrong().contains(&("keys", true)));
        let open = fs::Permissions::from_mode(0o644);
        fs::set_permissions(folder.path().join(SECRETS[0]), open).unwrap();
        assert!(wrong().contains(&("keys", true)));
        let lock = File::create(folder.path().join("lock")).unwrap();
        assert_eq!(user(folder.path()), "in use by no server");
        lock.try_lock().unwrap();
        assert_eq!(user(folder.path()), "in use by a server");
    }
}
