//! Many files as one unit: all are taken or none.

use anyhow::Context as _;
use client::{OnInvalid, Source, Update, UpdateFile, fresh};

use super::{PushArgs, name_of, print};
use crate::bars::Bars;
use crate::outcome::Done;
use crate::receipts::Pushed;
use crate::session::Session;

pub(super) async fn run(args: &PushArgs, session: &Session) -> anyhow::Result<Done> {
    let client = session.client()?;
    let shelf = args.shelf(&client).await?;
    let mut files = Vec::with_capacity(args.files.len());
    for file in &args.files {
        let observed_at = args.time_of(file, true)?.context("a time")?;
        files.push(UpdateFile {
            source: Source::file(file).await?,
            name: name_of(file)?,
            media_type: args.type_of(file),
            observed_at,
        });
    }
    let bytes = files.iter().map(|file| file.source.size_bytes()).sum();
    let key = args.key.clone().unwrap_or_else(fresh::key);
    let update = Update { files, sent_at: None, on_invalid: OnInvalid::Refuse, key };
    let (bar, progress) = Bars::new(session.draws()).bar("update", bytes);
    let receipt = client.update(&args.of.pool, &update, &progress).await;
    bar.finish_and_clear();
    let receipt = receipt?;
    for (file, item) in args.files.iter().zip(&receipt.items) {
        print(session, shelf.as_ref(), &Pushed { file, receipt: item })?;
    }
    Ok(Done::Whole)
}
