//! What every command that calls a server shares: where it is, who calls, how it is printed.

use std::fmt;
use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::Context as _;
use clap::Args;
use client::Client;
use schemas::api::SignedIn;
use schemas::id::AccountId;
use schemas::name::{PoolName, UserName};
use tokio_util::sync::CancellationToken;

use crate::outcome::{Misused, NotSignedIn};
use crate::print::Printer;
use crate::profile::{Profile, ProfileFile};

/// Where `sluice up` listens when it is not told otherwise.
const DEFAULT_SERVER: &str = "http://127.0.0.1:7171";

/// What can be said with every command.
#[derive(Args, Clone)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Address of the server [default: where you are signed in, or http://127.0.0.1:7171]
    #[arg(long, global = true, env = "SLUICE_SERVER", value_name = "URL")]
    server: Option<String>,
    /// Who is signed in: a name of your choice, or a file [default: ~/.config/sluice/profile.json]
    #[arg(long, global = true, env = "SLUICE_PROFILE", value_name = "NAME|FILE")]
    profile: Option<PathBuf>,
    /// Sign in as this user with SLUICE_PASSWORD, as often as needed: for programs that run long
    #[arg(long, global = true, env = "SLUICE_USER", value_name = "NAME")]
    user: Option<UserName>,
    /// The settings file [default: ~/.config/sluice/config.toml, if it is there]
    #[arg(long, global = true, env = "SLUICE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON: one object per line
    #[arg(long, global = true)]
    json: bool,
    /// Say nothing but data and errors
    #[arg(long, short, global = true)]
    quiet: bool,
    #[arg(long, global = true, env = "SLUICE_PASSWORD", hide = true, hide_env_values = true)]
    password: Option<String>,
    #[arg(long, global = true, env = "SLUICE_TOKEN", hide = true, hide_env_values = true)]
    access_token: Option<String>,
}

/// The pool a command is about.
#[derive(Args, Clone, Debug)]
pub(crate) struct OfPool {
    /// The pool
    #[arg(long, short, env = "SLUICE_POOL", value_name = "NAME")]
    pub(crate) pool: PoolName,
}

/// One run of a command.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) print: Printer,
    /// Cancelled when the command is to come to its end.
    pub(crate) stop: CancellationToken,
    global: Global,
    profile: ProfileFile,
    signalled: OnceLock<Signal>,
    /// Kept to learn what it has written.
    client: OnceLock<Client>,
}

/// What ends a command from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Someone at the keyboard.
    Interrupt,
    /// Whoever started us.
    Terminate,
}

impl Session {
    pub(crate) fn new(global: Global) -> Self {
        let quiet = global.quiet;
        let print = if global.json { Printer::Json } else { Printer::Human { quiet } };
        let profile = ProfileFile::new(global.profile.clone());
        let (stop, signalled) = (CancellationToken::new(), OnceLock::new());
        Self { print, stop, global, profile, signalled, client: OnceLock::new() }
    }

    /// Whether bars may be drawn, if there is a terminal for them.
    pub(crate) fn draws(&self) -> bool {
        !self.global.quiet
    }

    /// The settings file, where another than the usual one was named.
    pub(crate) fn settings(&self) -> Option<String> {
        self.global.config.as_ref().map(|path| path.display().to_string())
    }

    /// The password of the environment.
    pub(crate) fn password(&self) -> Option<&str> {
        self.global.password.as_deref()
    }

    /// A client that is nobody yet.
    pub(crate) fn stranger(&self) -> anyhow::Result<Client> {
        let kept = if self.global.server.is_none() { self.profile.load()? } else { None };
        let kept = kept.map(|profile| profile.server);
        let server = self.global.server.clone().or(kept);
        Ok(Client::new(server.as_deref().unwrap_or(DEFAULT_SERVER))?)
    }

