//! Whether everything has arrived: asked of the server, not remembered.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use client::{PageAsk, fresh};
use schemas::api::{
    BatchView, DeliveriesView, DeliveryState, DeliveryView, ResultView, UploadState,
};

use super::play::FILES;
use super::tell::{say, seconds, span, title};
use super::troupe::{Member, Part, Troupe};

/// How long is waited for the last receipt.
const WAIT_MS_MAX: u64 = 60_000;
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A result, and who has it.
type Delivered = (ResultView, DeliveriesView);

impl Troupe {
    /// Waits until every file is in a batch, every batch has its result and every member every
    /// result; then shows it. An error says what is missing.
    pub(super) async fn prove(&self) -> anyhow::Result<()> {
        let began = fresh::now();
        let delivered = loop {
            match self.look().await? {
                Ok(delivered) => break delivered,
                Err(missing) if fresh::now().since(began) > WAIT_MS_MAX => {
                    bail!("after {} s: {missing}", WAIT_MS_MAX / 1_000);
                }
                Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        };
        // The last lines of those who have just heard of it.
        tokio::time::sleep(LOOK_EVERY).await;
        title("What the server says");
        for member in self.all(Part::Offline) {
            self.by_own_times(member).await?;
        }
        self.table(&delivered);
        let clients = self.members.iter().filter(|member| member.part.is_client()).count();
        say(&format!(
            "\n{clients} of {clients} clients have each of the {} results with a receipt; so have ada \
             and the worker.\n{FILES} of {FILES} files are in batches that have their result. It took {:.0} s.",
            delivered.len(),
            self.tell.seconds(),
        ));
        Ok(())
    }

    /// All results and who has them, or what is missing.
    async fn look(&self) -> anyhow::Result<Result<Vec<Delivered>, String>> {
        let owner = &self.one(Part::Owner)?.client;
        let page = PageAsk { cursor: None, limit: Some(1_000) };
        let batches = owner.batches(&self.pool, &page).await?.items;
        let files: u32 = batches.iter().map(|batch| batch.files).sum();
        if files < FILES {
            return Ok(Err(format!("{files} of {FILES} files are in batches")));
        }
        let lacks = |batch: &&BatchView| batch.result_revision != Some(batch.revision);
        if let Some(batch) = batches.iter().find(lacks) {
            let (batch, revision) = (batch.batch, batch.revision);
            return Ok(Err(format!("batch {batch}, revision {revision}, has no result")));
        }
        let mut delivered = Vec::new();
        for result in owner.results_after(&self.pool, None, &page).await?.items {
            let view = owner.deliveries(&self.pool, result.result, false, &page).await?;
            let lacks = |member: &&Member| receipt(&view, member).is_none();
            let lacking: Vec<_> = self.members.iter().filter(lacks).collect();
            if !lacking.is_empty() {
                let names: Vec<_> = lacking.iter().map(|member| member.name.as_str()).collect();
                let (names, id) = (names.join(", "), result.result);
                return Ok(Err(format!("no receipt of result {id} from {names}")));
            }
            delivered.push((result, view));
        }
        Ok(Ok(delivered))
    }

    /// The files of one update lie in windows of their own, by the times they were made.
    async fn by_own_times(&self, member: &Member) -> anyhow::Result<()> {
        let history = member.client.history(&self.pool, member.id, &PageAsk::default()).await?;
        let mut windows = BTreeSet::new();
        for file in history.items.iter().rev() {
            let observed_at = file.observed_at.context("a time")?;
            ensure!(
                file.effective_at.millis() == observed_at.millis()
                    && file.window.contains(file.effective_at)
                    && file.state == UploadState::Batched,
                "{} of {} is in window {}",
                file.name,
                member.name,
                span(file.window)
            );
            windows.insert(file.window);
        }
        let spans: Vec<_> = windows.iter().map(|window| span(*window)).collect();
        ensure!(windows.len() == 3, "{}'s files are in {}", member.name, spans.join(", "));
        say(&format!(
            "{}: one update of 3 files, in 3 windows by their own times: {}",
            member.name,
            spans.join(", ")
        ));
        Ok(())
    }

    /// Seconds from each result's publication to each member's receipt.
    fn table(&self, delivered: &[Delivered]) {
        say("\nReceipts, in seconds after the publication of each result:");
        let head = |(result, _): &Delivered| {
            let start = span(result.window);
            format!(
                "{:>12}",
                format!("{} r{}", start.get(..8).unwrap_or_default(), result.revision)
            )
        };
        let heads: String = delivered.iter().map(head).collect();
        say(&format!("{:<12}{heads}", "member"));
        for member in &self.members {
            let cell = |(result, view): &Delivered| {
                let acknowledged = receipt(view, member);
                let text = acknowledged.and_then(|delivery| delivery.at).map_or_else(
                    || "none".to_owned(),
                    |at| format!("{:.3}", seconds(at.since(result.published_at))),
                );
                format!("{text:>12}")
            };
            let cells: String = delivered.iter().map(cell).collect();
            say(&format!("{:<12}{cells}", member.name.as_str()));
        }
    }
}

/// What the server says of a member that has acknowledged a result.
fn receipt<'a>(view: &'a DeliveriesView, member: &Member) -> Option<&'a DeliveryView> {
    let of_member = view.items.iter().find(|delivery| delivery.member == member.id);
    of_member.filter(|delivery| delivery.state == DeliveryState::Acknowledged)
}
