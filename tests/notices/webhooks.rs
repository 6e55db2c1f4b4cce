//! Webhooks: signed, at least once, in order, and never into somebody's network.

use client::Heard;
use futures_util::StreamExt as _;
use schemas::api::{MakeWebhook, Notice, NoticeKind, WebhookSecret, WebhookState, WebhookView};
use schemas::problem::Code;
use serde_json::json;

use super::target::{Answer, Message, Target};
use super::{PASSWORD, World, eventually};

/// Tries follow each other fast, and a target has half a second.
const BRISK: &[&str] = &["webhook_first_wait_ms=10", "webhook_ms_max=500"];

impl World {
    async fn hook(&self, target: &Target) -> WebhookSecret {
        let ask = MakeWebhook { url: target.url.clone(), notices: Some(vec![NoticeKind::Pool]) };
        self.ada.make_webhook(&self.pool, &ask).await.unwrap()
    }

    async fn view(&self) -> WebhookView {
        self.ada.webhooks(&self.pool).await.unwrap().items.remove(0)
    }

    /// Something to tell of.
    async fn pause(&self) {
        self.ada.pause(&self.pool).await.unwrap();
    }

    async fn resume(&self) {
        self.ada.resume(&self.pool).await.unwrap();
    }

    async fn is(&self, state: WebhookState) -> WebhookView {
        eventually(&format!("it is {state:?}"), async || {
            Some(self.view().await).filter(|view| view.state == state)
        })
        .await
    }
}

