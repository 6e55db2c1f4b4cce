//! `sluice deliveries`: who has a result, and who has not.

use clap::Args;
use client::PageAsk;
use schemas::api::{DeliveryView, Page};
use schemas::id::ResultId;

use crate::outcome::Done;
use crate::print::{or_dash, word};
use crate::session::{OfPool, Session};

/// Show who has a result
#[derive(Args, Debug)]
pub(crate) struct DeliveriesArgs {
    #[command(flatten)]
    of: OfPool,
    /// The result [default: the pool's latest]
    result: Option<ResultId>,
    /// Only those who have not acknowledged it
    #[arg(long)]
    missing: bool,
    /// Members at most
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
}

pub(crate) async fn run(args: DeliveriesArgs, session: &Session) -> anyhow::Result<Done> {
    let (client, pool) = (session.client()?, &args.of.pool);
    let result = match args.result {
        Some(result) => result,
        None => client.latest_result(pool).await?.result,
    };
    let (reader, missing) = (&client, args.missing);
    let ask = async |page: PageAsk| {
        let view = reader.deliveries(pool, result, missing, &page).await?;
        Ok(Page { items: view.items, next_cursor: view.next_cursor })
    };
    let members = session.pages(args.limit, ask).await?;
    session.print.rows(["member", "name", "state", "since"], &members, row)?;
    let view = client.deliveries(pool, result, true, &PageAsk { cursor: None, limit: Some(1) });
    let view = view.await?;
    let (has, all) = (view.acknowledged, view.entitled);
    session.print.note(&format!("{has} of {all} members have result {result}"));
    Ok(Done::Whole)
}

fn row(delivery: &DeliveryView) -> [String; 4] {
    [
        delivery.member.to_string(),
        or_dash(delivery.user_name.as_ref()),
        word(&delivery.state),
        or_dash(delivery.at),
    ]
}
