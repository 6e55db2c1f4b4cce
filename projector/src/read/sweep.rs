//! What sweeping would remove: for platform admins.

use axum::extract::State;
use infra::http::{Json, PlatformAdmin, Refused};
use schemas::api::SweepReport;

use super::Reading;
use crate::sweep::{SweepError, Sweeper};

pub(super) async fn look(
    State(reading): State<Reading>,
    _: PlatformAdmin,
) -> Result<Json<SweepReport>, Refused> {
    let report = Box::pin(Sweeper::look(&reading.sweep)).await;
    Ok(Json(report.map_err(|error| match error {
        SweepError::Blobs(error) => Refused::from(error),
        SweepError::Tables(error) => error.into(),
        SweepError::Log(error) => error.into(),
        SweepError::Directory(stale) => stale.into(),
    })?))
}
