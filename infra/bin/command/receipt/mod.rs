//! `sluice receipt`: checks receipts without the server, and keeps its keys for that.

mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::outcome::Done;
use crate::receipts::keep_keys;
use crate::session::Session;

/// Check receipts, and keep the keys that takes
#[derive(Args, Debug)]
pub(crate) struct ReceiptArgs {
    #[command(subcommand)]
    command: ReceiptCommand,
}

#[derive(Debug, Subcommand)]
enum ReceiptCommand {
    Verify(verify::VerifyArgs),
    Keys(KeysArgs),
}

/// Show the server's public keys, or add them to a file
#[derive(Args, Debug)]
struct KeysArgs {
    /// The file; keys that it has stay in it
    file: Option<PathBuf>,
}

pub(crate) async fn run(args: ReceiptArgs, session: &Session) -> anyhow::Result<Done> {
    match args.command {
        ReceiptCommand::Verify(args) => verify::run(&args, session).await,
        ReceiptCommand::Keys(args) => keys(args, session).await,
    }
}

async fn keys(args: KeysArgs, session: &Session) -> anyhow::Result<Done> {
    let keys = session.stranger()?.keys().await?;
    match args.file {
        Some(file) => {
            keep_keys(&file, keys)?;
            session.print.note(&format!("kept in {}", file.display()));
        }
        None => session.print.object(&keys, ToString::to_string)?,
    }
    Ok(Done::Whole)
}
