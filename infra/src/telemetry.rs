//! What a process tells of itself: its log and its metrics.
//!
//! There are no globals but the log's subscriber, which its library wants to be one: metrics are a
//! handle that is passed around.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::family::Family;
pub use prometheus_client::metrics::gauge::Gauge;
pub use prometheus_client::metrics::histogram::Histogram;

use crate::clock::{Clock, SystemClock};

/// The media type of [`Metrics::render`] (OpenMetrics 1.0).
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogForm {
    /// For people.
    Human,
    /// One JSON object per line, for collectors.
    Json,
}

impl LogForm {
    /// For people when the log goes to a terminal, JSON otherwise.
    pub fn fitting() -> Self {
        if io::stderr().is_terminal() { Self::Human } else { Self::Json }
    }
}

/// The log cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error("the log filter {filter:?} cannot be read: {reason}")]
    BadFilter {
        /// As given.
        filter: String,
        /// What is wrong.
        reason: String,
    },
    /// The process has a log already.
    #[error("the log was started twice")]
    Twice,
}

/// Starts the log, on standard error: standard output is for data. `filter` is in the form of
/// `RUST_LOG`, such as `info` or `info,infra::http=debug`. Panics are logged as errors.
pub fn start_log(filter: &str, form: LogForm) -> Result<(), LogError> {
    let subscriber = subscriber(filter, form, io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Twice)?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = crate::supervise::panic_text(panic.payload());
        tracing::error!(place, "{text}");
    }));
    Ok(())
}

/// Hours, minutes, seconds (UTC): who watches a terminal knows the day.
#[derive(Debug)]
struct TimeOfDay(Arc<SystemClock>);

impl FormatTime for TimeOfDay {
    fn format_time(&self, to: &mut Writer<'_>) -> fmt::Result {
        let now = self.0.now().to_string();
        to.write_str(now.get(11..23).unwrap_or(&now))
    }
}

fn subscriber<W>(
    filter: &str,
    form: LogForm,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let bad = |error: &dyn fmt::Display| LogError::BadFilter {
        filter: filter.to_owned(),
        reason: error.to_string(),
    };
    let filter = EnvFilter::builder().parse(filter).map_err(|error| bad(&error))?;
    // What cannot be logged is lost. Told of that on standard error, which has just failed, the
    // library would panic, and a full disk under the log end requests.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .log_internal_errors(false);
    Ok(match form {
        LogForm::Human => {
            let builder = builder.with_ansi(io::stderr().is_terminal()).with_target(false);
            Box::new(builder.with_timer(TimeOfDay(SystemClock::new())).compact().finish())
        }
        LogForm::Json => Box::new(builder.json().flatten_event(true).finish()),
    })
}

/// Labels of an answered request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AnsweredLabels {
    /// The route's template, or `none`.
    pub route: &'static str,
    /// The method, or `other`.
    pub method: &'static str,
    /// The status class, such as `2xx`.
    pub status: &'static str,
}

/// Labels of a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RouteLabels {
    /// The route's template, or `none`.
    pub route: &'static str,
    /// The method, or `other`.
    pub method: &'static str,
}

/// What is measured of HTTP.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    /// Requests by route, method and status class.
    pub answered: Family<AnsweredLabels, Counter>,
    /// Seconds from a request's head to its answer's.
    pub seconds: Family<RouteLabels, Histogram>,
    /// Connections held now.
    pub connections: Gauge,
    /// Connections ended for being too slow.
    pub slow_connections: Counter,
    /// Requests refused because their address makes too many.
    pub limited: Counter,
}

/// The metrics of a process: one registry, shared by its clones.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<RwLock<Registry>>,
    clock: Arc<dyn Clock>,
    uptime: Gauge<f64, AtomicU64>,
    /// What is measured of HTTP.
    pub http: HttpMetrics,
}

/// From a fast read to a claim that waits its full minute.
const SECONDS_BUCKETS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 20.0, 60.0];

