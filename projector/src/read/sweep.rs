//! What sweeping would remove: for platform admins.

use axum::extract::State;
use infra::http::{Json, Refused};
use infra::identity::Caller;
use schemas::api::SweepReport;
use schemas::problem::Code;

use super::Reading;
use crate::sweep::{SweepError, Sweeper};

pub(super) async fn look(
    State(reading): State<Reading>,
    caller: Caller,
) -> Result<Json<SweepReport>, Refused> {
    if !caller.platform_admin {
        return Err(Refused::from(Code::Forbidden).detail("only a platform admin may"));
    }
    let report = Box::pin(Sweeper::look(&reading.sweep)).await;
    Ok(Json(report.map_err(|error| match error {
        SweepError::Blobs(error) => Refused::from(error),
        SweepError::Tables(error) => error.into(),
        SweepError::Log(error) => error.into(),
        SweepError::Directory(stale) => stale.into(),
    })?))
}
