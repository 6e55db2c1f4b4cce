//! Clients whose clocks are off, told by their requests.

use schemas::file::TimeSource;
use schemas::limit::Limits;
use schemas::time::{EffectiveAt, ObservedAt, SentAt};

use super::uploads::{Scene, Sending};
use super::*;

/// Sends a file made and sent at these times by the client's clock.
async fn send(scene: &Scene, observed_at: &str, sent_at: &str) -> Told {
    let query = format!("name=a&observed_at={observed_at}&sent_at={sent_at}");
    scene.send(Sending::of("x").query(&query)).await
}

#[tokio::test]
async fn a_clock_that_is_steadily_off_is_corrected_where_the_pool_asks() {
    for (policy, corrects) in [(json!({ "skew": "correct" }), true), (json!({}), false)] {
        let scene = Scene::new(Limits::default(), policy, None).await;
        // It is 10:30; the client's clock says 08:30.
        for _ in 0..6 {
            send(&scene, "2026-11-21T08:20:00Z", "2026-11-21T08:30:00Z").await;
        }
        let files = scene.files().await;
        let minutes = |minutes: i64| EffectiveAt::from_millis(NOW + minutes * 60_000);
        assert_eq!(files[3].time_source, TimeSource::Client, "it may be chance");
        assert_eq!(files[3].effective_at, minutes(-130));
        let (source, effective_at) = if corrects {
            (TimeSource::Corrected, minutes(-10))
        } else {
            (TimeSource::Client, minutes(-130))
        };
        for file in &files[4..] {
            assert_eq!((file.time_source, file.effective_at), (source, effective_at));
            let raw = (file.observed_at, file.sent_at, file.received_at.millis());
            let [observed, sent] = [-130, -120].map(|at| NOW + at * 60_000);
            let kept =
                (Some(ObservedAt::from_millis(observed)), Some(SentAt::from_millis(sent)), NOW);
            assert_eq!(raw, kept, "what was said is kept");
            assert!(!file.clamped && !file.quarantined);
        }
        // Its clock is set right: nothing is taken away any more.
        send(&scene, "2026-11-21T10:29:00Z", "2026-11-21T10:30:00Z").await;
        let last = scene.files().await.pop().unwrap();
        assert_eq!((last.time_source, last.effective_at), (TimeSource::Client, minutes(-1)));
    }
}
