//! Lists that come in pages: with the way to the next page in `Link` (RFC 8288).

use std::convert::Infallible;

use axum::extract::{FromRequestParts, OriginalUri};
use axum::response::{IntoResponseParts, ResponseParts};
use http::header::LINK;
use http::request::Parts;
use http::{HeaderValue, Uri};
use schemas::api::Page;

use super::Json;

/// Where a request went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Here(Uri);

/// The way to the next page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link(HeaderValue);

/// A page of a list, as an answer.
pub type Listed<T> = (Option<Link>, Json<Page<T>>);

impl Here {
    /// The way to what follows, if something does: the same request with this cursor.
    pub fn next(&self, cursor: Option<&str>) -> Option<Link> {
        let cursor = cursor?;
        let query = self.0.query().unwrap_or_default();
        let mut pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).ok()?;
        pairs.retain(|(name, _)| name != "cursor");
        pairs.push(("cursor".to_owned(), cursor.to_owned()));
        let query = serde_urlencoded::to_string(pairs).ok()?;
        let link = format!("<{}?{query}>; rel=\"next\"", self.0.path());
        HeaderValue::try_from(link).ok().map(Link)
    }

    /// The page, and the way to the next.
    pub fn lists<T>(&self, page: Page<T>) -> Listed<T> {
        (self.next(page.next_cursor.as_deref()), Json(page))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Here {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        OriginalUri::from_request_parts(parts, state).await.map(|uri| Self(uri.0))
    }
}

impl IntoResponseParts for Link {
    type Error = Infallible;

    fn into_response_parts(self, mut to: ResponseParts) -> Result<ResponseParts, Infallible> {
        to.headers_mut().insert(LINK, self.0);
        Ok(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_the_same_request_with_another_cursor() {
        let check = |uri: &str, cursor: Option<&str>, expected: Option<&str>| {
            let link = Here(uri.parse().unwrap()).next(cursor);
            let link = link.map(|link| link.0.to_str().unwrap().to_owned());
            assert_eq!(link.as_deref(), expected, "{uri}");
        };
        check("/v1/pools/a/batches", None, None);
        let next = "</v1/pools/a/batches?cursor=x.1>; rel=\"next\"";
        check("/v1/pools/a/batches", Some("x.1"), Some(next));
        check("/v1/pools/a/batches?cursor=w.9", Some("x.1"), Some(next));
        let next = "</v1/pools/a/results?limit=2&pending=true&cursor=7>; rel=\"next\"";
        check("/v1/pools/a/results?limit=2&cursor=5&pending=true", Some("7"), Some(next));
        let next = "</l?q=%3E%26&cursor=%22%3E+%C3%A9>; rel=\"next\"";
        check("/l?q=%3e%26", Some("\">  é".replace("  ", " ").as_str()), Some(next));
    }
}
