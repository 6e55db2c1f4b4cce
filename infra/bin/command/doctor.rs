//! `sluice doctor`: looks for what may be wrong between here and the server.

use clap::Args;
use client::{Client, fresh};
use schemas::time::Wall;
use serde::Serialize;

use crate::outcome::Done;
use crate::session::Session;

/// Clocks that differ by more than this are told of; servers clamp or hold files from the future.
const SKEW_MS_MAX: u64 = 5_000;

/// Look for what may be wrong between here and the server
#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {}

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    ok: bool,
    detail: String,
}

pub(crate) async fn run(_: DoctorArgs, session: &Session) -> anyhow::Result<Done> {
    let client = session.stranger()?;
    let mut findings = vec![finding("client", true, env!("CARGO_PKG_VERSION"))];
    let reached = look(&client, &mut findings).await;
    if reached {
        findings.push(who(session, &client).await);
    }
    session.print.rows(["check", "", "finding"], &findings, |finding| {
        let mark = if finding.ok { "ok" } else { "wrong" };
        [finding.check.to_owned(), mark.to_owned(), finding.detail.clone()]
    })?;
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
            findings.push(finding("server", false, format!("{address}: {error}")));
            return false;
        }
    };
    let state = if probe.ready { "ready" } else { "there, but cannot serve yet" };
    findings.push(finding("server", probe.ready, format!("{address} is {state}")));
    if let Some(server) = &probe.server {
        findings.push(finding("version", true, server));
    }
    match probe.server_time {
        Some(theirs) => findings.push(skew(fresh::now(), theirs)),
        None => findings.push(finding("clock", false, "the server does not tell its time")),
    }
    true
}

/// How far this clock is from theirs, which is told in whole seconds.
fn skew(ours: Wall, theirs: Wall) -> Finding {
    let (ahead, behind) = (ours.since(theirs), theirs.since(ours));
    let detail = match (ahead > SKEW_MS_MAX, behind > SKEW_MS_MAX) {
        (true, _) => format!("{} s ahead of the server's: set this machine's clock", ahead / 1_000),
        (_, true) => format!("{} s behind the server's: set this machine's clock", behind / 1_000),
        _ => "as the server's, within seconds".to_owned(),
    };
    finding("clock", ahead <= SKEW_MS_MAX && behind <= SKEW_MS_MAX, detail)
}

/// Whether the token, if there is one, is good.
async fn who(session: &Session, client: &Client) -> Finding {
    let profile = match session.signed_in(client) {
        Ok(profile) => profile,
        Err(error) => return finding("signed in", false, error.to_string()),
    };
    let name = &profile.user_name;
    let validated = client.clone().signed_in(&profile.access_token).validate(profile.user_id).await;
    match validated {
        Ok(validated) => finding("signed in", true, format!("as {name}, {}", validated.role)),
        Err(error) => finding("signed in", false, format!("not as {name} any more: {error}")),
    }
}

fn finding(check: &'static str, ok: bool, detail: impl Into<String>) -> Finding {
    Finding { check, ok, detail: detail.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

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
