//! Secrets on their way in: from the terminal, standard input or the environment, never from the
//! command line, which other users of the machine can read.

use std::ffi::OsString;
use std::io::{IsTerminal as _, Read as _};

use anyhow::Context as _;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use console::Term;

use crate::outcome::Misused;
use crate::settings;

/// Longest secret that is read from standard input.
const SECRET_BYTES_MAX: u64 = 4_096;
/// Arguments that only the environment may give.
const ENVIRONMENT_ONLY: [&str; 2] = ["password", "access_token"];

/// What the command line says, once it is clear that it holds no secret.
pub(crate) fn parsed<T: CommandFactory + FromArgMatches>() -> T {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let mut command = match settings::applied(T::command(), &arguments) {
        Ok(command) => command,
        Err(error) => T::command().error(ErrorKind::ValueValidation, format!("{error:#}")).exit(),
    };
    let matches = command.get_matches_mut();
    if let Some(name) = on_command_line(&matches) {
        let text = format!(
            "the {} is not taken from the command line, which others can read: use the \
             environment, or see the command's help",
            name.replace('_', " ")
        );
        command.error(ErrorKind::ArgumentConflict, text).exit();
    }
    T::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

fn on_command_line(matches: &ArgMatches) -> Option<&'static str> {
    let given = |name: &&str| {
        let known = matches.ids().any(|id| id == *name);
        known && matches.value_source(name) == Some(ValueSource::CommandLine)
    };
    let below = || matches.subcommand().and_then(|(_, below)| on_command_line(below));
    ENVIRONMENT_ONLY.into_iter().find(|name| given(name)).or_else(below)
}

/// Reads a password: from standard input when asked to, else from the environment, else without
/// echo from the terminal.
pub(crate) fn password(
    from_stdin: bool,
    environment: Option<&str>,
    prompt: Prompt,
) -> anyhow::Result<String> {
    match environment {
        _ if from_stdin => stdin_line(),
        Some(password) => Ok(password.to_owned()),
        None => prompt.ask(),
    }
}

/// What is asked at a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prompt {
    /// A password that exists.
    Password,
    /// A new one, typed twice.
    NewPassword,
    /// A join token.
    JoinToken,
}

impl Prompt {
    fn ask(self) -> anyhow::Result<String> {
        let terminal = Term::stderr();
        if !terminal.is_term() || !std::io::stdin().is_terminal() {
            return Err(Misused(self.without_terminal().to_owned()).into());
        }
        let ask = |prompt: &str| {
            terminal.write_str(prompt)?;
            terminal.read_secure_line()
        };
        match self {
            Self::Password => Ok(ask("Password: ")?),
            Self::JoinToken => Ok(ask("Join token: ")?),
            Self::NewPassword => {
                let password = ask("New password: ")?;
                if password == ask("Once more: ")? {
                    Ok(password)
                } else {
                    Err(Misused("the two are not the same".to_owned()).into())
                }
            }
        }
    }

    fn without_terminal(self) -> &'static str {
        match self {
            Self::Password | Self::NewPassword => {
                "no terminal to ask for the password: use --password-stdin or SLUICE_PASSWORD"
            }
            Self::JoinToken => "no terminal to ask for the join token: give it, or - to read it",
        }
    }
}

/// What standard input says, without the end of its line.
pub(crate) fn stdin_line() -> anyhow::Result<String> {
    let mut text = String::new();
    let mut input = std::io::stdin().lock().take(SECRET_BYTES_MAX);
    input.read_to_string(&mut text).context("read standard input")?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    use crate::Cli;

    #[test]
    fn no_secret_is_taken_from_the_command_line() {
        let check = |arguments: &[&str], expected| {
            let arguments = ["sluice"].iter().chain(arguments);
            let matches = Cli::command().try_get_matches_from(arguments).unwrap();
            assert_eq!(on_command_line(&matches), expected, "{matches:?}");
        };
        check(&["login", "ada"], None);
        check(&["login", "ada", "--password", "x"], Some("password"));
        check(&["--access-token", "x", "history"], Some("access_token"));
        check(&["pool", "--access-token", "x", "list"], Some("access_token"));
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
        assert!(Cli::try_parse_from(["sluice", "push", "--pool", "north", "a.csv"]).is_ok());
        assert!(Cli::try_parse_from(["sluice", "nonsense"]).is_err());
    }
}
