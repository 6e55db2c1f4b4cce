//! `sluice login`: signs in, and keeps the token in the profile.

use clap::Args;
use schemas::name::UserName;
use serde_json::json;

use crate::outcome::Done;
use crate::secret::{self, Prompt};
use crate::session::Session;

/// Sign in
#[derive(Args, Debug)]
pub(crate) struct LoginArgs {
    /// The account's name
    name: UserName,
    /// Read the password from standard input [otherwise: SLUICE_PASSWORD, or the terminal asks]
    #[arg(long)]
    password_stdin: bool,
}

pub(crate) async fn run(args: LoginArgs, session: &Session) -> anyhow::Result<Done> {
    let client = session.stranger()?;
    let password = secret::password(args.password_stdin, session.password(), Prompt::Password)?;
    let signed_in = client.log_in(&args.name, &password).await?;
    session.keep(&client, &signed_in)?;
    let told = json!({
        "user_id": signed_in.user_id, "user_name": signed_in.user_name, "role": signed_in.role,
        "expires_in": signed_in.expires_in,
    });
    session.print.object(&told, |_| {
        let minutes = signed_in.expires_in / 60;
        format!("signed in as {}, for {minutes} minutes", signed_in.user_name)
    })?;
    Ok(Done::Whole)
}
