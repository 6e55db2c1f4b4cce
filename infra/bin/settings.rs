//! The settings file: what flags are when neither the command line nor the environment says.
//!
//! TOML. A key at the top is a flag of every command that has it; a key in a table named after a
//! command is that command's only:
//!
//! ```toml
//! server = "https://sluice.example"
//! pool = "buoys"
//! [up]
//! listen = "127.0.0.1:7272"
//! limit = ["file_bytes_max=1000000000"]
//! ```

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Arg, Command};
use toml::{Table, Value};

use crate::profile::config_folder;

/// The flag and the variable that name another file.
const FLAG: &str = "--config";
const VARIABLE: &str = "SLUICE_CONFIG";
/// Keys that only a file of its owner's may have.
const SECRETS: [&str; 2] = ["access-token", "password"];

/// The command with the file's settings as its defaults.
pub(crate) fn applied(command: Command, arguments: &[OsString]) -> anyhow::Result<Command> {
    let named = named(arguments);
    let path = named.clone().unwrap_or_else(|| config_folder().join("sluice/config.toml"));
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => return Ok(command),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let read = || -> anyhow::Result<Command> {
        let table: Table = text.parse()?;
        if has_secret(&table) {
            check_private(&path)?;
        }
        with(command, &table)
    };
    read().with_context(|| format!("settings in {}", path.display()))
}

/// The file that the command line or the environment names. Looked for before anything is parsed,
/// since what is parsed depends on it.
#[allow(clippy::disallowed_methods, reason = "the settings come before the command line's parser")]
fn named(arguments: &[OsString]) -> Option<PathBuf> {
    let mut arguments = arguments.iter().take_while(|argument| *argument != "--");
    while let Some(argument) = arguments.next() {
        if argument == FLAG {
            return arguments.next().map(PathBuf::from);
        }
        let text = argument.to_string_lossy();
        if let Some(path) = text.strip_prefix(FLAG).and_then(|rest| rest.strip_prefix('=')) {
            return Some(path.into());
        }
    }
    std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn has_secret(table: &Table) -> bool {
    table.iter().any(|(key, value)| {
        SECRETS.contains(&key.as_str()) || value.as_table().is_some_and(has_secret)
    })
}

#[cfg(unix)]
fn check_private(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        bail!("it has a secret and others can read it: chmod 600 it");
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_: &Path) -> anyhow::Result<()> {
    Ok(())
}

fn with(mut command: Command, table: &Table) -> anyhow::Result<Command> {
    let mut known = BTreeSet::new();
    let all = table.iter().filter(|(_, value)| !value.is_table());
    let all: Vec<_> = all
        .map(|(key, value)| Ok((key.as_str(), texts(key, value)?)))
        .collect::<anyhow::Result<_>>()?;
    command = everywhere(command, &all, &mut known);
    for (name, value) in table.iter().filter_map(|(name, value)| Some((name, value.as_table()?))) {
        if command.find_subcommand(name).is_none() {
            bail!("[{name}]: there is no command of this name");
        }
        let mut fault = None;
        command = command.mut_subcommand(name, |below| match with(below.clone(), value) {
            Ok(below) => below,
            Err(error) => {
                fault = Some(error.context(format!("[{name}]")));
                below
            }
        });
        if let Some(fault) = fault {
            return Err(fault);
        }
    }
    match all.iter().find(|(key, _)| !known.contains(key)) {
        Some((key, _)) => bail!("{key}: there is no flag of this name"),
        None => Ok(command),
    }
}

/// Sets these in the command and in all below it that have them.
fn everywhere<'a>(
    command: Command,
    all: &[(&'a str, Vec<String>)],
    known: &mut BTreeSet<&'a str>,
) -> Command {
    let command = command.mut_args(|argument| set(argument, all, known));
    command.mut_subcommands(|below| everywhere(below, all, known))
}

fn set<'a>(argument: Arg, all: &[(&'a str, Vec<String>)], known: &mut BTreeSet<&'a str>) -> Arg {
    let said = all.iter().find(|(key, _)| argument.get_long() == Some(key));
    let Some((key, values)) = said else { return argument };
    known.insert(key);
    argument.default_values(values.clone()).required(false)
}

