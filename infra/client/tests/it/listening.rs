//! Streams of notices that are cut and come back.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use schemas::api::Notice;
use schemas::id::UploadId;
use schemas::problem::Code;

use crate::fake::{Script, hasty, refused};
use client::{Error, Heard, Patience};

fn refusal(n: u128) -> String {
    let upload = UploadId::from_bits(n);
    format!(r#"{{"position":"north:{n}","notice":"refused","upload":"{upload}"}}"#)
}

fn stream(text: String) -> Response {
    ([("content-type", "text/event-stream")], text).into_response()
}

fn notice(id: &str, n: u128) -> Heard {
    let notice = Notice::Refused { upload: UploadId::from_bits(n), client: None };
    Heard::Notice { id: Some(id.into()), notice }
}

fn ids(script: &Script) -> Vec<String> {
    script.asked().iter().map(|asked| asked.header("last-event-id").to_owned()).collect()
}

#[tokio::test]
async fn a_stream_comes_back_where_it_was() {
    let whole = refusal(1);
    let script = Script::new(move |n, _| match n {
        // Data over two lines, a comment, a kind nobody knows, and an event that is cut off.
        0 => {
            let (first, second) = whole.split_at(12);
            stream(format!(
                ": hi\n\nid: 5\ndata: {first}\ndata: {second}\n\n\
             id: 6\ndata: {{\"notice\":\"eclipse\"}}\n\nid: 7\ndata: half"
            ))
        }
        1 => refused(Code::TooBusy),
        2 => stream(format!("id: 8\ndata: {}\n\n", refusal(2))),
        _ => stream(format!(
            "data: {{\"position\":\"north:9\",\"notice\":\"removed\",\"account\":\"{}\"}}\n\n",
            UploadId::from_bits(9)
        )),
    });
    let server = script.serve().await;
    let pool = "north".parse().unwrap();
    let heard: Vec<_> = server.client().notices(&pool, Some("4".into())).collect().await;
    let heard: Vec<Heard> = heard.into_iter().map(Result::unwrap).collect();
    let [.., removed] = &heard[..] else { panic!("nothing") };
    assert!(matches!(removed, Heard::Notice { notice: Notice::Removed { .. }, .. }));
    let expected =
        [Heard::Connected, notice("5", 1), Heard::Connected, notice("8", 2), Heard::Connected];
    assert_eq!(heard[..heard.len() - 1], expected);
    assert_eq!(ids(&script), ["4", "6", "6", "8"], "what was cut off comes again");
}

#[tokio::test]
async fn what_no_waiting_heals_ends_it() {
    let script = Script::new(|n, _| match n {
        0 => stream(": hi\n\n".into()),
        _ => refused(Code::Forbidden),
    });
    let server = script.serve().await;
    let heard: Vec<_> = server.client().notices(&"north".parse().unwrap(), None).collect().await;
    assert!(matches!(heard[0], Ok(Heard::Connected)));
    assert!(matches!(&heard[1], Err(Error::Refused(_))) && heard.len() == 2);
    assert_eq!(ids(&script), ["", ""]);
}

#[tokio::test]
async fn a_stream_that_fell_silent_is_begun_again() {
    let script = Script::new(|n, _| match n {
        0 => Body::from_stream(futures_util::stream::pending::<Result<Bytes, Error>>())
            .into_response(),
        _ => refused(Code::NotFound),
    });
    let server = script.serve().await;
    let patience = Patience { silence_max: Duration::from_millis(30), ..hasty() };
    let client = server.client().patience(patience);
    let heard: Vec<_> = client.notices(&"north".parse().unwrap(), None).collect().await;
    assert!(matches!(&heard[..], [Ok(Heard::Connected), Err(_)]), "{heard:?}");
}
