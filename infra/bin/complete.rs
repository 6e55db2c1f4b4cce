//! `sluice completions` and `sluice man`: what shells and `man` know of the command line, made from
//! the command line itself.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Command, CommandFactory as _};
use clap_complete::Shell;

use crate::Cli;

/// Print the completions of a shell
///
/// bash: sluice completions bash > ~/.local/share/bash-completion/completions/sluice;
/// zsh: to a file _sluice in a folder of $fpath; fish: to
/// ~/.config/fish/completions/sluice.fish.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Write man pages, one for each command
#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// Folder they are written to, made if it is not there
    folder: PathBuf,
}

/// Prints completions.
pub(crate) fn completions(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "sluice", &mut script);
    Ok(io::stdout().lock().write_all(&script)?)
}

/// Writes man pages.
pub(crate) fn man(args: &ManArgs) -> anyhow::Result<()> {
    let folder = &args.folder;
    let written =
        fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    written.with_context(|| folder.display().to_string())
}

/// The command line as people see it.
fn command() -> Command {
    let mut command = Cli::command();
    command.build();
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_a_completion() {
        let folder = tempfile::tempdir().unwrap();
        man(&ManArgs { folder: folder.path().to_owned() }).unwrap();
        let page = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(page("sluice-push.1").contains("receipts"));
        assert!(page("sluice-receipt-verify.1").contains("keys"));
        assert!(page("sluice.1").contains("Exit codes"));
        assert!(!folder.path().join("sluice-golden.1").exists());
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command(), "sluice", &mut script);
            let script = String::from_utf8(script).unwrap();
            for sub in command().get_subcommands().filter(|sub| !sub.is_hide_set()) {
                assert!(script.contains(sub.get_name()), "{shell} knows {}", sub.get_name());
            }
        }
    }
}
