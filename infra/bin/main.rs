//! The binary: what is said on the command line, and the exit code.
#![allow(clippy::doc_markdown, reason = "docs of arguments are their help, shown as they stand")]

mod backup;
mod bars;
mod command;
mod complete;
mod demo;
mod golden;
mod outcome;
mod pages;
mod print;
mod profile;
mod rebuild;
mod receipts;
mod replay;
mod secret;
mod session;
mod settings;
mod span;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use command::ClientCommand;
use outcome::Done;
use session::{Global, Session};

/// Pools of clients that send files, and the servers that work on them in rounds.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, after_help = outcome::exit_codes())]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Client(ClientCommand),
    Up(Box<up::UpArgs>),
    Demo(demo::DemoArgs),
    Replay(replay::ReplayArgs),
    Rebuild(rebuild::RebuildArgs),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Completions(complete::CompletionsArgs),
    Man(complete::ManArgs),
    #[command(hide = true)]
    Golden(golden::GoldenArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli: Cli = secret::parsed();
    let session = Session::new(cli.global);
    let outcome = match cli.command {
        Command::Client(command) => command.run(&session).await,
        Command::Up(args) => up::run(*args).await.map(|()| Done::Whole),
        Command::Demo(args) => Box::pin(demo::run(args)).await,
        Command::Replay(args) => replay::run(args).await,
        Command::Rebuild(args) => rebuild::run(args).await,
        Command::Backup(args) => backup::back_up(args, &session).await,
        Command::Restore(args) => backup::restore(args, &session).await,
        Command::Completions(args) => complete::completions(&args).map(|()| Done::Whole),
        Command::Man(args) => complete::man(&args).map(|()| Done::Whole),
        Command::Golden(args) => golden::run(&args).map(|()| Done::Whole),
    };
    outcome::exit_code(outcome, &session)
}