impl Metrics {
    /// The metrics of a process that runs this version since `clock` was made.
    pub fn new(clock: Arc<dyn Clock>, version: &'static str) -> Self {
        let seconds = || Histogram::new(SECONDS_BUCKETS);
        let metrics = Self {
            registry: Arc::new(RwLock::new(Registry::with_prefix("sluice"))),
            clock,
            uptime: Gauge::default(),
            http: HttpMetrics {
                answered: Family::default(),
                seconds: Family::new_with_constructor(seconds),
                connections: Gauge::default(),
                slow_connections: Counter::default(),
                limited: Counter::default(),
            },
        };
        metrics.add("build", "What runs", Info::new([("version", version)]));
        metrics.add("uptime_seconds", "Seconds since it began", metrics.uptime.clone());
        let http = &metrics.http;
        metrics.add("http_requests", "Requests answered", http.answered.clone());
        metrics.add(
            "http_request_duration_seconds",
            "Seconds from a request's head to its answer's",
            http.seconds.clone(),
        );
        metrics.add("http_connections", "Connections held", http.connections.clone());
        metrics.add(
            "http_slow_connections",
            "Connections ended for being too slow",
            http.slow_connections.clone(),
        );
        metrics.add(
            "http_rate_limited",
            "Requests refused because their address makes too many",
            http.limited.clone(),
        );
        metrics
    }

    /// Adds a metric under this name, without the prefix `sluice_` and without `_total`, which
    /// counters get by themselves. Each name once: keep the metric and clone it.
    pub fn add(&self, name: &str, help: &str, metric: impl Metric) {
        let mut registry = self.registry.write().unwrap_or_else(PoisonError::into_inner);
        registry.register(name, help, metric);
    }

    /// All of them as text, in the form of OpenMetrics 1.0.
    pub fn render(&self) -> String {
        self.uptime.set(self.clock.uptime().as_secs_f64());
        let mut text = String::with_capacity(16_384);
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
        text::encode(&mut text, &registry).expect("writing to a string does not fail");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use schemas::time::Wall;
    use std::io::Write;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, form: LogForm) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(filter, form, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("request", id = 7).entered();
            tracing::info!(status = 200, "answered");
            tracing::debug!("more");
        });
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn lines_are_filtered_and_carry_their_request() {
        let text = logged("info", LogForm::Json);
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!((&line["message"], &line["status"]), (&"answered".into(), &200.into()));
        assert_eq!(line["span"]["id"], 7);
        let text = logged("debug", LogForm::Human);
        assert_eq!(text.lines().count(), 2);
        let line = text.lines().next().unwrap();
        assert!(line.len() < 60 && line.ends_with("request: answered status=200 id=7"), "{line}");
        assert!(logged("off", LogForm::Json).is_empty());
        let bad = subscriber("info,=,!", LogForm::Json, io::sink);
        assert!(matches!(bad, Err(LogError::BadFilter { .. })));
    }

    #[test]
    fn metrics_are_rendered_as_open_metrics() {
        let clock = ManualClock::at(Wall::from_millis(0));
        let metrics = Metrics::new(clock.clone(), "1.2.3");
        clock.advance(1_500);
        let labels = AnsweredLabels { route: "/v1/pools", method: "get", status: "2xx" };
        metrics.http.answered.get_or_create(&labels).inc();
        let labels = RouteLabels { route: "/v1/pools", method: "get" };
        metrics.http.seconds.get_or_create(&labels).observe(0.002);
        let own = Counter::<u64>::default();
        metrics.add("own", "My own", own.clone());
        own.inc();
        let text = metrics.render();
        for line in [
            "sluice_build_info{version=\"1.2.3\"} 1",
            "sluice_uptime_seconds 1.5",
            "sluice_http_requests_total{route=\"/v1/pools\",method=\"get\",status=\"2xx\"} 1",
            "sluice_http_request_duration_seconds_bucket{le=\"0.0025\",route=\"/v1/pools\",method=\"get\"} 1",
            "sluice_own_total 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
