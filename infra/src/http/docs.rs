//! What is documented, as every process serves it: what the problem codes mean, the OpenAPI
//! document, and Swagger UI to read it with and try it.
//!
//! The page comes from the binary alone, and its policy lets it ask no other server.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use schemas::digest::Digest;
use schemas::problem::Code;
use schemas::{openapi, route};

use super::{Path, Refused, Routes};

/// Scripts, styles and requests of this server only; pictures within the style sheet too.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// Browsers ask whether they have it still: it changes with the binary.
const ASK_AGAIN: &str = "no-cache";

/// Something that is served as it is.
#[derive(Clone, Debug)]
struct Asset {
    kind: &'static str,
    bytes: Bytes,
    tag: HeaderValue,
}

impl Asset {
    fn new(kind: &'static str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let tag = HeaderValue::try_from(format!("\"{}\"", Digest::of(&bytes)));
        Self { kind, bytes, tag: tag.expect("a digest is visible ASCII") }
    }

    fn respond(&self, asked: &HeaderMap) -> Response {
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static(self.kind)),
            (CACHE_CONTROL, HeaderValue::from_static(ASK_AGAIN)),
            (ETAG, self.tag.clone()),
        ];
        let tags = asked.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).unwrap_or_default();
        let known = tags.split(',').any(|tag| tag.trim().as_bytes() == self.tag.as_bytes());
        if known {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (headers, self.bytes.clone()).into_response()
    }
}

#[derive(Debug)]
struct Docs {
    document: Asset,
    page: Asset,
    parts: [(&'static str, Asset); 3],
}

/// The routes of what is documented.
pub(super) fn routes() -> Routes {
    let script = |bytes: &'static [u8]| Asset::new("text/javascript; charset=utf-8", bytes);
    let html: &'static [u8] = include_bytes!("swagger/index.html");
    let style: &'static [u8] = include_bytes!("swagger/swagger-ui.css");
    let docs = Docs {
        document: Asset::new("application/json", openapi::document().to_string()),
        page: Asset::new("text/html; charset=utf-8", html),
        parts: [
            ("start.js", script(include_bytes!("swagger/start.js"))),
            ("swagger-ui-bundle.js", script(include_bytes!("swagger/swagger-ui-bundle.js"))),
            ("swagger-ui.css", Asset::new("text/css; charset=utf-8", style)),
        ],
    };
    Routes::new()
        .mount(route::ERRORS, errors)
        .mount(route::OPENAPI, document)
        .mount(route::DOCS, page)
        .mount(route::DOCS_PART, part)
        .with(Arc::new(docs))
}

async fn document(State(docs): State<Arc<Docs>>, headers: HeaderMap) -> Response {
    docs.document.respond(&headers)
}

async fn page(State(docs): State<Arc<Docs>>, headers: HeaderMap) -> impl IntoResponse {
    let policy = HeaderValue::from_static(PAGE_POLICY);
    ([(CONTENT_SECURITY_POLICY, policy)], docs.page.respond(&headers))
}

async fn part(
    State(docs): State<Arc<Docs>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let part = docs.parts.iter().find(|(known, _)| *known == name);
    Ok(part.ok_or(Code::NotFound)?.1.respond(&headers))
}

async fn errors() -> impl IntoResponse {
    // Browsers show plain text and offer to save Markdown.
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    ([(CONTENT_TYPE, kind)], errors_text())
}

/// docs/errors.md: what each code means.
pub fn errors_text() -> String {
    let mut text = String::from(
        "# Problem codes\n\n\
         Made from `schemas/src/problem.rs`; do not edit. Refusals are `application/problem+json`\n\
         (RFC 9457). A code keeps its meaning for ever; new ones may come.\n",
    );
    for code in Code::ALL {
        let (name, status, title) = (code.as_str(), code.status(), code.title());
        let advice = code.advice();
        writeln!(text, "\n## {name}\n\n{status}: {title}. {advice}").expect("a string takes all");
    }
    text
}
