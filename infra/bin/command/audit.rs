//! `sluice audit`: who did what, or was kept from it.

use clap::{Args, ValueEnum};
use client::PageAsk;
use schemas::api::{AuditQuery, AuditView};
use schemas::event::AuditOutcome;
use schemas::id::{AccountId, ObjectId};
use schemas::name::PoolName;
use schemas::time::LogTime;

use crate::outcome::Done;
use crate::print::{or_dash, word};
use crate::session::Session;

/// Show the audit log, newest first: a pool's to its owners and admins, all to platform admins
#[derive(Args, Debug)]
pub(crate) struct AuditArgs {
    /// Only what is about this pool
    #[arg(long, short, env = "SLUICE_POOL", value_name = "NAME")]
    pool: Option<PoolName>,
    /// Only what this account did, or was denied
    #[arg(long, value_name = "ID")]
    actor: Option<AccountId>,
    /// Only this act, such as log-in
    #[arg(long, value_name = "ACT")]
    act: Option<String>,
    /// Only what is about this account, join token or upload
    #[arg(long, value_name = "ID")]
    object: Option<ObjectId>,
    /// Only what ended so
    #[arg(long, value_enum)]
    outcome: Option<Outcome>,
    /// Only what was at this moment or later
    #[arg(long, value_name = "TIME")]
    from: Option<LogTime>,
    /// Only what was before this moment
    #[arg(long, value_name = "TIME")]
    to: Option<LogTime>,
    /// Records at most
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

/// What became of an act.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Outcome {
    /// It was done
    Done,
    /// It is in the log, and was not decided on at once
    Asked,
    /// It was not allowed
    Denied,
    /// It may have been done
    Unknown,
}

impl From<Outcome> for AuditOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::Done,
            Outcome::Asked => Self::Asked,
            Outcome::Denied => Self::Denied,
            Outcome::Unknown => Self::Unknown,
        }
    }
}

pub(crate) async fn run(args: AuditArgs, session: &Session) -> anyhow::Result<Done> {
    let client = session.client()?;
    let AuditArgs { pool, actor, act, object, outcome, from, to, limit } = args;
    let outcome = outcome.map(Into::into);
    let query = AuditQuery { pool, actor, act, object, outcome, from, to, ..AuditQuery::default() };
    let ask = async |page: PageAsk| client.audit(&query, &page).await;
    let heads = ["at", "who", "act", "outcome", "pool", "object", "times"];
    session.print.rows(heads, &session.pages(limit, ask).await?, row)?;
    Ok(Done::Whole)
}

fn row(record: &AuditView) -> [String; 7] {
    let who = match (&record.actor_name, record.actor) {
        (Some(name), _) => name.to_string(),
        (None, actor) => or_dash(actor),
    };
    let outcome = match &record.reason {
        Some(reason) => format!("{}: {reason}", word(&record.outcome)),
        None => word(&record.outcome),
    };
    [
        record.at.to_string(),
        if record.platform_admin { format!("{who}, as platform admin") } else { who },
        record.act.to_string(),
        outcome,
        or_dash(record.pool.as_ref()),
        or_dash(record.object),
        record.times.to_string(),
    ]
}
