//! What every request gets, and how it is read.

use axum::response::IntoResponse;
use futures_util::stream;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH};
use schemas::name::PoolName;
use schemas::route::{self, Side};
use serde::Deserialize;
use std::io;

use super::*;
use crate::http::{Json, Path, Query, Refused, process};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    name: PoolName,
}

#[derive(Deserialize)]
struct Paged {
    limit: u32,
}

fn routes() -> Routes<State> {
    async fn windows(Path(pool): Path<PoolName>, Query(paged): Query<Paged>) -> Json<String> {
        Json(format!("{pool} {}", paged.limit))
    }
    Routes::new()
        .mount(route::CREATE_POOL, async |Json(asked): Json<Asked>| Json(asked.name))
        .mount(route::READ_WINDOWS, windows)
        .mount(route::LIST_POOLS, async || ([(CACHE_CONTROL, "max-age=5")], "some"))
        .mount(route::READ_POOL, async || -> Response {
            panic!("secret: {}", std::hint::black_box("hunter2"))
        })
}

#[tokio::test]
async fn json_is_read_within_bounds_or_refused_with_a_problem() {
    let instance = Instance::new().await;
    let router = instance.router(routes());
    let post = async |body: Body, kind: &str, length: Option<&str>| {
        let mut request = Request::post("/v1/pools").header(CONTENT_TYPE, kind);
        if let Some(length) = length {
            request = request.header(CONTENT_LENGTH, length);
        }
        ask(&router, request.body(body).unwrap()).await
    };
    let json = "application/json";
    let good = r#"{"name":"north"}"#;
    for kind in [json, "application/json; charset=utf-8", "Application/JSON"] {
        assert_eq!(post(good.into(), kind, Some("16")).await.status(), 200, "{kind}");
    }
    let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(100));
    let chunks = stream::iter([io::Result::Ok(long.clone())]);
    let cut = stream::iter([Ok("{"), Err(io::Error::other("reset"))]);
    for (case, response, expected) in [
        ("no kind", post(good.into(), "", None).await, (415, "unsupported-media-type")),
        ("form", post(good.into(), "text/plain", None).await, (415, "unsupported-media-type")),
        ("not JSON", post("{".into(), json, None).await, (400, "invalid-json")),
        ("nothing", post("".into(), json, Some("0")).await, (400, "invalid-json")),
        ("more", post(format!("{good}{{").into(), json, None).await, (400, "invalid-json")),
        ("not UTF-8", post(b"\"\xff\"".to_vec().into(), json, None).await, (400, "invalid-json")),
        ("a value", post(r#"{"name":"N"}"#.into(), json, None).await, (400, "invalid-json")),
        (
            "unknown",
            post(r#"{"name":"no1","x":1}"#.into(), json, None).await,
            (400, "invalid-json"),
        ),
        (
            "twice",
            post(r#"{"name":"abc","name":"abc"}"#.into(), json, None).await,
            (400, "invalid-json"),
        ),
        ("declared long", post(good.into(), json, Some("101")).await, (413, "body-too-large")),
        ("long", post(Body::from_stream(chunks), json, None).await, (413, "body-too-large")),
        ("short", post(good.into(), json, Some("17")).await, (400, "length-mismatch")),
        ("cut", post(Body::from_stream(cut), json, None).await, (400, "length-mismatch")),
    ] {
        let (status, code) = refused(response).await;
        assert_eq!((status, code.as_str()), expected, "{case}");
    }
    let (_, body) = told(post(r#"{"name":"N"}"#.into(), json, None).await).await;
    assert!(body["detail"].as_str().unwrap().contains("a pool name has 3 to 48"), "{body}");
}

#[tokio::test]
async fn paths_and_queries_are_read_or_refused_with_a_problem() {
    let instance = Instance::new().await;
    let router = instance.router(routes());
    let good = ask(&router, get("/v1/pools/north/windows?limit=7&x=1")).await;
    assert_eq!(told(good).await.1, "north 7");
    for path in ["/v1/pools/North/windows?limit=7", "/v1/pools/%ff/windows?limit=7"] {
        let response = ask(&router, get(path)).await;
        assert_eq!(refused(response).await, (400, "invalid-request".into()), "{path}");
    }
    for query in ["", "?limit", "?limit=-1", "?limit=1&limit=2"] {
        let response = ask(&router, get(&format!("/v1/pools/north/windows{query}"))).await;
        let (_, body) = told(response).await;
        assert_eq!(body["code"], "invalid-request", "{query}");
        assert!(body["detail"].as_str().unwrap().starts_with("query: "), "{body}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_refused_with_a_problem() {
    let instance = Instance::new().await;
    let router = instance.router(routes());
    for path in ["/", "/v1", "/v1/pools/", "/v1/pools/north/windows/", "/../etc/passwd", "//"] {
        let response = ask(&router, get(path)).await;
        assert_eq!(refused(response).await, (404, "not-found".into()), "{path}");
    }
    for (method, path, allow) in [
        ("DELETE", "/v1/pools", "POST,GET,HEAD"),
        ("TRACE", "/v1/pools/north/windows", "GET,HEAD"),
        ("BREW", "/v1/pools/north/windows", "GET,HEAD"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = ask(&router, request).await;
        assert_eq!(response.headers()[ALLOW], allow, "{method} {path}");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(refused(response).await, (405, "method-not-allowed".into()));
    }
    let head = Request::head("/v1/pools").body(Body::empty()).unwrap();
    let head = ask(&router, head).await;
    assert_eq!(head.status(), 200);
    assert_eq!(told(head).await.1, Value::Null);
}

#[tokio::test]
async fn every_answer_has_an_id_and_the_headers_that_keep_browsers_safe() {
    let instance = Instance::new().await;
    let router = instance.router(routes());
    for path in ["/v1/pools", "/v1/pools/north", "/nowhere"] {
        let response = ask(&router, get(path)).await;
        let headers = response.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(
            headers["content-security-policy"],
            "default-src 'none'; frame-ancestors 'none'"
        );
        let kept = if path == "/v1/pools" { "max-age=5" } else { "no-store" };
        assert_eq!(headers[CACHE_CONTROL], kept, "a handler's own word counts");
        let id = headers["x-request-id"].to_str().unwrap().to_owned();
        assert!(uuid::Uuid::try_parse(&id).is_ok(), "{id}");
        if path != "/v1/pools" {
            assert_eq!(told(response).await.1["request_id"], id);
        }
    }
    let sent = async |id: &[u8]| {
        let mut request = get("/nowhere");
        request.headers_mut().insert("x-request-id", http::HeaderValue::from_bytes(id).unwrap());
        let response = ask(&router, request).await;
        response.headers()["x-request-id"].as_bytes().to_owned()
    };
    for id in ["client-made_0001", "0199f3a2-5c1e-7d53-b0a4-3d2f0c7f9a11"] {
        assert_eq!(sent(id.as_bytes()).await, id.as_bytes());
    }
    for id in [
        &b"short"[..],
        &[b'x'; 65],
        b"<script>alert(1)",
        b"a b c d e f",
        b"\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        assert_ne!(sent(id).await, id);
    }
}

#[tokio::test]
async fn a_panic_is_an_answer_that_says_nothing() {
    let instance = Instance::new().await;
    let router = instance.router(routes());
    let (status, body) = told(ask(&router, get("/v1/pools/north")).await).await;
    assert_eq!((status.as_u16(), &body["code"]), (500, &"internal".into()));
    assert!(!body.to_string().contains("hunter2") && body.get("detail").is_none(), "{body}");
    let own = Refused::internal(&"hunter2").into_response();
    assert!(!told(own).await.1.to_string().contains("hunter2"));
}

#[tokio::test]
async fn requests_are_counted_by_template() {
    let instance = Instance::new().await;
    let router = instance.router(routes());
    for path in ["/v1/pools/north/windows?limit=1", "/v1/pools/south/windows?limit=1", "/nowhere/1"]
    {
        ask(&router, get(path)).await;
    }
    let brew = Request::builder().method("BREW").uri("/nowhere/2").body(Body::empty()).unwrap();
    ask(&router, brew).await;
    let text = instance.installation.metrics.render();
    let template = r#"route="/v1/pools/{pool}/windows",method="get""#;
    for line in [
        &format!(r#"sluice_http_requests_total{{{template},status="2xx"}} 2"#),
        &format!("sluice_http_request_duration_seconds_count{{{template}}} 2"),
        r#"sluice_http_requests_total{route="none",method="get",status="4xx"} 1"#,
        r#"sluice_http_requests_total{route="none",method="other",status="4xx"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    assert!(!text.contains("north"), "no names in labels");
}

#[tokio::test]
async fn sides_are_joined_and_nothing_is_forgotten() {
    let instance = Instance::new().await;
    let state = State { access: instance.access.clone() };
    let reads =
        Routes::<State>::new().mount(route::LIST_POOLS, async || "read").with(state.clone());
    let writes = Routes::<State>::new().mount(route::CREATE_POOL, async || "write").with(state);
    let process = process::routes(instance.installation.metrics.clone(), Arc::new(Vec::new));
    let all = reads.join(writes).join(process);
    assert_eq!(all.missing(Side::Process), []);
    assert!(!all.missing(Side::Read).contains(&route::LIST_POOLS));
    assert!(all.missing(Side::Write).contains(&route::SIGN_UP));
    assert_eq!(all.mounted().len(), 9);
    let router = all.finish(instance.around());
    let text = async |request: Request<Body>| {
        let response = ask(&router, request).await;
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    assert_eq!(text(get("/v1/pools")).await, "read");
    assert_eq!(text(post_json("/v1/pools", "")).await, "write");
    assert!(text(get("/metrics")).await.ends_with("# EOF\n"));
    assert!(text(get("/docs/errors")).await.contains("\n## slow-body\n"));
    assert_eq!(text(get("/livez")).await, r#"{"live":true}"#);
    assert_eq!(text(get("/readyz")).await, r#"{"ready":true}"#);
}

#[tokio::test]
async fn a_process_that_cannot_serve_says_why() {
    let instance = Instance::new().await;
    let readiness: process::Readiness =
        Arc::new(|| vec!["the directory is not read yet".into(), "the disk is full".into()]);
    let process = process::routes(instance.installation.metrics.clone(), readiness);
    let router = process.finish(instance.around());
    let (status, body) = told(ask(&router, get("/readyz")).await).await;
    assert_eq!(status, 503);
    assert_eq!(body["detail"], "the directory is not read yet; the disk is full");
    assert_eq!(ask(&router, get("/livez")).await.status(), 200);
}
