//! docs/cli.md: the commands, their exit codes, and where settings come from.

use std::fmt::Write as _;

use clap::{Command, CommandFactory as _};

use crate::Cli;
use crate::outcome::EXITS;

const HEAD: &str = "# Command line\n\nGenerated from the command line itself; do not edit. \
    `sluice COMMAND --help` and the man pages (`sluice man FOLDER`)\nhave every flag; `sluice \
    completions bash|zsh|fish` prints what a shell completes.\n\n\
    Data goes to standard output, all else to standard error. With `--json` data is JSON, one \
    object per line, with\nthe fields of the API (docs/api.md), and an error is an object with \
    `error`, `code`, `advice`, `request_id` and `exit`.\nThere are no colours but in help, and \
    those only on a terminal and unless `NO_COLOR` is set.\n\n\
    ## Settings\n\nA flag counts before its variable of the environment, that before the settings \
    file, that before the default.\nThe file is `~/.config/sluice/config.toml` \
    (`$XDG_CONFIG_HOME`), or what `--config` or `SLUICE_CONFIG` names. Keys at\nits top are flags \
    of every command that has them, those in a table named after a command are that command's:\n\n\
    ```toml\nserver = \"https://sluice.example\"\nprofile = \"buoy-17\"\npool = \"buoys\"\n\n\
    [up]\nlisten = \"127.0.0.1:7272\"\nlimit = [\"file_bytes_max=1000000000\"]\n```\n\n\
    A file with `access-token` or `password` must be readable by its owner only.\n";

/// The page.
pub(super) fn text() -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\n## Exit codes\n\n| code | |\n|---|---|\n");
    for (code, meaning) in EXITS {
        writeln!(text, "| {code} | {meaning} |").expect("a string");
    }
    text.push_str("\n## Commands\n\n| command | |\n|---|---|\n");
    let mut command = Cli::command();
    command.build();
    rows(&command, &mut text);
    text
}

fn rows(command: &Command, text: &mut String) {
    let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    for sub in shown.filter(|sub| sub.get_name() != "help") {
        if sub.has_subcommands() {
            rows(sub, text);
            continue;
        }
        let name = sub.get_bin_name().unwrap_or(sub.get_name());
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        writeln!(text, "| `{name}` | {} |", about.trim_end_matches('.')).expect("a string");
    }
}
