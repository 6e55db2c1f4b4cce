//! `sluice pool suspend|reinstate|give|tokens|revoke`: standing, ownership, join tokens.

use clap::{Subcommand, ValueEnum};
use client::{Client, PageAsk};
use schemas::api::TokenView;
use schemas::event::OpenWindows;
use schemas::id::{AccountId, TokenId};
use schemas::name::PoolName;

use super::roles;
use crate::print::or_dash;
use crate::session::Session;

/// What archiving does to what is not done yet.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Open {
    /// Open windows become batches, which can be worked on
    Close,
    /// Open windows and batches without a result are cancelled
    Cancel,
}

impl From<Open> for OpenWindows {
    fn from(open: Open) -> Self {
        match open {
            Open::Close => Self::Close,
            Open::Cancel => Self::Cancel,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum PeopleAct {
    /// Have a member do nothing until it is reinstated; its place and what waits for it stay
    Suspend {
        /// The pool
        name: PoolName,
        /// The account's id
        account: AccountId,
    },
    /// Have a suspended member go on
    Reinstate {
        /// The pool
        name: PoolName,
        /// The account's id
        account: AccountId,
    },
    /// Make another member the owner in your place; you are an admin then
    Give {
        /// The pool
        name: PoolName,
        /// The account's id
        account: AccountId,
    },
    /// Show join tokens, without their secrets
    Tokens {
        /// The pool
        name: PoolName,
        /// Tokens at most
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Have a join token be good no longer; who has joined by it stays
    Revoke {
        /// The pool
        name: PoolName,
        /// The token's id
        token: TokenId,
    },
}

pub(super) async fn run(act: PeopleAct, session: &Session, client: &Client) -> anyhow::Result<()> {
    let print = session.print;
    match act {
        PeopleAct::Suspend { name, account } => {
            client.suspend_member(&name, account).await?;
            print.note(&format!("{account} is suspended in {name}"));
        }
        PeopleAct::Reinstate { name, account } => {
            client.resume_member(&name, account).await?;
            print.note(&format!("{account} goes on in {name}"));
        }
        PeopleAct::Give { name, account } => {
            client.give_away(&name, account).await?;
            print.note(&format!("{account} is the owner of {name}; you are an admin"));
        }
        PeopleAct::Tokens { name, limit } => {
            let ask = async |page: PageAsk| client.join_tokens(&name, &page).await;
            let heads = ["token", "makes", "uses left", "until", "state"];
            print.rows(heads, &session.pages(limit, ask).await?, token_row)?;
        }
        PeopleAct::Revoke { name, token } => {
            client.revoke_token(&name, token).await?;
            print.note(&format!("{token} is good no longer"));
        }
    }
    Ok(())
}

fn token_row(token: &TokenView) -> [String; 5] {
    let state = match token {
        TokenView { revoked: true, .. } => "revoked",
        TokenView { uses_left: 0, .. } => "used up",
        _ => "-",
    };
    let (uses, until) = (token.uses_left.to_string(), or_dash(token.expires_at));
    [token.id.to_string(), roles(token.roles), uses, until, state.to_owned()]
}
