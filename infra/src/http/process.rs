//! What every process answers: whether it lives, whether it can serve, its metrics, and what is
//! documented.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, SERVER};
use schemas::problem::Code;
use schemas::route;
use serde_json::json;

use super::{Json, Refused, Routes, docs};
use crate::telemetry::{METRICS_CONTENT_TYPE, Metrics};

/// Says what keeps the process from serving, one short text each; nothing when it can.
pub type Readiness = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// Whoever looks at a process's health, `sluice doctor` for one, learns what it runs.
const VERSION: [(HeaderName, &str); 1] = [(SERVER, concat!("sluice/", env!("CARGO_PKG_VERSION")))];

#[derive(Clone)]
struct Process {
    metrics: Metrics,
    readiness: Readiness,
}

/// The routes of every process.
pub fn routes(metrics: Metrics, readiness: Readiness) -> Routes {
    Routes::new()
        .mount(route::LIVE, async || (VERSION, Json(json!({ "live": true }))))
        .mount(route::READY, ready)
        .mount(route::METRICS, metrics_text)
        .with(Process { metrics, readiness })
        .join(docs::routes())
}

async fn ready(State(process): State<Process>) -> Result<impl IntoResponse, Refused> {
    let reasons = (process.readiness)();
    if reasons.is_empty() {
        return Ok((VERSION, Json(json!({ "ready": true }))));
    }
    Err(Refused::from(Code::Unavailable).detail(reasons.join("; ")))
}

async fn metrics_text(State(process): State<Process>) -> impl IntoResponse {
    let kind = HeaderValue::from_static(METRICS_CONTENT_TYPE);
    ([(CONTENT_TYPE, kind)], process.metrics.render())
}
