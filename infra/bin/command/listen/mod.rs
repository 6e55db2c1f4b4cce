//! `sluice listen`: receives the results of a pool as they come, and those that came meanwhile.

mod shelf;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use client::{Client, Error, Heard, PageAsk, Source, fresh};
use futures_util::StreamExt as _;
use schemas::api::{DeliveryState, Notice, ResultView};
use schemas::name::PoolName;
use schemas::problem::Code;
use serde::Serialize;

use crate::bars::Bars;
use crate::outcome::{Done, tell};
use crate::session::{OfPool, Session};
use shelf::Shelf;

/// Longest pause before the server is asked once more.
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// Receive results
///
/// Each is fetched, checked, written and acknowledged, the oldest first; what came while nobody
/// listened comes first of all. Where it has got to is remembered in the folder.
#[derive(Args, Debug)]
pub(crate) struct ListenArgs {
    #[command(flatten)]
    of: OfPool,
    /// The folder results are written to
    #[arg(long, value_name = "DIR")]
    save: PathBuf,
    /// Only the pool's latest result, under its own name, replacing the one before
    #[arg(long)]
    latest: bool,
    /// End once there is nothing more to receive, and at least one was received
    #[arg(long)]
    once: bool,
}

/// A result that is here.
#[derive(Serialize)]
struct Received<'a> {
    path: &'a Path,
    #[serde(flatten)]
    result: &'a ResultView,
}

pub(crate) async fn run(args: ListenArgs, session: &Session) -> anyhow::Result<Done> {
    let client = session.client()?;
    let shelf = Shelf::open(args.save, args.of.pool, args.latest)?;
    let bars = Bars::new(session.draws());
    let mut listener = Listener { session, client, shelf, bars, received: 0, failed: 0 };
    let mut notices = listener.client.notices(&listener.shelf.pool().clone(), None);
    loop {
        let heard = tokio::select! {
            biased;
            () = session.stop.cancelled() => break,
            heard = notices.next() => heard,
        };
        match heard.transpose()? {
            // What was published up to now is in the lists, what comes from now on is heard.
            Some(Heard::Connected) => {
                listener.catch_up().await?;
                listener.receive_again().await?;
            }
            Some(Heard::Notice { notice: Notice::Redelivery { .. }, .. }) => {
                listener.receive_again().await?;
            }
            Some(Heard::Notice { notice: Notice::ResultWithdrawn { result, .. }, .. }) => {
                session.print.note(&format!("result {result} was withdrawn: do not use it"));
            }
            Some(Heard::Notice { notice: Notice::Result { result }, .. }) => {
                listener.receive(&result).await?;
            }
            Some(Heard::Notice { .. }) => {}
            None => anyhow::bail!("you are no member of {} any more", listener.shelf.pool()),
        }
        if args.once && listener.received + listener.failed > 0 {
            break;
        }
    }
    Ok(if listener.failed == 0 { Done::Whole } else { Done::InPart })
}

struct Listener<'a> {
    session: &'a Session,
    client: Client,
    shelf: Shelf,
    bars: Bars,
    received: u64,
    failed: u64,
}

