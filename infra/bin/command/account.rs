//! `sluice account`: what platform admins do about accounts.

use clap::{Args, Subcommand};
use schemas::id::AccountId;

use crate::outcome::Done;
use crate::session::Session;

/// Disable and enable accounts; for platform admins
#[derive(Args, Debug)]
pub(crate) struct AccountArgs {
    #[command(subcommand)]
    act: AccountAct,
}

#[derive(Debug, Subcommand)]
enum AccountAct {
    /// Disable an account and its API clients: their tokens are dead within a second
    Disable {
        /// The account's id
        account: AccountId,
    },
    /// Have a disabled account be like any other
    Enable {
        /// The account's id
        account: AccountId,
    },
}

pub(crate) async fn run(args: AccountArgs, session: &Session) -> anyhow::Result<Done> {
    let client = session.client()?;
    match args.act {
        AccountAct::Disable { account } => {
            client.disable_account(account).await?;
            session.print.note(&format!("{account} is disabled"));
        }
        AccountAct::Enable { account } => {
            client.enable_account(account).await?;
            session.print.note(&format!("{account} is enabled"));
        }
    }
    Ok(Done::Whole)
}
