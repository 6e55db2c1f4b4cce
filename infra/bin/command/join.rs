//! `sluice join`: redeems a join token.

use clap::Args;
use schemas::name::PoolName;

use super::pool::roles;
use crate::outcome::Done;
use crate::secret::{self, Prompt};
use crate::session::Session;
use crate::span::spoken;

/// Join a pool by a token that one of its admins gave you
#[derive(Args, Debug)]
pub(crate) struct JoinArgs {
    /// The pool
    pool: PoolName,
    /// The token, or - to read it from standard input [otherwise: the terminal asks]
    #[arg(env = "SLUICE_JOIN_TOKEN", hide_env_values = true, allow_hyphen_values = true)]
    join_token: Option<String>,
}

pub(crate) async fn run(args: JoinArgs, session: &Session) -> anyhow::Result<Done> {
    let client = session.client()?;
    let from_stdin = args.join_token.as_deref() == Some("-");
    let token = secret::password(from_stdin, args.join_token.as_deref(), Prompt::JoinToken)?;
    client.join(&args.pool, token.trim()).await?;
    session.print.object(&client.pool(&args.pool).await?, |pool| {
        let every = spoken(pool.policy.update_every_ms);
        format!("joined {} as {}; its members send every {every}", pool.name, roles(pool.roles))
    })?;
    Ok(Done::Whole)
}
