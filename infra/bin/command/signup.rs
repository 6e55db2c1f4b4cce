//! `sluice signup`: an account of one's own.

use clap::Args;
use schemas::name::UserName;
use serde_json::json;

use crate::outcome::Done;
use crate::secret::{self, Prompt};
use crate::session::Session;

/// Make an account, and sign in
#[derive(Args, Debug)]
pub(crate) struct SignupArgs {
    /// A free name: a-z, 0-9, '.', '_' and -
    name: UserName,
    /// Read the password from standard input [otherwise: SLUICE_PASSWORD, or the terminal asks]
    #[arg(long)]
    password_stdin: bool,
}

pub(crate) async fn run(args: SignupArgs, session: &Session) -> anyhow::Result<Done> {
    let client = session.stranger()?;
    let prompt = Prompt::NewPassword;
    let password = secret::password(args.password_stdin, session.password(), prompt)?;
    let signed_in = client.sign_up(&args.name, &password).await?;
    session.keep(&client, &signed_in)?;
    let told = json!({
        "user_id": signed_in.user_id, "user_name": signed_in.user_name, "role": signed_in.role,
    });
    session.print.object(&told, |_| {
        format!("{} is {}, signed in", signed_in.user_name, signed_in.user_id)
    })?;
    Ok(Done::Whole)
}
