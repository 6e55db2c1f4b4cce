//! What an address that asks too often is told, and whose requests are counted as whose.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use http::header::RETRY_AFTER;
use schemas::limit::Limits;
use schemas::route;

use super::*;
use crate::http::peer::{Proxies, ProxyHeader};
use crate::http::process;
use crate::http::rate::Rates;

/// Two requests at once, one a second, from each address.
fn limited(instance: &Instance) -> Router {
    let state = State { access: instance.access.clone() };
    let process = process::routes(instance.installation.metrics.clone(), Arc::new(Vec::new));
    let routes = Routes::<State>::new().mount(route::CREATE_POOL, async || "made").with(state);
    let limits = Limits { address_requests_per_s: 1, address_burst: 2, ..Limits::default() };
    let proxies = Proxies::new(&["10.0.0.0/8".to_owned()], ProxyHeader::default()).unwrap();
    let rates = Rates::new(&limits, proxies, instance.installation.clock.clone());
    routes.join(process).finish(instance.around().within(rates))
}

fn from(peer: &str, mut request: Request<Body>) -> Request<Body> {
    let peer: SocketAddr = peer.parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

#[tokio::test]
async fn one_request_too_many_is_refused_with_when_to_come_again() {
    let instance = Instance::new().await;
    let router = limited(&instance);
    let ask = async |path: &str| ask(&router, from("192.0.2.1:1000", get(path))).await;
    let standing = |response: &Response| {
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("ratelimit-policy"), Some("\"address\";q=2;w=2"));
        header("ratelimit").unwrap().to_owned()
    };
    // Made with another method than the route has, or nowhere: counted all the same.
    let first = ask("/v1/pools").await;
    assert_eq!((first.status().as_u16(), standing(&first)), (405, "\"address\";r=1;t=1".into()));
    let second = ask("/nowhere").await;
    assert_eq!((second.status().as_u16(), standing(&second)), (404, "\"address\";r=0;t=1".into()));
    let third = ask("/v1/pools").await;
    assert_eq!(standing(&third), "\"address\";r=0;t=1");
    assert_eq!(third.headers()[RETRY_AFTER], "1");
    let (status, body) = told(third).await;
    assert_eq!((status.as_u16(), &body["code"]), (429, &"rate-limited".into()));
    assert_eq!(body["retry_after_s"], 1);
    assert!(body["request_id"].is_string(), "{body}");
    for path in ["/livez", "/readyz", "/metrics"] {
        let response = ask(path).await;
        assert_eq!(response.status(), 200, "{path} is not counted");
        assert!(response.headers().get("ratelimit").is_none(), "{path}");
    }
    let text = instance.installation.metrics.render();
    assert!(text.contains("\nsluice_http_rate_limited_total 1\n"), "{text}");
    instance.installation.clock.advance(1_000);
    assert_eq!(ask("/nowhere").await.status(), 404);
    instance.installation.clock.advance(60_000);
    let full = ask("/nowhere").await;
    assert_eq!(standing(&full), "\"address\";r=1;t=1");
}

#[tokio::test]
async fn an_address_is_the_peers_unless_a_trusted_proxy_says_another() {
    let instance = Instance::new().await;
    let router = limited(&instance);
    let status = async |peer: &str, forwarded: &str| {
        let mut request = from(peer, get("/nowhere"));
        request.headers_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
        ask(&router, request).await.status().as_u16()
    };
    // Whoever is no proxy of ours is who it is, whatever it writes.
    for (n, expected) in [(1, 404), (2, 404), (3, 429), (4, 429)] {
        assert_eq!(status("192.0.2.1:1000", &format!("198.51.100.{n}")).await, expected);
    }
    // Of whoever comes through a proxy each has its own, and cannot write itself another.
    for (n, expected) in [(1, 404), (2, 404), (3, 429), (4, 429)] {
        let spoofed = format!("198.51.100.{n}, 203.0.113.9");
        assert_eq!(status("10.0.0.1:1000", &spoofed).await, expected);
        assert_eq!(status("10.0.0.2:1000", &format!("203.0.113.{}", 10 + n)).await, 404);
    }
}
