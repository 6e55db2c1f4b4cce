//! By way of a spool: what cannot be sent now is sent by the next push.

use std::path::Path;

use anyhow::Context as _;
use client::spool::{Bounds, Flushed, ItemFacts, Spool};
use serde_json::json;

use super::{PushArgs, name_of};
use crate::bars::Bars;
use crate::outcome::{Done, tell};
use crate::session::Session;

pub(super) async fn run(args: &PushArgs, folder: &Path, session: &Session) -> anyhow::Result<Done> {
    let spool = Spool::open(folder, Bounds::default())?;
    let pool = &args.of.pool;
    for file in &args.files {
        let facts = ItemFacts {
            pool: pool.clone(),
            name: name_of(file)?,
            observed_at: args.time_of(file, true)?.context("a time")?,
            media_type: args.type_of(file),
        };
        spool.add(file, facts).await.with_context(|| file.display().to_string())?;
    }
    // Files are safe by now: whatever is wrong with sending them is told, and is no failure.
    let flushed = match session.client() {
        Ok(client) => {
            let items = spool.items()?;
            let waiting = items.iter().filter(|item| item.facts.pool == *pool);
            let bytes = waiting.map(|item| item.size_bytes).sum();
            let (bar, progress) = Bars::new(session.draws()).bar("spool", bytes);
            let flushed = spool.flush(&client, pool, &progress).await;
            bar.finish_and_clear();
            flushed?
        }
        Err(error) => {
            tell(&error, session);
            Flushed::default()
        }
    };
    let Flushed { sent, refused, left, .. } = flushed;
    if let Some(left) = left {
        tell(&anyhow::Error::from(left).context("not sent"), session);
    }
    let waiting = spool.items()?.iter().filter(|item| item.facts.pool == *pool).count();
    let (spooled, aside) = (args.files.len(), refused.len());
    let told = json!({ "spooled": spooled, "sent": sent, "refused": refused, "waiting": waiting });
    session.print.object(&told, |_| {
        let aside = if aside == 0 { String::new() } else { format!(", {aside} refused") };
        format!("{sent} sent, {waiting} waiting{aside}")
    })?;
    Ok(if waiting == 0 && aside == 0 { Done::Whole } else { Done::InPart })
}
