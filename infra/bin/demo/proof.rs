//! Whether everything has arrived: asked of the server, not remembered.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use client::{PageAsk, fresh};
use schemas::api::{BatchView, DeliveriesView, DeliveryState, ResultView, UploadState};

use super::play::FILES;
use super::tell::{seconds, span};
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
        self.tell.title("What the server says");
        for member in self.all(Part::Offline) {
            self.by_own_times(member).await?;
        }
        self.table(&delivered);
        let clients = self.members.iter().filter(|member| member.part.is_client()).count();
        self.tell.text(&format!(
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
            if view.entitled != self.members.len() as u64 || view.acknowledged < view.entitled {
                let (has, all) = (view.acknowledged, self.members.len());
                return Ok(Err(format!("{has} of {all} members have result {}", result.result)));
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
        self.tell.text(&format!(
            "{}: one update of 3 files, in 3 windows by their own times: {}",
            member.name,
            spans.join(", ")
        ));
        Ok(())
    }

    /// Seconds from each result's publication to each member's receipt.
    fn table(&self, delivered: &[Delivered]) {
        self.tell.text("\nReceipts, in seconds after the publication of each result:");
        let head = |(result, _): &Delivered| {
            let start = span(result.window);
            format!(
                "{:>12}",
                format!("{} r{}", start.get(..8).unwrap_or_default(), result.revision)
            )
        };
        let heads: String = delivered.iter().map(head).collect();
        self.tell.text(&format!("{:<12}{heads}", "member"));
        for member in &self.members {
            let cell = |(result, view): &Delivered| {
                let of_member = view.items.iter().find(|delivery| delivery.member == member.id);
                let acknowledged =
                    of_member.filter(|delivery| delivery.state == DeliveryState::Acknowledged);
                let text = acknowledged.and_then(|delivery| delivery.at).map_or_else(
                    || "none".to_owned(),
                    |at| format!("{:.3}", seconds(at.since(result.published_at))),
                );
                format!("{text:>12}")
            };
            let cells: String = delivered.iter().map(cell).collect();
            self.tell.text(&format!("{:<12}{cells}", member.name.as_str()));
        }
    }
}
