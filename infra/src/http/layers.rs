//! What happens around every request: it gets an id and one line in the log, is counted for its
//! client's address and timed, and its answer gets the headers that all answers have. A panic
//! becomes an answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue,
};
use http::header::{REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, Method, StatusCode};
use schemas::problem::Problem;
use schemas::route::{self, Route};
use schemas::time::Wall;
use tracing::{Instrument, Span};

use super::Refused;
use super::rate::{Counted, Rates};
use super::refused::rendered;
use crate::audit::Audit;
use crate::clock::{Clock, SystemClock};
use crate::fresh;
use crate::supervise::panic_text;
use crate::telemetry::{AnsweredLabels, HttpMetrics, Metrics, RouteLabels};

/// Names a request, in both directions.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request's name, for handlers that write it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

/// What is needed around requests.
#[derive(Clone, Debug)]
pub struct Around {
    metrics: HttpMetrics,
    clock: Arc<dyn Clock>,
    /// Durations are real, whatever the other clock is told.
    stopwatch: Arc<SystemClock>,
    rates: Option<Arc<Rates>>,
    audit: Option<Audit>,
}

impl Around {
    /// Counted in these metrics; ids carry the time of `clock`.
    pub fn new(metrics: &Metrics, clock: Arc<dyn Clock>) -> Self {
        let (metrics, stopwatch) = (metrics.http.clone(), SystemClock::new());
        Self { metrics, clock, stopwatch, rates: None, audit: None }
    }

    /// And no address asks more often than these say.
    pub fn within(mut self, rates: Option<Rates>) -> Self {
        self.rates = rates.map(Arc::new);
        self
    }

    /// And what matters for security is recorded.
    pub fn audited(mut self, audit: Audit) -> Self {
        self.audit = Some(audit);
        self
    }

    /// Has the request handled, and recorded as it must be.
    async fn followed(
        &self,
        request: Request,
        route: Option<&'static Route>,
        next: Next,
        span: &Span,
    ) -> Response {
        let (Some(audit), Some(route)) = (&self.audit, route) else {
            return handled(request, next, span).await;
        };
        let followed = match span.in_scope(|| audit.follow(route, request.uri().path())) {
            Ok(followed) => followed,
            Err(refused) => return refused.into_response(),
        };
        let response = followed.through(handled(request, next, span)).await;
        let code = response.extensions().get::<Problem>().map(|problem| problem.code);
        followed.tell(response.status().as_u16(), code).instrument(span.clone()).await;
        response
    }
}

/// The layer.
pub async fn around(State(around): State<Around>, mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers(), around.clock.now());
    let (route, template) = known(&request);
    let labels = RouteLabels { route: template, method: method_name(request.method()) };
    let span = tracing::info_span!(
        "request",
        method = %labels.method,
        route = %labels.route,
        id = %id.0,
        account = tracing::field::Empty,
        pool = tracing::field::Empty,
    );
    request.extensions_mut().insert(id.clone());
    let start = around.stopwatch.uptime();
    let counted = around.rates.as_ref().and_then(|rates| rates.count(&request, labels.route));
    let mut response = match counted.as_ref().and_then(Counted::refusal) {
        Some(refused) => {
            around.metrics.limited.inc();
            if let (Some(audit), Some(route)) = (&around.audit, route) {
                audit.limited(route);
            }
            refused.into_response()
        }
        None => around.followed(request, route, next, &span).await,
    };
    if let Some(counted) = counted {
        counted.tell(response.headers_mut());
    }
    let took = around.stopwatch.uptime().saturating_sub(start);
    finish(&mut response, &id);
    tell(&span, &labels, response.status(), took);
    around.measure(labels, response.status(), took);
    response
}

async fn handled(request: Request, next: Next, span: &Span) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await {
        Ok(response) => response,
        Err(panic) => {
            span.in_scope(|| Refused::internal(&panic_text(panic.as_ref()))).into_response()
        }
    }
}

impl Around {
    fn measure(&self, labels: RouteLabels, status: StatusCode, took: Duration) {
        self.metrics.seconds.get_or_create(&labels).observe(took.as_secs_f64());
        let RouteLabels { route, method } = labels;
        let status = match status.as_u16() / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        self.metrics.answered.get_or_create(&AnsweredLabels { route, method, status }).inc();
    }
}

/// One line: what changes something, or fails, is worth more than a read.
fn tell(span: &Span, labels: &RouteLabels, status: StatusCode, took: Duration) {
    // To a tenth of a millisecond.
    let (status, ms) = (status.as_u16(), (took.as_secs_f64() * 10_000.0).round() / 10.0);
    span.in_scope(|| match (labels.method, status) {
        (_, 500..) => tracing::warn!(status, ms, "answered"),
        // Refused without a look at it: whoever floods us does not get to flood the log.
        ("get" | "head", _) | (_, 429) => tracing::debug!(status, ms, "answered"),
        _ => tracing::info!(status, ms, "answered"),
    });
}

/// The id the client gave, if it looks like one; a new one otherwise.
fn request_id(headers: &HeaderMap, now: Wall) -> RequestId {
    let looks_like_one = |text: &&str| {
        (8..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let given =
        headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(looks_like_one);
    RequestId(given.map_or_else(|| fresh::uuid(now).to_string().into(), Into::into))
}

/// The route in the table and its template; `none` when the path is not in it.
fn known(request: &Request) -> (Option<&'static Route>, &'static str) {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let mut of_path = route::ALL.iter().filter(|known| Some(known.path) == path).peekable();
    let template = of_path.peek().map_or("none", |known| known.path);
    // Whoever may read may ask for the head alone.
    let method = match *request.method() {
        Method::GET | Method::HEAD => Some(route::Method::Get),
        Method::POST => Some(route::Method::Post),
        Method::PUT => Some(route::Method::Put),
        Method::DELETE => Some(route::Method::Delete),
        _ => None,
    };
    (of_path.find(|known| Some(known.method) == method), template)
}

/// Few words only: clients choose methods, and each is a label.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::HEAD => "head",
        Method::POST => "post",
        Method::PUT => "put",
        Method::DELETE => "delete",
        _ => "other",
    }
}

fn finish(response: &mut Response, id: &RequestId) {
    if let Some(mut problem) = response.extensions_mut().remove::<Problem>() {
        problem.request_id = Some(id.0.to_string());
        *response.body_mut() = rendered(&problem);
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    let headers = response.headers_mut();
    // Both kinds of id are visible ASCII.
    if let Ok(id) = HeaderValue::try_from(&*id.0) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}