impl Listener<'_> {
    /// Receives what was published while nobody listened.
    async fn catch_up(&mut self) -> anyhow::Result<()> {
        let pool = self.shelf.pool().clone();
        if self.shelf.wants_latest_only() {
            return match self.patiently(async |client| client.latest_result(&pool).await).await {
                Ok(result) => self.receive(&result).await,
                Err(error) if is_gone(&error) => Ok(()),
                Err(error) => Err(error.into()),
            };
        }
        let (after, mut page) = (self.shelf.after(), PageAsk::default());
        loop {
            let ask = async |client: &Client| match after {
                Some(after) => client.results_after(&pool, Some(after), &page).await,
                // At first: whatever is the caller's and has not been acknowledged.
                None => client.pending_results(&pool, &page).await,
            };
            let results = self.patiently(ask).await?;
            for result in &results.items {
                self.receive(result).await?;
                if self.session.stop.is_cancelled() {
                    return Ok(());
                }
            }
            page.cursor = results.next_cursor;
            if page.cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// Fetches, checks, keeps and acknowledges a result, unless that was done before.
    async fn receive(&mut self, result: &ResultView) -> anyhow::Result<()> {
        if !self.shelf.lacks(result) {
            return Ok(());
        }
        if !result.is_owed() {
            return self.shelf.note(result);
        }
        self.take(result).await
    }

    /// Receives what an admin asked to be delivered once more; a file that is still here is checked,
    /// not fetched.
    async fn receive_again(&mut self) -> anyhow::Result<()> {
        let (pool, mut page) = (self.shelf.pool().clone(), PageAsk::default());
        loop {
            let results =
                self.patiently(async |client| client.results_again(&pool, &page).await).await?;
            for result in &results.items {
                // Of the latest only the newest is kept.
                if !self.shelf.wants_latest_only() || self.shelf.is_newest(result) {
                    self.take(result).await?;
                }
            }
            page.cursor = results.next_cursor;
            if page.cursor.is_none() || self.session.stop.is_cancelled() {
                return Ok(());
            }
        }
    }

    async fn take(&mut self, result: &ResultView) -> anyhow::Result<()> {
        let (pool, path) = (self.shelf.pool().clone(), self.shelf.path(result));
        let found = match self.fetch(&pool, result, &path).await {
            Ok(()) => result.sha256,
            Err(Error::OtherBytes { found, .. }) => found,
            Err(error) if is_gone(&error) => return self.miss(result, error),
            Err(error) => return Err(error.into()),
        };
        let id = result.result;
        let acknowledge = async |client: &Client| client.acknowledge(&pool, id, found).await;
        let receipt = self.patiently(acknowledge).await?;
        if receipt.state != DeliveryState::Acknowledged {
            let error = Error::OtherBytes { expected: result.sha256, found };
            return self.miss(result, error);
        }
        self.shelf.note(result)?;
        self.received += 1;
        self.session.print.object(&Received { path: &path, result }, |received| {
            received.path.display().to_string()
        })
    }

    async fn fetch(&self, pool: &PoolName, result: &ResultView, path: &Path) -> client::Result<()> {
        // A process that was killed may have kept it and not noted it yet.
        if Source::file(path).await.is_ok_and(|there| there.sha256() == result.sha256) {
            return Ok(());
        }
        let (bar, progress) = self.bars.bar(result.name.as_str(), result.size_bytes);
        let fetch =
            async |client: &Client| client.fetch_result(pool, result, path, &progress).await;
        let fetched = self.patiently(fetch).await;
        bar.finish_and_clear();
        fetched
    }

    /// Goes on without a result that cannot be had: others must not wait for it.
    fn miss(&mut self, result: &ResultView, error: Error) -> anyhow::Result<()> {
        self.failed += 1;
        let error = anyhow::Error::from(error).context(format!("result {}", result.result));
        tell(&error, self.session);
        self.shelf.note(result)
    }

    /// Calls until there is an answer that waiting will not change.
    async fn patiently<T>(
        &self,
        call: impl AsyncFn(&Client) -> client::Result<T>,
    ) -> client::Result<T> {
        loop {
            match call(&self.client).await {
                Err(error) if error.retryable() && !self.session.stop.is_cancelled() => {
                    self.session.print.note(&format!("{error}; asking again"));
                    let asked = error.retry_after().unwrap_or_default();
                    tokio::select! {
                        () = self.session.stop.cancelled() => return Err(error),
                        () = tokio::time::sleep(asked + fresh::jitter(PAUSE_MAX)) => {}
                    }
                }
                answered => return answered,
            }
        }
    }
}

/// Whether there is nothing to be had, and never will be under this name.
fn is_gone(error: &Error) -> bool {
    let gone = [Code::NotFound, Code::ResultWithdrawn, Code::ContentErased];
    error.code().is_some_and(|code| gone.contains(&code))
}
