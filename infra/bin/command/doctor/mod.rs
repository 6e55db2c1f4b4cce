//! `sluice doctor`: looks for what may be wrong between here and the server.

mod data;

use std::path::PathBuf;

use clap::Args;
use client::{Client, fresh};
use schemas::time::Wall;
use serde::Serialize;

use crate::outcome::Done;
use crate::session::Session;

/// Clocks that differ by more than this are told of; servers clamp or hold files from the future.
const SKEW_MS_MAX: u64 = 5_000;
const OURS: &str = env!("CARGO_PKG_VERSION");
const SIGN_IN: &str = "sluice login NAME, or set SLUICE_USER and SLUICE_PASSWORD";

/// Look for what may be wrong between here and the server
///
/// The server, its version and its clock, who is signed in; with --data also the folder of a
/// server on this machine: its files, who may read them, and room on its disk.
#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// Folder of a server's data, to look at as well
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    ok: bool,
    detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<&'static str>,
}

impl Finding {
    /// With what to do about it, if it is not as it should be.
    fn fix(self, fix: &'static str) -> Self {
        let fix = (!self.ok).then_some(fix);
        Self { fix, ..self }
    }
}

pub(crate) async fn run(args: DoctorArgs, session: &Session) -> anyhow::Result<Done> {
    let client = session.stranger()?;
    let mut findings = vec![finding("client", true, OURS)];
    findings.extend(session.settings().map(|path| finding("settings", true, path)));
    if let Some(data) = &args.data {
        data::look(data, &mut findings);
    }
    let reached = look(&client, &mut findings).await;
    if reached {
        findings.push(who(session, &client).await);
    }
    session.print.rows(["check", "", "finding"], &findings, |finding| {
        let mark = if finding.ok { "ok" } else { "wrong" };
        [finding.check.to_owned(), mark.to_owned(), finding.detail.clone()]
    })?;
    for Finding { check, fix, .. } in &findings {
        if let Some(fix) = fix {
            session.print.note(&format!("{check}: {fix}"));
        }
    }
    match findings.iter().find(|finding| !finding.ok) {
        None => Ok(Done::Whole),
        Some(Finding { check: "signed in", detail, .. }) => {
            Err(crate::outcome::NotSignedIn(detail.clone()).into())
        }
        Some(_) => anyhow::bail!("something is wrong"),
    }
}

/// Whether the server is there.
async fn look(client: &Client, findings: &mut Vec<Finding>) -> bool {
    let address = client.address();
    let probe = match client.probe().await {
        Ok(probe) => probe,
        Err(error) => {
            let gone = finding("server", false, format!("{address}: {error}"));
            findings.push(gone.fix("start it (sluice up), or name its address with --server URL"));
            return false;
        }
    };
    let state = if probe.ready { "ready" } else { "there, but cannot serve yet" };
    let ready = finding("server", probe.ready, format!("{address} is {state}"));
    findings
        .push(ready.fix("wait until it has read its log; its own output says what it waits for"));
    if let Some(server) = &probe.server {
        findings.push(version(server));
    }
    match probe.server_time {
        Some(theirs) => findings.push(skew(fresh::now(), theirs)),
        None => findings.push(finding("clock", false, "the server does not tell its time")),
    }
    true
}

/// Whether both sides are of one version, or so near that they understand each other.
fn version(server: &str) -> Finding {
    let theirs = server.rsplit('/').next().unwrap_or(server);
    let line = |version: &str| version.rsplit_once('.').map(|(line, _)| line.to_owned());
    let same = line(theirs) == line(OURS);
    let fix = "use the client of the server's version: others may not know all of its answers";
    finding("version", same, format!("the server has {theirs}, this is {OURS}")).fix(fix)
}

/// How far this clock is from theirs, which is told in whole seconds.
fn skew(ours: Wall, theirs: Wall) -> Finding {
    let (ahead, behind) = (ours.since(theirs), theirs.since(ours));
    let detail = match (ahead > SKEW_MS_MAX, behind > SKEW_MS_MAX) {
        (true, _) => format!("{} s ahead of the server's: set this machine's clock", ahead / 1_000),
        (_, true) => format!("{} s behind the server's: set this machine's clock", behind / 1_000),
        _ => "as the server's, within seconds".to_owned(),
    };
    let near = ahead <= SKEW_MS_MAX && behind <= SKEW_MS_MAX;
    finding("clock", near, detail).fix("switch on network time: timedatectl set-ntp true")
}

/// Whether the token, if there is one, is good.
async fn who(session: &Session, client: &Client) -> Finding {
    let profile = match session.signed_in(client) {
        Ok(profile) => profile,
        Err(error) => return finding("signed in", false, error.to_string()).fix(SIGN_IN),
    };
    let name = &profile.user_name;
    let validated = client.clone().signed_in(&profile.access_token).validate(profile.user_id).await;
    match validated {
        Ok(validated) => finding("signed in", true, format!("as {name}, {}", validated.role)),
        Err(error) => {
            finding("signed in", false, format!("not as {name} any more: {error}")).fix(SIGN_IN)
        }
    }
}

fn finding(check: &'static str, ok: bool, detail: impl Into<String>) -> Finding {
    Finding { check, ok, detail: detail.into(), fix: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert!(version(&format!("sluice/{OURS}")).ok);
        let other = version("sluice/77.1.0");
        assert!(!other.ok && other.fix.is_some(), "{other:?}");
    }

    #[test]
    fn clocks() {
        let check = |ours, ok| {
            let found = skew(Wall::from_millis(ours), Wall::from_millis(100_000));
            assert_eq!(found.ok, ok, "{found:?}");
        };
        check(100_999, true);
        check(95_000, true);
        check(105_001, false);
        check(94_999, false);
    }
}