/// A value as it would stand on the command line.
fn texts(key: &str, value: &Value) -> anyhow::Result<Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(_) | Value::Boolean(_) | Value::Datetime(_) => Ok(value.to_string()),
        _ => bail!("{key}: a text, a whole number, true or false is expected"),
    };
    match value {
        Value::Array(values) => values.iter().map(text).collect(),
        value => Ok(vec![text(value)?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{ArgAction, ArgMatches};

    fn command() -> Command {
        let global = Arg::new("server").long("server").global(true).env("SLUICE_TEST_SERVER");
        let json = Arg::new("json").long("json").action(ArgAction::SetTrue).global(true);
        let pool = || Arg::new("pool").long("pool").required(true);
        let limit = Arg::new("limits").long("limit").action(ArgAction::Append);
        Command::new("sluice")
            .args([global, json])
            .subcommand(Command::new("push").arg(pool()))
            .subcommand(Command::new("pool").subcommand(Command::new("close").arg(pool())))
            .subcommand(Command::new("up").arg(limit))
    }

    fn parsed(text: &str, arguments: &[&str]) -> anyhow::Result<ArgMatches> {
        let command = with(command(), &text.parse().unwrap())?;
        let arguments = ["sluice"].iter().chain(arguments);
        let mut matches = command.try_get_matches_from(arguments)?;
        while let Some((_, below)) = matches.remove_subcommand() {
            matches = below;
        }
        Ok(matches)
    }

    #[test]
    fn a_flag_is_what_the_file_says_unless_it_is_given() {
        let text = "server = 'http://a'\npool = 'north'\njson = true\n[up]\nlimit = ['x=1', 'y=2']";
        let one = |matches: &ArgMatches, name| matches.get_one::<String>(name).cloned();
        let push = parsed(text, &["push"]).unwrap();
        assert_eq!(one(&push, "pool"), Some("north".into()));
        assert_eq!(one(&push, "server"), Some("http://a".into()));
        assert!(push.get_flag("json"));
        let close = parsed(text, &["pool", "close", "--pool", "south"]).unwrap();
        assert_eq!(one(&close, "pool"), Some("south".into()));
        let up = parsed(text, &["up"]).unwrap();
        assert_eq!(up.get_many::<String>("limits").unwrap().collect::<Vec<_>>(), ["x=1", "y=2"]);
        let up = parsed(text, &["up", "--limit", "z=3"]).unwrap();
        assert_eq!(up.get_many::<String>("limits").unwrap().collect::<Vec<_>>(), ["z=3"]);
        assert!(parsed("", &["push"]).is_err(), "the pool is required where no file names it");
    }

    #[test]
    fn what_no_flag_is_called_is_told() {
        for bad in ["sever = 'x'", "[pusch]\npool = 'x'", "[up]\npool = 'x'", "pool = 1.5"] {
            assert!(with(command(), &bad.parse().unwrap()).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_file_is_named_before_all_is_parsed() {
        let named = |arguments: &[&str]| {
            let arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
            named(&arguments)
        };
        assert_eq!(named(&["--config", "a.toml", "push"]), Some("a.toml".into()));
        assert_eq!(named(&["push", "--config=a.toml"]), Some("a.toml".into()));
        assert_eq!(named(&["push", "--", "--config=a.toml"]), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, "[push]\npassword = 'x'").unwrap();
        assert!(has_secret(&fs::read_to_string(&path).unwrap().parse().unwrap()));
        for (mode, private) in [(0o644, false), (0o600, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(check_private(&path).is_ok(), private, "{mode:o}");
        }
    }
}
