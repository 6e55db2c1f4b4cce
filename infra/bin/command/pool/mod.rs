//! `sluice pool`: making pools, looking at them, letting people in.

mod people;
mod policy;
mod webhook;

use clap::{Args, Subcommand};
use client::PageAsk;
use schemas::api::{CreatePool, IssueToken, MemberView, PoolView, WindowState, WindowView};
use schemas::id::AccountId;
use schemas::name::PoolName;
use schemas::policy::{Policy, Windows};
use schemas::role::{Role, RoleSet};
use schemas::time::EffectiveAt;

use crate::outcome::Done;
use crate::print::{bytes, or_dash, word};
use crate::session::Session;
use crate::span::{Span, spoken};

/// Make pools, look at them, let people in
#[derive(Args, Debug)]
pub(crate) struct PoolArgs {
    #[command(subcommand)]
    act: PoolAct,
}

#[derive(Debug, Subcommand)]
enum PoolAct {
    /// Make a pool; you are its owner
    Create {
        /// A name never used before: a-z, 0-9 and -
        name: PoolName,
        #[command(flatten)]
        policy: policy::PolicyArgs,
    },
    /// Show the pools you are in
    List {
        /// Pools at most
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show a pool's rules and your roles in it
    Show {
        /// The pool
        name: PoolName,
    },
    /// Show or replace a pool's rules
    #[command(subcommand)]
    Policy(policy::PolicyAct),
    /// Show windows, newest first: when each closes, why it closed, who is missing
    Windows {
        /// The pool
        name: PoolName,
        /// Windows at most
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Close the open windows now
    Close {
        /// The pool
        name: PoolName,
        /// Only the window of this moment (RFC 3339)
        #[arg(long, value_name = "TIME")]
        at: Option<EffectiveAt>,
    },
    /// Make a join token. It is shown this once
    Token {
        /// The pool
        name: PoolName,
        /// What those who redeem it become: contributor, listener, processor or analyst
        #[arg(long = "role", required = true, value_name = "ROLE")]
        roles: Vec<Role>,
        /// How often it may be redeemed
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// How long it is good, such as 7d [default: for ever]
        #[arg(long = "for", value_name = "SPAN")]
        life: Option<Span>,
    },
    /// Have windows close no more until the pool is resumed; files are taken as ever
    Pause {
        /// The pool
        name: PoolName,
    },
    /// Have windows close again
    Resume {
        /// The pool
        name: PoolName,
    },
    /// Have the pool take nothing more, for ever
    Archive {
        /// The pool
        name: PoolName,
        /// What becomes of what is not done yet
        #[arg(long, value_enum)]
        open_windows: people::Open,
    },
    #[command(flatten)]
    People(people::PeopleAct),
    #[command(subcommand)]
    Webhook(webhook::WebhookAct),
    /// Show who belongs to a pool
    Members {
        /// The pool
        name: PoolName,
        /// Members at most
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
    },
    /// Make an account a member with these roles, or give a member these roles
    Add {
        /// The pool
        name: PoolName,
        /// The account's id
        account: AccountId,
        /// Owner, admin, contributor, listener, processor or analyst; once for each
        #[arg(long = "role", required = true, value_name = "ROLE")]
        roles: Vec<Role>,
    },
    /// End a membership
    Remove {
        /// The pool
        name: PoolName,
        /// The account's id
        account: AccountId,
    },
}

pub(crate) async fn run(args: PoolArgs, session: &Session) -> anyhow::Result<Done> {
    let client = session.client()?;
    let (reader, print) = (&client, session.print);
    match args.act {
        PoolAct::Create { name, policy } => {
            let policy = policy.read()?;
            show(&client.create_pool(&CreatePool { name, policy }).await?, session)?;
        }
        PoolAct::List { limit } => {
            let pools = session.pages(limit, async |page: PageAsk| reader.pools(&page).await);
            print.rows(["pool", "your roles", "members", "every"], &pools.await?, pool_row)?;
        }
        PoolAct::Show { name } => show(&client.pool(&name).await?, session)?,
        PoolAct::Policy(act) => policy::run(act, session).await?,
        PoolAct::Windows { name, limit } => {
            let ask = async |page: PageAsk| reader.windows(&name, &page).await;
            let heads = ["from", "to", "part", "files", "size", "reported", "missing", "closes"];
            print.rows(heads, &session.pages(limit, ask).await?, window_row)?;
        }
        PoolAct::Close { name, at } => {
            client.close_window(&name, at).await?;
            print.note("closing");
        }
        PoolAct::Pause { name } => {
            client.pause(&name).await?;
            print.note("paused: files are taken, no window closes");
        }
        PoolAct::Resume { name } => {
            client.resume(&name).await?;
            print.note("resumed");
        }
        PoolAct::Archive { name, open_windows } => {
            client.archive(&name, open_windows.into()).await?;
            print.note(&format!("{name} is archived: what is there stays, nothing more is taken"));
        }
        PoolAct::People(act) => people::run(act, session, &client).await?,
        PoolAct::Webhook(act) => webhook::run(act, session, &client).await?,
        PoolAct::Token { name, roles, uses, life } => {
            let expires_in_s = life.map(|span| span.millis.div_ceil(1_000));
            let ask = IssueToken { roles: RoleSet::of(&roles), uses_max: uses, expires_in_s };
            let issued = client.issue_token(&name, &ask).await?;
            print.object(&issued, |issued| issued.token.clone())?;
            print.note(&format!("give it to those who are to join: sluice join {name} TOKEN"));
            print.note(&format!("to revoke it: sluice pool revoke {name} {}", issued.id));
        }
        PoolAct::Members { name, limit } => {
            let ask = async |page: PageAsk| reader.members(&name, &page).await;
            let heads = ["member", "name", "roles"];
            print.rows(heads, &session.pages(limit, ask).await?, member_row)?;
        }
        PoolAct::Add { name, account, roles } => {
            client.add_member(&name, account, RoleSet::of(&roles)).await?;
            print.note(&format!("{account} is a member of {name}"));
        }
        PoolAct::Remove { name, account } => {
            client.remove_member(&name, account).await?;
            print.note(&format!("{account} is no member of {name} any more"));
        }
    }
    Ok(Done::Whole)
}

/// A pool with its rules, the ones people ask about in words.
fn show(pool: &PoolView, session: &Session) -> anyhow::Result<()> {
    session.print.object(pool, |pool| {
        let policy = &pool.policy;
        let windows = match &policy.windows {
            Windows::Grid { period_ms } => format!("grid of {}", spoken(*period_ms)),
            Windows::Tumbling { period_ms, .. } => format!("tumbling, {}", spoken(*period_ms)),
            Windows::Days { zone } => format!("days in {}", zone.name),
            Windows::Gap(gap) => {
                let (gap, span) = (spoken(gap.gap_ms), spoken(gap.max_span_ms));
                format!("groups with gaps up to {gap}, spans up to {span}")
            }
        };
        [
            ("pool", pool.name.to_string()),
            ("id", pool.id.to_string()),
            ("your roles", roles(pool.roles)),
            ("state", word(&pool.state)),
            ("members", pool.members.to_string()),
            ("windows", windows),
            ("send every", spoken(policy.update_every_ms)),
            ("grace", spoken(policy.close.grace_ms)),
            ("longest wait", spoken(policy.close.max_wait_ms)),
            ("close at files", or_dash(policy.close.count)),
            ("close at bytes", or_dash(policy.close.bytes.map(bytes))),
            ("close at quorum", quorum(policy)),
            ("close on schedule", or_dash(policy.close.schedule.as_ref().map(|s| &s.cron))),
            (
                "late files",
                format!("{}, up to {}", word(&policy.late.mode), spoken(policy.late.allowed_ms)),
            ),
            ("largest file", bytes(policy.files.size_bytes_max)),
            ("lease", spoken(policy.work.lease_ms)),
            ("attempts", policy.work.attempts_max.to_string()),
            ("new members get", word(&policy.on_join)),
            ("policy version", pool.policy_version.to_string()),
        ]
        .map(|(name, value)| format!("{name:16} {value}"))
        .join("\n")
    })
}

/// Roles as people read them.
pub(crate) fn roles(set: RoleSet) -> String {
    let names: Vec<String> = set.iter().map(|role| role.to_string()).collect();
    if names.is_empty() { "-".to_owned() } else { names.join(", ") }
}

fn pool_row(pool: &PoolView) -> [String; 4] {
    let every = spoken(pool.policy.update_every_ms);
    [pool.name.to_string(), roles(pool.roles), pool.members.to_string(), every]
}

fn member_row(member: &MemberView) -> [String; 3] {
    let rests = if member.suspended { " (suspended)" } else { "" };
    let is = format!("{}{rests}", roles(member.roles));
    [member.account.to_string(), or_dash(member.user_name.as_ref()), is]
}

fn window_row(window: &WindowView) -> [String; 8] {
    let closes = match (window.state, &window.closed_because) {
        (WindowState::Closed, because) => {
            format!("closed: {}", or_dash(because.as_ref().map(word)))
        }
        (WindowState::Cancelled | WindowState::Skipped | WindowState::Carried, _) => {
            word(&window.state)
        }
        (WindowState::Open | WindowState::Gathering, _) => {
            match (&window.closes_when, window.closes_at_latest) {
                (Some(when), _) => when.clone(),
                (None, latest) => format!("by {}", or_dash(latest)),
            }
        }
    };
    [
        window.window.start.to_string(),
        window.window.end.to_string(),
        window.part.to_string(),
        window.files.to_string(),
        bytes(window.bytes),
        window.reported.to_string(),
        window.missing_count.to_string(),
        closes,
    ]
}

/// A quorum in words.
fn quorum(policy: &Policy) -> String {
    let quorum = policy.close.quorum;
    or_dash(quorum.map(|q| format!("{} % of the {}", f64::from(q.permille) / 10.0, word(&q.of))))
}
