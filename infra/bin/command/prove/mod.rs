//! `sluice prove`: whether a pool has what its receipts say, each file once, each result with all
//! who should have it; told in plain words, with what was looked at.

mod held;
mod pool;

use std::collections::HashSet;
use std::path::PathBuf;

use clap::Args;
use client::Client;
use schemas::name::PoolName;
use serde::Serialize;

use crate::outcome::{Done, ProvedWrong};
use crate::session::{OfPool, Session};

/// Faults of one check that are told one by one; the rest are counted.
const TOLD_MAX: usize = 20;
/// Why a check is left out that was asked for.
const NOT_ALLOWED: &str = "the caller may not see it: an owner, admin or analyst may";

/// Check that nothing of a pool is lost, doubled or undelivered
///
/// Receipts that push --receipts and import --receipts kept are checked by the server's keys and
/// compared with what the pool says now; batches are searched for files that are in two, results
/// for members without them. With --data the log is folded again and compared byte for byte.
/// What the caller may not see is not checked, and told so. Exit code 6: something is lost,
/// doubled or altered; 3: some members do not have their results yet, or the caller may not see all.
#[derive(Args, Debug)]
pub(crate) struct ProveArgs {
    #[command(flatten)]
    of: OfPool,
    /// Kept receipts: folders or files
    #[arg(value_name = "RECEIPTS")]
    receipts: Vec<PathBuf>,
    /// Files of public keys [default: keys.json beside the receipts, or the server's]
    #[arg(long, value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// Fetch the bytes of every file that there is a receipt for, and compare them
    #[arg(long)]
    bytes: bool,
    /// Folder of the server's data, to replay the pool's log from
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The log, where it is not in the data folder: kafka://HOST:PORT[,…]
    #[arg(long, env = "SLUICE_LOG", value_name = "URL", requires = "data")]
    log: Option<String>,
}

/// What one check found.
#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    /// How many were looked at.
    looked_at: u64,
    /// How many are wrong.
    wrong: u64,
    /// The first of them, in words.
    faults: Vec<String>,
    /// Why it was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<String>,
    /// Whether it was left out though it was asked for.
    #[serde(skip)]
    refused: bool,
}

impl Check {
    fn new(check: &'static str) -> Self {
        Self { check, looked_at: 0, wrong: 0, faults: Vec::new(), left_out: None, refused: false }
    }

    fn left_out(check: &'static str, why: impl Into<String>) -> Self {
        Self { left_out: Some(why.into()), ..Self::new(check) }
    }

    /// One that the caller may not make.
    fn refused(check: &'static str) -> Self {
        Self { refused: true, ..Self::left_out(check, NOT_ALLOWED) }
    }

    /// Counts something that was looked at, and what is wrong with it.
    fn look(&mut self, fault: Option<String>) {
        self.looked_at += 1;
        if let Some(fault) = fault {
            self.wrong += 1;
            if self.faults.len() < TOLD_MAX {
                self.faults.push(fault);
            }
        }
    }

    /// Whether what is wrong is only a matter of time.
    fn is_waiting(&self) -> bool {
        self.check == pool::UNDELIVERED
    }
}

/// What all checks share.
struct Proof<'a> {
    session: &'a Session,
    client: Client,
    pool: &'a PoolName,
}

pub(crate) async fn run(args: ProveArgs, session: &Session) -> anyhow::Result<Done> {
    let proof = Proof { session, client: session.client()?, pool: &args.of.pool };
    proof.client.pool(proof.pool).await?;
    let mut checks = Vec::new();
    let held = held::read(&args, &proof, &mut checks).await?;
    checks.push(proof.lost(&held).await?);
    checks.push(if args.bytes {
        proof.altered(&held).await?
    } else {
        Check::left_out(held::ALTERED, "--bytes fetches every file and compares it")
    });
    checks.push(proof.history().await?);
    checks.push(proof.doubled(&held).await?);
    checks.push(proof.undelivered().await?);
    checks.push(match &args.data {
        Some(data) => pool::replay(data, args.log.as_deref(), proof.pool).await?,
        None => Check::left_out(pool::REPLAY, "--data says where the log is"),
    });
    tell(&proof, &checks)
}

fn tell(proof: &Proof<'_>, checks: &[Check]) -> anyhow::Result<Done> {
    let print = proof.session.print;
    print.rows(["check", "looked at", "wrong", "finding"], checks, |check| {
        let finding = match (&check.left_out, check.wrong) {
            (Some(why), _) => format!("left out: {why}"),
            (None, 0) => "as it should be".to_owned(),
            (None, _) if check.is_waiting() => "not there yet".to_owned(),
            (None, _) => "WRONG".to_owned(),
        };
        [check.check.to_owned(), check.looked_at.to_string(), check.wrong.to_string(), finding]
    })?;
    for fault in checks.iter().flat_map(|check| &check.faults) {
        print.note(&format!("  {fault}"));
    }
    let wrong = checks.iter().filter(|check| check.wrong > 0);
    let (waiting, broken): (Vec<_>, Vec<_>) = wrong.partition(|check| check.is_waiting());
    let names: HashSet<_> = broken.iter().map(|check| check.check).collect();
    if !names.is_empty() {
        let total: u64 = broken.iter().map(|check| check.wrong).sum();
        let text = format!("pool {}: {total} are not as they should be", proof.pool);
        return Err(ProvedWrong(text).into());
    }
    Ok(if waiting.is_empty() { how_far(checks) } else { Done::InPart })
}

/// What was asked for and may not be seen is not proved.
fn how_far(checks: &[Check]) -> Done {
    if checks.iter().any(|check| check.refused) { Done::InPart } else { Done::Whole }
}

/// Whether the server refused because the caller may not.
fn is_not_allowed(error: &client::Error) -> bool {
    matches!(error.status(), Some(403))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_be_seen_is_not_proved() {
        assert_eq!(
            how_far(&[Check::new("lost"), Check::left_out("replay", "not asked")]),
            Done::Whole
        );
        assert_eq!(how_far(&[Check::new("lost"), Check::refused("undelivered")]), Done::InPart);
    }

    #[test]
    fn all_that_is_wrong_is_counted_and_the_first_are_told() {
        let mut check = Check::new("lost");
        for n in 0..50 {
            check.look(Some(n.to_string()));
            check.look(None);
        }
        assert_eq!((check.looked_at, check.wrong, check.faults.len()), (100, 50, TOLD_MAX));
    }
}
