//! `sluice join`: redeems a join token.

use clap::Args;
use schemas::api::{JoinDevice, SignedIn};
use schemas::name::PoolName;
use serde_json::json;

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
    /// Make an account for this device, which has none, in the same call; its password is shown
    /// this once
    #[arg(long)]
    device: bool,
}

pub(crate) async fn run(args: JoinArgs, session: &Session) -> anyhow::Result<Done> {
    let from_stdin = args.join_token.as_deref() == Some("-");
    let token = secret::password(from_stdin, args.join_token.as_deref(), Prompt::JoinToken)?;
    if args.device {
        return join_device(&args.pool, token.trim(), session).await;
    }
    let client = session.client()?;
    client.join(&args.pool, token.trim()).await?;
    session.print.object(&client.pool(&args.pool).await?, |pool| {
        let every = spoken(pool.policy.update_every_ms);
        format!("joined {} as {}; its members send every {every}", pool.name, roles(pool.roles))
    })?;
    Ok(Done::Whole)
}

async fn join_device(pool: &PoolName, token: &str, session: &Session) -> anyhow::Result<Done> {
    let client = session.stranger()?;
    let ask = JoinDevice { token: token.to_owned(), user_name: None, password: None };
    let joined = client.join_device(pool, &ask).await?;
    let signed_in = SignedIn {
        user_id: joined.user_id,
        user_name: joined.user_name.clone(),
        role: "user".to_owned(),
        access_token: joined.access_token,
        expires_in: joined.expires_in,
        refresh_token: joined.refresh_token,
    };
    session.keep(&client, &signed_in)?;
    let password = joined.password.unwrap_or_default();
    let told = json!({
        "user_id": joined.user_id, "user_name": joined.user_name, "password": password,
    });
    session.print.object(&told, |_| {
        let roles = roles(joined.roles);
        format!("{} joined {pool} as {roles}\npassword {password}", joined.user_name)
    })?;
    Ok(Done::Whole)
}
