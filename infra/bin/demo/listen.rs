//! A member that listens: fetches each result, checks it, keeps it and acknowledges it.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use anyhow::{Context as _, ensure};
use client::{Heard, PageAsk, Progress, fresh};
use futures_util::StreamExt as _;
use schemas::api::{DeliveryState, Notice, ResultView};
use schemas::event::{CloseReason, Closed};
use schemas::id::ResultId;
use schemas::time::Wall;

use super::tell::{count, seconds, short, span};
use super::troupe::{Member, Part, Troupe};
use crate::print::{bytes, word};

impl Troupe {
    /// Listens until the member belongs to the pool no longer.
    pub(super) async fn listen(&self, member: &Member) -> anyhow::Result<()> {
        let mut has = BTreeSet::new();
        let mut notices = member.client.notices(&self.pool, None);
        while let Some(heard) = notices.next().await {
            match heard.with_context(|| member.name.clone())? {
                Heard::Connected => self.catch_up(member, &mut has).await?,
                Heard::Notice { notice: Notice::Result { result }, .. } => {
                    self.receive(member, &result, &mut has).await?;
                }
                Heard::Notice { notice, .. } if member.part == Part::Owner => self.hear(notice),
                Heard::Notice { .. } => {}
            }
        }
        self.tell.step(member.name.as_str(), "is no member any more");
        Ok(())
    }

    /// What was published while the member did not listen.
    async fn catch_up(&self, member: &Member, has: &mut BTreeSet<ResultId>) -> anyhow::Result<()> {
        let mut page = PageAsk::default();
        loop {
            let pending = member.client.pending_results(&self.pool, &page).await?;
            for result in &pending.items {
                self.receive(member, result, has).await?;
            }
            page.cursor = pending.next_cursor;
            if page.cursor.is_none() {
                return Ok(());
            }
        }
    }

    async fn receive(
        &self,
        member: &Member,
        result: &ResultView,
        has: &mut BTreeSet<ResultId>,
    ) -> anyhow::Result<()> {
        if !has.insert(result.result) {
            return Ok(());
        }
        let start = result.window.start.to_string().replace(':', "-");
        let name = format!("{start}_{}.{}_{}", result.part, result.revision, result.name);
        let named = || format!("{}: result {}", member.name, result.result);
        let (client, pool) = (&member.client, &self.pool);
        let (path, silent) = (member.folder.join(name), Progress::none());
        // Fails when the bytes have another digest.
        client.fetch_result(pool, result, &path, &silent).await.with_context(named)?;
        let receipt = client.acknowledge(pool, result.result, result.sha256).await;
        let receipt = receipt.with_context(named)?;
        ensure!(receipt.state == DeliveryState::Acknowledged, "{}: {:?}", named(), receipt.state);
        self.received(member, result);
        Ok(())
    }

    /// Tells of the first result member by member, of the others once all have them.
    fn received(&self, member: &Member, result: &ResultView) {
        let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = arrived.keys().all(|other| *other == result.result);
        let receipts = arrived.entry(result.result).or_default();
        *receipts += 1;
        let after = fresh::now().since(Wall::from_millis(result.published_at.millis()));
        let (window, revision) = (span(result.window), result.revision);
        let (what, after) = (format!("{window}, revision {revision}"), seconds(after));
        if is_first {
            let (name, size) = (&result.name, bytes(result.size_bytes));
            let told =
                format!("has {name} of {what}: {size}, digest right, receipt after {after:.2} s");
            self.tell.step(member.name.as_str(), &told);
        }
        if *receipts == self.members.len() {
            let told = format!("has the result of {what}: {receipts} receipts within {after:.2} s");
            self.tell.step("everyone", &told);
        }
    }

    /// What the owner hears.
    fn hear(&self, notice: Notice) {
        match notice {
            Notice::Batch { closed } => self.tell.step("server", &self.closed(&closed)),
            Notice::BatchFailed { batch, reason } => {
                let reason = reason.unwrap_or_default();
                self.tell.step("server", &format!("gives up batch {}: {reason}", short(batch)));
            }
            _ => {}
        }
    }

    fn closed(&self, closed: &Closed) -> String {
        let (window, batch, revision) = (span(closed.window), closed.batch, closed.revision);
        let held = format!("{}, {}", count(closed.files, "file"), bytes(closed.bytes));
        if revision > 1 {
            return format!(
                "amends window {window}, for late files: {held}\nbatch {batch}, revision {revision}"
            );
        }
        let why = match closed.reason {
            CloseReason::WindowEnd => "most clients have gone past its end",
            CloseReason::MaxWait => "nothing newer came, and it has waited long enough",
            CloseReason::Asked => "it was asked to",
            other => &word(&other),
        };
        let missing: Vec<_> = closed.missing.iter().map(|id| self.name(*id)).collect();
        let missing = if missing.is_empty() { "nobody".to_owned() } else { missing.join(", ") };
        let (reported, expected) = (closed.reported, closed.expected);
        format!(
            "closes window {window}: {why}\n{held}, from {reported} of {expected} contributors; \
             missing: {missing}\nbatch {batch}, revision 1"
        )
    }
}
