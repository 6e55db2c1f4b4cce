//! Groups of files that have no window yet, as they would be cut now. Which batch a file goes into
//! is said by the batcher; this only shows what waits.

use std::collections::BTreeSet;

use infra::http::Refused;
use infra::table::{Cell, Field as _};
use schemas::api::{WindowState, WindowView};
use schemas::event::PolicyCopied;
use schemas::id::AccountId;
use schemas::name::PoolName;
use schemas::policy::Gap;
use schemas::time::{EffectiveAt, LogTime};

use super::Reading;
use super::windows::{Contributors, explain};
use crate::project::GatheringRow;

/// Rows that are read in one go.
const FILES_PAGE: usize = 5_000;

/// The pool's groups, the newest first.
pub(super) async fn groups(
    reading: &Reading,
    pool: &PoolName,
    policy: &PolicyCopied,
    contributors: &Contributors,
) -> Result<Vec<WindowView>, Refused> {
    let mut files = Vec::new();
    let mut after: Option<Vec<Cell>> = None;
    loop {
        let key = [pool.clone().cell()];
        let (rows, more) = reading.tables.some::<GatheringRow>(key, after, FILES_PAGE).await?;
        after = rows.last().map(|row| vec![row.upload.cell()]);
        files.extend(rows);
        if !more || after.is_none() {
            break;
        }
    }
    files.sort_unstable_by_key(|file| (file.at, file.client, file.upload));
    let mut views = Vec::new();
    // A group lies within one version of the policy, and each version cuts its own.
    for files in files.chunk_by(|a, b| version(policy, a.at) == version(policy, b.at)) {
        let gap = files.first().and_then(|file| policy.grouping(file.at).0.windows.gap());
        let gap = gap.unwrap_or(Gap { gap_ms: 0, max_span_ms: 0 });
        let mut rest = files;
        for count in gap.cut(files.iter().map(|file| file.at)) {
            let (group, left) = rest.split_at(count);
            rest = left;
            views.extend(view(policy, gap, group, contributors));
        }
    }
    views.reverse();
    let now = reading.now();
    for view in &mut views {
        explain(view, policy, contributors, now);
    }
    Ok(views)
}

fn version(policy: &PolicyCopied, at: EffectiveAt) -> u32 {
    let before = policy.before.as_ref().filter(|_| at < policy.effective_from);
    before.map_or(policy.version, |before| before.version)
}

fn view(
    policy: &PolicyCopied,
    gap: Gap,
    group: &[GatheringRow],
    contributors: &Contributors,
) -> Option<WindowView> {
    let (first, last) = (group.first()?.at, group.last()?.at);
    let close = &policy.grouping(first).0.close;
    let window = gap.window(first, last);
    let clients: BTreeSet<AccountId> = group.iter().map(|file| file.client).collect();
    let closes_at = window.end.plus(close.grace_ms);
    let held_back_ms = close.minimum.map_or(0, |minimum| minimum.wait_ms);
    let latest = LogTime::from_millis(closes_at.millis()).plus(close.max_wait_ms);
    let (missing, missing_count) = contributors.without(&clients);
    Some(WindowView {
        window,
        part: 1,
        batch: None,
        policy_version: version(policy, first),
        state: WindowState::Gathering,
        files: u32::try_from(group.len()).unwrap_or(u32::MAX),
        bytes: group.iter().map(|file| file.size_bytes).sum(),
        reported: u32::try_from(clients.len()).unwrap_or(u32::MAX),
        missing,
        missing_count,
        closes_at: Some(closes_at),
        closes_at_latest: Some(latest.plus(held_back_ms)),
        closed_because: None,
        closes_when: None,
        closes_next: None,
    })
}
