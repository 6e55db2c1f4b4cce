//! The commands that call a server: each parses, calls and prints in its own file.

mod account;
mod audit;
mod batch;
mod batches;
mod deliveries;
mod doctor;
mod files;
mod history;
mod import;
mod join;
mod listen;
mod login;
mod logout;
mod pool;
mod prove;
mod push;
mod receipt;
mod result;
mod retry;
mod service;
mod signup;
mod sweep;
mod work;

use clap::Subcommand;

use crate::outcome::Done;
use crate::session::{Session, Signal, signal};

#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    Signup(signup::SignupArgs),
    Login(login::LoginArgs),
    Logout(logout::LogoutArgs),
    Pool(pool::PoolArgs),
    Service(service::ServiceArgs),
    Account(account::AccountArgs),
    Join(join::JoinArgs),
    Push(push::PushArgs),
    Import(import::ImportArgs),
    Receipt(receipt::ReceiptArgs),
    Prove(prove::ProveArgs),
    Listen(listen::ListenArgs),
    Work(work::WorkArgs),
    Retry(retry::RetryArgs),
    History(history::HistoryArgs),
    Batches(batches::BatchesArgs),
    Batch(batch::BatchArgs),
    Result(result::ResultArgs),
    Deliveries(deliveries::DeliveriesArgs),
    Files(files::FilesArgs),
    Audit(audit::AuditArgs),
    Sweep(sweep::SweepArgs),
    Doctor(doctor::DoctorArgs),
}

impl ClientCommand {
    /// Runs it, or as much of it as an interrupt lets it.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<Done> {
        // These two finish what they have in hand; a second signal ends them at once.
        let finishes = matches!(self, Self::Listen(_) | Self::Work(_));
        let done = tokio::select! {
            biased;
            done = Box::pin(self.dispatch(session)) => done,
            () = interrupted(session, finishes) => return Ok(Done::Interrupted),
        };
        session.keep_positions();
        match session.signalled() {
            Some(Signal::Interrupt) if done.is_ok() => Ok(Done::Interrupted),
            _ => done,
        }
    }

    async fn dispatch(self, session: &Session) -> anyhow::Result<Done> {
        match self {
            Self::Signup(args) => signup::run(args, session).await,
            Self::Login(args) => login::run(args, session).await,
            Self::Logout(args) => logout::run(args, session).await,
            Self::Service(args) => service::run(args, session).await,
            Self::Account(args) => account::run(args, session).await,
            Self::Pool(args) => pool::run(args, session).await,
            Self::Join(args) => join::run(args, session).await,
            Self::Push(args) => push::run(args, session).await,
            Self::Import(args) => import::run(args, session).await,
            Self::Prove(args) => prove::run(args, session).await,
            Self::Receipt(args) => receipt::run(args, session).await,
            Self::Listen(args) => listen::run(args, session).await,
            Self::Work(args) => work::run(args, session).await,
            Self::Retry(args) => retry::run(args, session).await,
            Self::History(args) => history::run(args, session).await,
            Self::Batch(args) => batch::run(args, session).await,
            Self::Batches(args) => batches::run(args, session).await,
            Self::Result(args) => result::run(args, session).await,
            Self::Deliveries(args) => deliveries::run(args, session).await,
            Self::Files(args) => files::run(args, session).await,
            Self::Audit(args) => audit::run(args, session).await,
            Self::Sweep(args) => sweep::run(args, session).await,
            Self::Doctor(args) => doctor::run(args, session).await,
        }
    }
}

/// Returns when the command is to be dropped.
async fn interrupted(session: &Session, finishes: bool) {
    session.note_signal(signal().await);
    if finishes {
        session.print.note("finishing; once more to stop at once");
        session.note_signal(signal().await);
    }
}
