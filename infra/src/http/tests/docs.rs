//! What is documented is served, whole and from here alone.

use http::header::{CONTENT_SECURITY_POLICY, ETAG, IF_NONE_MATCH};
use schemas::digest::Digest;
use schemas::openapi;

use super::*;
use crate::http::process;

const SUMS: &str = include_str!("../swagger/README.md");

async fn text(response: Response) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn router() -> Router {
    let instance = Instance::new().await;
    let process = process::routes(instance.installation.metrics.clone(), Arc::new(Vec::new));
    process.finish(instance.around())
}

#[tokio::test]
async fn the_page_and_all_it_names_come_from_here() {
    let router = router().await;
    let page = ask(&router, get("/docs")).await;
    assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    let page = text(page).await;
    assert!(!page.contains("//") && !page.contains("<style") && !page.contains("style="));
    let named = page.split(['"', '\'']).filter(|text| text.starts_with("docs/"));
    let named: Vec<_> = named.collect();
    assert_eq!(named.len(), 3, "{page}");
    for name in named {
        let response = ask(&router, get(&format!("/{name}"))).await;
        assert_eq!(response.status(), 200, "{name}");
        let kind = response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
        let expected = if name.ends_with("css") { "text/css" } else { "text/javascript" };
        assert!(kind.starts_with(expected), "{name} {kind}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        let text = text(response).await;
        if name != "docs/start.js" {
            let sum = Digest::of(text.as_bytes()).to_string();
            assert!(SUMS.contains(&sum), "{name} is the one that is named there");
        }
    }
    assert_eq!(refused(ask(&router, get("/docs/LICENSE")).await).await.0, 404);
}

#[tokio::test]
async fn the_document_is_served_and_not_twice_to_who_has_it() {
    let router = router().await;
    let response = ask(&router, get("/openapi.json")).await;
    let tag = response.headers()[ETAG].clone();
    let (status, body) = told(response).await;
    assert_eq!((status.as_u16(), body), (200, openapi::document()));
    let mut again = get("/openapi.json");
    again.headers_mut().insert(IF_NONE_MATCH, tag);
    let again = ask(&router, again).await;
    assert_eq!(again.status(), 304);
    assert_eq!(text(again).await, "");
}
