//! What closes a part that is open, in words, and which moment comes next.

use schemas::api::{NextClose, WindowView};
use schemas::event::CloseReason;
use schemas::policy::{Minimum, Policy, Quorum, QuorumOf, Windows};
use schemas::time::LogTime;

/// What closes it, in a sentence. `contributors` are all that the pool has.
pub(super) fn closes_when(
    policy: &Policy,
    view: &WindowView,
    contributors: usize,
    now: LogTime,
) -> String {
    let mut whens = Vec::new();
    if let Windows::Gap(gap) = policy.windows
        && view.batch.is_none()
    {
        let seconds = |millis: u64| format!("{}.{:03} s", millis / 1_000, millis % 1_000);
        let (gap, span) = (seconds(gap.gap_ms), seconds(gap.max_span_ms));
        whens.push(format!("no file may come within {gap} of its last and {span} of its first"));
    }
    if let Some(at) = view.closes_at {
        let share = f64::from(policy.watermark.quantile_permille) / 10.0;
        whens.push(format!("{share} % of the active contributors have passed {at}"));
    }
    if let Some(count) = policy.close.count {
        let missing = count.saturating_sub(view.files);
        whens.push(format!("it has {count} files ({} now, {missing} missing)", view.files));
    }
    if let Some(bytes) = policy.close.bytes {
        let missing = bytes.saturating_sub(view.bytes);
        whens.push(format!("it has {bytes} bytes ({} now, {missing} missing)", view.bytes));
    }
    if let Some(quorum) = policy.close.quorum {
        whens.push(of_quorum(quorum, view, contributors));
    }
    if let Some(schedule) = &policy.close.schedule {
        let next = schedule.next(now).map_or("never again".into(), |next| format!("next {next}"));
        let (cron, zone) = (&schedule.cron, &schedule.zone.name);
        whens.push(format!("the schedule {cron} says so ({zone}, {next})"));
    }
    if let Some(latest) = view.closes_at_latest {
        whens.push(format!("it is {latest}, whoever is missing"));
    }
    whens.push("an admin or the external server asks".to_owned());
    let when = format!("when {}", whens.join(", or "));
    match policy.close.minimum {
        Some(Minimum { files, clients, .. }) => {
            format!("{when}; with fewer than {files} files or {clients} clients it is held back")
        }
        None => when,
    }
}

fn of_quorum(Quorum { permille, of }: Quorum, view: &WindowView, contributors: usize) -> String {
    let (share, reported) = (f64::from(permille) / 10.0, view.reported);
    match of {
        QuorumOf::Active => {
            format!("{share} % of the active contributors have a file in it ({reported} now)")
        }
        QuorumOf::Expected => {
            let asked = (contributors as u64 * u64::from(permille)).div_ceil(1_000).max(1);
            let missing = asked.saturating_sub(u64::from(reported));
            format!(
                "{share} % of the contributors have a file in it ({reported} now, {missing} missing)"
            )
        }
    }
}

/// What is said of a part of a pool that is paused.
pub(super) fn waits_for_resumption(view: &mut WindowView) {
    view.closes_next = None;
    if let Some(when) = &mut view.closes_when {
        *when = format!("once the pool is resumed, for it is paused: {when}");
    }
}

/// The next moment of the log's clock at which it closes if nothing else closes it before.
pub(super) fn closes_next(policy: &Policy, view: &WindowView, now: LogTime) -> Option<NextClose> {
    let end = view.closes_at.map(|end| LogTime::from_millis(end.millis()));
    let schedule = policy.close.schedule.as_ref().and_then(|schedule| schedule.next(now));
    let held_back = policy
        .close
        .minimum
        .is_some_and(|minimum| view.files < minimum.files || view.reported < minimum.clients);
    let longest = if held_back { CloseReason::BelowMinimum } else { CloseReason::MaxWait };
    let moments = [
        (end.filter(|_| !held_back), CloseReason::WindowEnd),
        (schedule, CloseReason::Schedule),
        (view.closes_at_latest, longest),
    ];
    let moment = |(at, because): (Option<LogTime>, CloseReason)| {
        at.filter(|at| *at > now).map(|at| NextClose { at, because })
    };
    moments.into_iter().filter_map(moment).min_by_key(|next| next.at)
}
