//! `sluice result`: the results of a pool, and what admins do about them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use client::{Offer, PageAsk, Source};
use schemas::api::{Redeliver, ResultView};
use schemas::id::{AccountId, ResultId};
use schemas::name::MediaType;

use super::push::{name_of, type_by_extension};
use crate::outcome::Done;
use crate::session::{OfPool, Session};

/// Show results; correct or withdraw one, or have some delivered once more
#[derive(Args, Debug)]
pub(crate) struct ResultArgs {
    #[command(subcommand)]
    act: ResultAct,
}

#[derive(Debug, Subcommand)]
enum ResultAct {
    /// Show results, in the order they came
    List {
        #[command(flatten)]
        of: OfPool,
        /// Only those after this sequence number
        #[arg(long, value_name = "SEQ")]
        after: Option<u64>,
        /// Results at most
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
    },
    /// Put a file in the place of the newest result of a batch: all members get it; for owners and
    /// admins
    Correct {
        #[command(flatten)]
        of: OfPool,
        /// The result that is wrong
        result: ResultId,
        /// The file
        file: PathBuf,
        /// What it is [default: by its extension]
        #[arg(long = "type", value_name = "MEDIA_TYPE")]
        media_type: Option<MediaType>,
    },
    /// Have a result be given out no more; for owners and admins
    Withdraw {
        #[command(flatten)]
        of: OfPool,
        /// The result
        result: ResultId,
    },
    /// Have results be delivered once more, though they were acknowledged; for owners and admins
    Redeliver {
        #[command(flatten)]
        of: OfPool,
        /// From this sequence number on
        #[arg(long, value_name = "SEQ")]
        from: u64,
        /// To this member only
        #[arg(long, value_name = "ID")]
        member: Option<AccountId>,
    },
}

pub(crate) async fn run(args: ResultArgs, session: &Session) -> anyhow::Result<Done> {
    let (client, print) = (session.client()?, session.print);
    match args.act {
        ResultAct::List { of, after, limit } => {
            let reader = &client;
            let ask = async |page: PageAsk| reader.results_after(&of.pool, after, &page).await;
            let results = session.pages(limit, ask).await?;
            let heads = ["seq", "window from", "part", "revision", "result", "name", "state"];
            print.rows(heads, &results, row)?;
        }
        ResultAct::Correct { of, result, file, media_type } => {
            let media_type = media_type.unwrap_or_else(|| type_by_extension(&file));
            let offer = Offer::new(name_of(&file)?, media_type, Source::file(&file).await?);
            let receipt = client.correct_result(&of.pool, result, &offer).await?;
            print.object(&receipt, |receipt| receipt.result.to_string())?;
        }
        ResultAct::Withdraw { of, result } => {
            client.withdraw_result(&of.pool, result).await?;
            print.note(&format!("{result} is given out no more"));
        }
        ResultAct::Redeliver { of, from: from_seq, member } => {
            client.redeliver(&of.pool, &Redeliver { member, from_seq }).await?;
            print.note("members that listen get them now, the others when they come");
        }
    }
    Ok(Done::Whole)
}

fn row(result: &ResultView) -> [String; 7] {
    [
        result.seq.to_string(),
        result.window.start.to_string(),
        result.part.to_string(),
        result.revision.to_string(),
        result.result.to_string(),
        result.name.to_string(),
        state(result),
    ]
}

fn state(result: &ResultView) -> String {
    match (result.withdrawn_at, result.corrected_by, result.correction) {
        (Some(_), ..) => "withdrawn".to_owned(),
        (None, Some(by), _) => format!("corrected by {by}"),
        (None, None, 0) => "-".to_owned(),
        (None, None, n) => format!("correction {n}"),
    }
}
