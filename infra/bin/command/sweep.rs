//! `sluice sweep --dry-run`: what the server would sweep up.

use clap::Args;
use schemas::api::SweepReport;

use crate::outcome::Done;
use crate::session::Session;

/// Show which objects nothing names any more, or were kept for long enough; for platform admins
#[derive(Args, Debug)]
pub(crate) struct SweepArgs {
    /// Only look: the server sweeps by itself (docs/config.md, `sweep_every_ms`)
    #[arg(long, required = true)]
    dry_run: bool,
}

pub(crate) async fn run(_: SweepArgs, session: &Session) -> anyhow::Result<Done> {
    let report = session.client()?.sweep_report().await?;
    session.print.object(&report, told)?;
    Ok(Done::Whole)
}

fn told(report: &SweepReport) -> String {
    let SweepReport { looked_at, named, young, doubtful, unnamed, erased, .. } = report;
    let whole = if report.complete { "all there are" } else { "there are more" };
    let mut text = format!(
        "{looked_at} objects looked at, {whole}\n{named} are named, {young} are too young, of \
         {doubtful} it cannot be told\n{unnamed} would go because nothing names them, {erased} \
         because they were kept for long enough"
    );
    for object in &report.objects {
        text.push_str("\n  ");
        text.push_str(object.as_str());
    }
    text
}
