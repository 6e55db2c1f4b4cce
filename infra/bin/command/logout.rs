//! `sluice logout`: the token is dead, and forgotten.

use clap::Args;

use crate::outcome::Done;
use crate::session::Session;

/// Sign out: the token is dead everywhere within a second
#[derive(Args, Debug)]
pub(crate) struct LogoutArgs {}

pub(crate) async fn run(_: LogoutArgs, session: &Session) -> anyhow::Result<Done> {
    let client = session.stranger()?;
    let profile = session.signed_in(&client)?;
    let said = client.signed_in(&profile.access_token).log_out(&profile.user_name).await;
    match said {
        // A token that has run out is as dead.
        Err(error) if !error.is_signed_out() => return Err(error.into()),
        _ => session.forget()?,
    }
    session.print.note(&format!("signed out {}", profile.user_name));
    Ok(Done::Whole)
}