    /// A client that is signed in: by the environment's token, by its user and password, or as
    /// the profile says.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let client = self.stranger()?;
        let client = match (&self.global.access_token, &self.global.user, self.password()) {
            (Some(token), ..) => client.signed_in(token),
            (None, Some(user), Some(password)) => client.signing_in(user.clone(), password),
            (None, Some(_), None) => {
                return Err(Misused("--user needs SLUICE_PASSWORD".to_owned()).into());
            }
            (None, None, _) => {
                let profile = self.signed_in(&client)?;
                let client = client.having_written(self.profile.positions());
                let client = client.signed_in(&profile.access_token);
                self.client.get_or_init(|| client.clone());
                client
            }
        };
        Ok(client)
    }

    /// Who is signed in at the server of this client. A token is shown to no other server.
    pub(crate) fn signed_in(&self, client: &Client) -> anyhow::Result<Profile> {
        let nobody = "nobody is signed in: sluice login NAME, or sluice signup NAME";
        let profile = self.profile.load()?.ok_or_else(|| NotSignedIn(nobody.to_owned()))?;
        let (here, there) = (client.address().as_str(), &profile.server);
        if Client::new(there)?.address().as_str() != here {
            let text = format!("signed in at {there}, not at {here}: sluice login NAME");
            return Err(NotSignedIn(text).into());
        }
        Ok(profile)
    }

    /// The id of whoever calls.
    pub(crate) async fn user_id(&self, client: &Client) -> anyhow::Result<AccountId> {
        match (&self.global.access_token, &self.global.user, self.password()) {
            (Some(_), ..) => Err(Misused("say --client ID: a token alone does not".into()).into()),
            (None, Some(user), Some(password)) => {
                let signed_in = client.anonymous().log_in(user, password).await;
                Ok(signed_in.context("sign in")?.user_id)
            }
            _ => Ok(self.signed_in(client)?.user_id),
        }
    }

    /// Keeps who has signed in.
    pub(crate) fn keep(&self, client: &Client, signed_in: &SignedIn) -> anyhow::Result<()> {
        self.profile.save(&Profile {
            server: client.address().to_string(),
            user_name: signed_in.user_name.clone(),
            user_id: signed_in.user_id,
            access_token: signed_in.access_token.clone(),
        })?;
        self.print.note(&format!("kept in {}", self.profile.path().display()));
        Ok(())
    }

    /// Forgets who was signed in.
    pub(crate) fn forget(&self) -> anyhow::Result<()> {
        self.profile.remove()
    }

    /// Keeps where this command has written, for the next one's reads.
    pub(crate) fn keep_positions(&self) {
        if let Some(client) = self.client.get() {
            let positions = client.positions();
            if positions != self.profile.positions() && matches!(self.profile.load(), Ok(Some(_))) {
                self.profile.save_positions(&positions);
            }
        }
    }

    pub(crate) fn note_signal(&self, signal: Signal) {
        self.signalled.get_or_init(|| signal);
        self.stop.cancel();
    }

    pub(crate) fn signalled(&self) -> Option<Signal> {
        self.signalled.get().copied()
    }
}

/// Waits for a signal that is to end the process. Where they cannot be waited for, the system's
/// own way to end it stands.
pub(crate) async fn signal() -> Signal {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupted => Signal::Interrupt,
        () = terminated() => Signal::Terminate,
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => _ = terminate.recv().await,
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}

impl fmt::Debug for Global {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Global { .. }")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(folder: &std::path::Path, server: Option<&str>) -> Session {
        Session::new(Global {
            server: server.map(str::to_owned),
            profile: Some(folder.join("profile.json")),
            user: None,
            config: None,
            json: false,
            quiet: true,
            password: None,
            access_token: None,
        })
    }

    #[test]
    fn a_token_is_shown_to_its_own_server_only() {
        let folder = tempfile::tempdir().unwrap();
        let nobody = session(folder.path(), None).client().unwrap_err();
        assert!(nobody.is::<NotSignedIn>());
        let signed_in = SignedIn {
            user_id: AccountId::from_bits(7),
            user_name: "ada".parse().unwrap(),
            role: "user".into(),
            access_token: "secret".into(),
            expires_in: 3_600,
            refresh_token: None,
        };
        let there = session(folder.path(), Some("http://a:1"));
        there.keep(&there.stranger().unwrap(), &signed_in).unwrap();
        assert!(there.client().is_ok());
        let remembered = session(folder.path(), None).client().unwrap();
        assert_eq!(remembered.address().as_str(), "http://a:1/");
        let elsewhere = session(folder.path(), Some("http://b:1")).client().unwrap_err();
        assert!(elsewhere.is::<NotSignedIn>(), "{elsewhere}");
    }
}
