//! `sluice join`: redeems a join token.

use clap::Args;
use schemas::api::{JoinDevice, SignedIn};
use schemas::name::{PoolName, UserName};
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
    /// Make an account of this name in the same call, the token being your invitation; the password
    /// is SLUICE_PASSWORD, or the terminal asks
    #[arg(long, value_name = "NAME", conflicts_with = "device")]
    name: Option<UserName>,
}

pub(crate) async fn run(args: JoinArgs, session: &Session) -> anyhow::Result<Done> {
    let from_stdin = args.join_token.as_deref() == Some("-");
    let token = secret::password(from_stdin, args.join_token.as_deref(), Prompt::JoinToken)?;
    let token = token.trim().to_owned();
    if args.device {
        let ask = JoinDevice { token, user_name: None, password: None };
        return newcomer(&args.pool, ask, session).await;
    }
    if args.name.is_some() {
        let password = secret::password(false, session.password(), Prompt::NewPassword)?;
        let ask = JoinDevice { token, user_name: args.name, password: Some(password) };
        return newcomer(&args.pool, ask, session).await;
    }
    let client = session.client()?;
    client.join(&args.pool, &token).await?;
    session.print.object(&client.pool(&args.pool).await?, |pool| {
        let every = spoken(pool.policy.update_every_ms);
        format!("joined {} as {}; its members send every {every}", pool.name, roles(pool.roles))
    })?;
    Ok(Done::Whole)
}

/// Somebody who has no account, and gets one.
async fn newcomer(pool: &PoolName, ask: JoinDevice, session: &Session) -> anyhow::Result<Done> {
    let client = session.stranger()?;
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
    let mut told = json!({ "user_id": joined.user_id, "user_name": joined.user_name });
    let mut text = format!("{} joined {pool} as {}", joined.user_name, roles(joined.roles));
    if let (Some(password), Some(told)) = (joined.password, told.as_object_mut()) {
        // Chosen by the server, and shown this once.
        text = format!("{text}\npassword {password}");
        told.insert("password".to_owned(), password.into());
    }
    session.print.object(&told, |_| text)?;
    Ok(Done::Whole)
}