fn says(message: &Message) -> String {
    message.json()["data"]["state"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_message_is_signed_and_sent_until_it_is_taken_and_then_the_next() {
    let world = World::reaching_itself(BRISK).await;
    world.pause().await;
    let mut target = Target::new().await;
    let made = world.hook(&target).await;
    target.answers([Answer::Status(500), Answer::Nothing, Answer::Cut]);
    world.resume().await;
    world.pause().await;
    let first = target.next().await;
    let mut ids = vec![first.id().to_owned()];
    for _ in 0..3 {
        let again = target.next().await;
        assert_eq!((again.id(), again.json()), (first.id(), first.json()));
        assert!(again.is_signed(&made.secret));
    }
    assert_eq!(says(&first), "open", "what was before it was made is not sent");
    assert!(first.is_signed(&made.secret), "{first:?}");
    assert!(!first.is_signed("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    let body = first.json();
    let id = body["data"]["id"].as_u64().unwrap();
    let hex = made.webhook.uuid().as_simple().to_string();
    assert_eq!(first.id(), format!("msg_{hex}_{id}"));
    assert_eq!((&body["type"], &body["data"]["pool"]), (&json!("pool"), &json!("heard")));
    let url = body["data"]["url"].as_str().unwrap();
    assert_eq!(url, "https://sluice.example/v1/pools/heard");
    assert_eq!(first.header("content-type"), "application/json");
    let second = target.next().await;
    ids.push(second.id().to_owned());
    assert_eq!(says(&second), "paused");
    let active = world.is(WebhookState::Active).await;
    assert_eq!((active.failures, active.failure, active.due_at), (0, None, None));

    // Both secrets sign for a day; then an admin says that nothing is to be sent, and nothing is.
    let renewed = world.ada.renew_webhook(&world.pool, made.webhook).await.unwrap();
    assert!(renewed.secret != made.secret && renewed.old_secret_until.is_some());
    world.resume().await;
    let third = target.next().await;
    assert!(third.is_signed(&made.secret) && third.is_signed(&renewed.secret));
    assert_eq!(third.header("webhook-signature").split(' ').count(), 2);
    world.ada.disable_webhook(&world.pool, made.webhook).await.unwrap();
    world.is(WebhookState::Disabled).await;
    world.pause().await;
    world.ada.enable_webhook(&world.pool, made.webhook).await.unwrap();
    assert_eq!(says(&target.next().await), "paused", "what came meanwhile is sent");
    world.ada.remove_webhook(&world.pool, made.webhook).await.unwrap();
    assert!(world.ada.webhooks(&world.pool).await.unwrap().items.is_empty());
    let gone = world.ada.remove_webhook(&world.pool, made.webhook).await.unwrap_err();
    assert_eq!(gone.code(), Some(Code::NotFound));
    assert!(target.rest().is_empty());
}

#[tokio::test]
async fn a_process_that_is_killed_goes_on_where_it_was() {
    let mut world = World::reaching_itself(&["webhook_first_wait_ms=10"]).await;
    let mut target = Target::new().await;
    world.hook(&target).await;
    target.answers([Answer::Status(204), Answer::Nothing]);
    world.pause().await;
    world.resume().await;
    world.pause().await;
    let told = target.next().await;
    let unanswered = target.next().await;
    assert_eq!((says(&told), says(&unanswered)), ("paused".into(), "open".into()));
    world.server.kill();
    assert!(world.server.again());
    let again = target.next().await;
    assert_eq!((again.id(), again.json()), (unanswered.id(), unanswered.json()));
    let next = target.next().await;
    assert_eq!(says(&next), "paused");
    let ids = [&told, &unanswered, &next].map(|message| message.json()["data"]["id"].as_u64());
    assert!(ids.is_sorted() && ids[0] < ids[1] && ids[1] < ids[2], "{ids:?}");
    assert!(target.rest().is_empty());
}

#[tokio::test]
async fn a_target_that_is_gone_or_fails_for_long_is_left_alone_and_admins_hear_of_it() {
    let world = World::reaching_itself(&["webhook_first_wait_ms=0", "webhook_ms_max=500"]).await;
    let mut target = Target::new().await;
    let made = world.hook(&target).await;
    let mut notices = world.ada.notices(&world.pool, None);
    while !matches!(notices.next().await.unwrap().unwrap(), Heard::Connected) {}
    let mut ended = async || loop {
        if let Heard::Notice { notice: Notice::WebhookEnded { webhook, state, failure }, .. } =
            notices.next().await.unwrap().unwrap()
        {
            assert_eq!(webhook, made.webhook);
            return (state, failure);
        }
    };
    target.answers([Answer::Status(410)]);
    world.pause().await;
    let first = target.next().await;
    assert_eq!(ended().await, (WebhookState::Gone, "answered 410".to_owned()));
    let view = world.is(WebhookState::Gone).await;
    assert_eq!((view.failures, view.due_at), (1, None));
    world.resume().await;
    // Ten tries, and no more.
    target.answers(vec![Answer::Status(503); 10]);
    world.ada.enable_webhook(&world.pool, made.webhook).await.unwrap();
    for _ in 0..10 {
        assert_eq!(target.next().await.id(), first.id());
    }
    assert_eq!(ended().await, (WebhookState::GivenUp, "answered 503".to_owned()));
    let view = world.is(WebhookState::GivenUp).await;
    assert_eq!((view.failures, view.failure.as_deref()), (10, Some("answered 503")));
    assert!(target.rest().is_empty());
    world.ada.enable_webhook(&world.pool, made.webhook).await.unwrap();
    assert_eq!(target.next().await.id(), first.id(), "nothing is left out");
    assert_eq!(says(&target.next().await), "open");
}

#[tokio::test]
async fn a_dead_target_holds_up_no_other_and_nobody_is_followed() {
    let world = World::reaching_itself(&["webhook_ms_max=60000"]).await;
    let (mut dead, mut sly) = (Target::new().await, Target::new().await);
    let (mut endless, mut good) = (Target::new().await, Target::new().await);
    for target in [&dead, &sly, &endless, &good] {
        world.hook(target).await;
    }
    dead.answers([Answer::Nothing]);
    sly.answers([Answer::Redirect(good.url.clone())]);
    endless.answers([Answer::Endless]);
    world.pause().await;
    world.resume().await;
    assert_eq!(says(&good.next().await), "paused");
    assert_eq!(says(&good.next().await), "open");
    assert_eq!(says(&dead.next().await), "paused");
    assert_eq!(says(&sly.next().await), "paused");
    assert_eq!(says(&endless.next().await), "paused");
    assert_eq!(says(&endless.next().await), "open", "an endless answer is not heard to its end");
    let failing = eventually("the redirect has failed", async || {
        let all = world.ada.webhooks(&world.pool).await.unwrap().items;
        all.into_iter().find(|view| view.state == WebhookState::Failing)
    })
    .await;
    assert_eq!((failing.url, failing.failure), (sly.url.clone(), Some("answered 307".into())));
    assert!(dead.rest().is_empty() && good.rest().is_empty(), "and no redirect was followed");
}

#[tokio::test]
async fn targets_within_our_network_are_refused_and_pools_have_a_few_of_their_own() {
    let world = World::new(&["pool_webhooks_max=1"]).await;
    let target = Target::new().await;
    let port = target.url.rsplit_once(':').unwrap().1.to_owned();
    let make = async |url: &str| {
        let ask = MakeWebhook { url: url.to_owned(), notices: None };
        world.ada.make_webhook(&world.pool, &ask).await.map_err(|error| error.code())
    };
    let by_name = format!("https://localhost:{port}");
    for url in [&*target.url, &by_name, "https://169.254.169.254/", "https://[::ffff:7f00:1]/"] {
        assert_eq!(make(url).await, Err(Some(Code::ForbiddenTarget)), "{url}");
    }
    let made = make("https://8.8.8.8/hook").await.unwrap();
    assert_eq!(make("https://8.8.8.8/hook").await, Err(Some(Code::WebhooksFull)));
    let kinds = world.view().await.notices;
    assert_eq!(kinds.len() + 1, NoticeKind::ALL.len());
    assert!(!kinds.contains(&NoticeKind::Accepted));

    // Another pool's admin finds it nowhere.
    let bob = world.server.client();
    let signed_in = bob.sign_up(&"bob".parse().unwrap(), PASSWORD).await.unwrap();
    let bob = bob.signed_in(&signed_in.access_token);
    let pool = World::pool(&bob, "other").await;
    assert!(bob.webhooks(&pool).await.unwrap().items.is_empty());
    let code = |error: client::Error| error.code();
    for pool in [&pool, &world.pool] {
        let renewed = bob.renew_webhook(pool, made.webhook).await.map(drop);
        assert_eq!(renewed.map_err(code), Err(Some(Code::NotFound)));
        let enabled = bob.enable_webhook(pool, made.webhook).await;
        assert_eq!(enabled.map_err(code), Err(Some(Code::NotFound)));
        let removed = bob.remove_webhook(pool, made.webhook).await;
        assert_eq!(removed.map_err(code), Err(Some(Code::NotFound)));
    }
    assert_eq!(world.view().await.webhook, made.webhook);
}
