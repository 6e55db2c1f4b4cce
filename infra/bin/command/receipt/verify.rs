//! `sluice receipt verify`: whether receipts say what the server signed, and files are what they say.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use client::Source;
use infra::identity::Verifier;
use schemas::api::{Stated, StatedOf};
use serde::Serialize;

use crate::outcome::{Done, Misused, ProvedWrong};
use crate::receipts::{self, Kept};
use crate::session::Session;

/// Check receipts, without the server where its keys are at hand
///
/// Keys are taken from --keys, or from keys.json beside each receipt (push --receipts keeps it
/// there), or else asked of the server. Exit code 6: one of them does not hold.
#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// Saved receipts: folders of push --receipts, answers, lines of --json, or bare receipts
    #[arg(required = true, value_name = "FILE")]
    receipts: Vec<PathBuf>,
    /// Files of public keys (JWK Sets), as sluice receipt keys saves them
    #[arg(long, value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// Check that this file is the one a receipt was given for
    #[arg(long, value_name = "FILE", conflicts_with = "sent")]
    file: Option<PathBuf>,
    /// Check the files too, where they were pushed from
    #[arg(long)]
    sent: bool,
}

/// What was found of one receipt.
#[derive(Debug, Serialize)]
struct Found {
    from: PathBuf,
    holds: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
    /// The file that was checked as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(flatten)]
    stated: Option<Stated>,
}

pub(super) async fn run(args: &VerifyArgs, session: &Session) -> anyhow::Result<Done> {
    let mut kept = Vec::new();
    for path in &args.receipts {
        for file in receipts::files_of(path)? {
            kept.extend(receipts::read(&file)?.into_iter().map(|receipt| (file.clone(), receipt)));
        }
    }
    if args.file.is_some() && kept.len() != 1 {
        let text = format!("--file is for one receipt; there are {}", kept.len());
        return Err(Misused(text).into());
    }
    let verifier = verifier(args, kept.iter().map(|(path, _)| &**path), session).await?;
    let (all, mut wrong) = (kept.len(), 0);
    for (from, kept) in kept {
        let found = look(args, &verifier, from, kept).await;
        wrong += usize::from(!found.holds);
        session.print.object(&found, text)?;
    }
    if wrong == 0 {
        return Ok(Done::Whole);
    }
    Err(ProvedWrong(format!("{wrong} of {all} receipts do not hold")).into())
}

/// Believes the keys named, or those beside the receipts, or the server's.
async fn verifier(
    args: &VerifyArgs,
    paths: impl Iterator<Item = &Path>,
    session: &Session,
) -> anyhow::Result<Verifier> {
    let mut files = args.keys.clone();
    let mut all_beside = true;
    if files.is_empty() {
        for path in paths {
            match receipts::keys_beside(path) {
                Some(keys) if !files.contains(&keys) => files.push(keys),
                Some(_) => {}
                None => all_beside = false,
            }
        }
    }
    let mut verifier = Verifier::default();
    for file in &files {
        receipts::believe(&mut verifier, file)?;
    }
    if !all_beside {
        let keys = session.stranger()?.keys().await;
        let keys = keys.context("no --keys, and the server's cannot be fetched")?;
        verifier.believe(keys.to_string().as_bytes())?;
    }
    Ok(verifier)
}

async fn look(args: &VerifyArgs, verifier: &Verifier, from: PathBuf, kept: Kept) -> Found {
    let stated = match verifier.read(&kept.receipt) {
        Ok(stated) => stated,
        Err(bad) => {
            let fault = Some(bad.to_string());
            return Found { from, holds: false, fault, file: None, stated: None };
        }
    };
    let file = if args.sent { kept.file } else { args.file.clone() };
    let fault = match &file {
        Some(file) => other_file(file, &stated).await,
        None if args.sent => Some("it was not kept where the file is".to_owned()),
        None => None,
    };
    Found { from, holds: fault.is_none(), fault, file, stated: Some(stated) }
}

/// What is wrong with a file that should be the one of a receipt.
async fn other_file(file: &Path, stated: &Stated) -> Option<String> {
    match Source::file(file).await {
        Err(error) => Some(error.to_string()),
        Ok(source) if source.sha256() == stated.sha256 => None,
        Ok(source) => Some(format!(
            "{} is another file: its digest is {}, the receipt's {}",
            file.display(),
            source.sha256(),
            stated.sha256
        )),
    }
}

fn text(found: &Found) -> String {
    let from = found.from.display();
    let (Some(stated), None) = (&found.stated, &found.fault) else {
        return format!("{from}: WRONG: {}", found.fault.as_deref().unwrap_or_default());
    };
    let Stated { pool, sha256, topic, offset, at, .. } = stated;
    let what = match stated.of {
        StatedOf::Upload { upload, .. } => format!("upload {upload} received"),
        StatedOf::Result { result, .. } => format!("result {result} published"),
        StatedOf::Delivery { result, member } => {
            format!("result {result} acknowledged by {member}")
        }
    };
    let file = match &found.file {
        Some(file) => format!("; {} is that file", file.display()),
        None => String::new(),
    };
    format!("{from}: holds: {what} in {pool} at {at}, sha256 {sha256}, {topic} {offset}{file}")
}
