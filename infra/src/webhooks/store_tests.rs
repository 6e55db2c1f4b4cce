//! What is kept of webhooks, in a file.

use std::sync::Arc;

use schemas::api::{MakeWebhook, WebhookState};
use schemas::id::AccountId;
use schemas::limit::Limits;
use schemas::name::PoolName;
use schemas::time::Wall;

use super::store::{Ended, MakeError, OLD_SECRET_MS, Progress, Webhooks, Which};
use crate::clock::{Clock as _, ManualClock};
use crate::kept::SqliteKept;

struct Rig {
    webhooks: Arc<Webhooks>,
    clock: Arc<ManualClock>,
    _folder: tempfile::TempDir,
}

async fn rig(pool_max: u64, all_max: u64) -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let kept = Arc::new(SqliteKept::open(&folder.path().join("kept")).await.unwrap());
    let clock = ManualClock::at(Wall::from_millis(1_000_000));
    let limits = Limits { pool_webhooks_max: pool_max, webhooks_max: all_max, ..Limits::default() };
    let webhooks = Webhooks::open(kept, clock.clone(), &limits).await.unwrap();
    Rig { webhooks, clock, _folder: folder }
}

impl Rig {
    async fn make(&self, pool: &str) -> Result<Which, MakeError> {
        let pool: PoolName = pool.parse().unwrap();
        let ask = MakeWebhook { url: "https://example.com/".into(), notices: None };
        let made = self.webhooks.make(pool.clone(), AccountId::from_bits(1), ask).await?;
        Ok(Which { pool, webhook: made.webhook })
    }
}

#[tokio::test]
async fn each_has_its_own_progress_over_all_pages() {
    let rig = rig(10, 100).await;
    let mut made = Vec::new();
    for pool in ["one", "two", "one", "two", "six", "one", "six"] {
        rig.clock.advance(1);
        made.push(rig.make(pool).await.unwrap());
    }
    for (which, next) in made.iter().zip(1..).filter(|(_, next)| next % 2 == 1) {
        let progress = Progress { next, ..Progress::default() };
        rig.webhooks.reached(which, 1, progress).await.unwrap();
    }
    // One that is gone, whose lane said something more.
    assert!(rig.webhooks.remove(&made[0]).await.unwrap());
    let late = Progress { next: 77, ..Progress::default() };
    rig.webhooks.reached(&made[0], 1, late).await.unwrap();
    assert!(!rig.webhooks.remove(&made[0]).await.unwrap());
    let all = rig.webhooks.all().await.unwrap();
    assert_eq!(all.len(), 6);
    for webhook in all {
        let at = made.iter().position(|which| *which == webhook.which).unwrap();
        let next = webhook.progress.as_ref().map(|progress| progress.next);
        assert_eq!(next, (at % 2 == 0).then_some(at as u64 + 1), "{at}");
        assert_eq!(rig.webhooks.one(&webhook.which).await.unwrap(), Some(webhook));
    }
    let of_one = rig.webhooks.of_pool(&"one".parse().unwrap()).await.unwrap();
    let ids: Vec<_> = of_one.iter().map(|webhook| webhook.which.clone()).collect();
    assert_eq!(ids, [made[2].clone(), made[5].clone()], "the oldest first");
}

#[tokio::test]
async fn a_secret_that_was_renewed_signs_for_a_day_beside_the_new_one() {
    let rig = rig(10, 100).await;
    let which = rig.make("one").await.unwrap();
    let keys = async || rig.webhooks.one(&which).await.unwrap().unwrap().keys;
    let first = keys().await;
    let renewed = rig.webhooks.renew(&which).await.unwrap().unwrap();
    let both = keys().await;
    assert_eq!(both.len(), 2);
    assert_eq!((both[0].shown(), &both[1]), (renewed.secret, &first[0]));
    let until = renewed.old_secret_until.unwrap();
    assert_eq!(until, rig.clock.now().plus(OLD_SECRET_MS));
    rig.clock.advance(OLD_SECRET_MS);
    assert_eq!(keys().await, both[..1]);
    assert_eq!(
        rig.webhooks.renew(&Which { pool: "two".parse().unwrap(), ..which }).await,
        Ok(None)
    );
}

#[tokio::test]
async fn what_deliveries_came_to_counts_until_it_is_enabled_again() {
    let rig = rig(10, 100).await;
    let which = rig.make("one").await.unwrap();
    let progress = Progress {
        next: 5,
        failures: 10,
        failure: Some("answered 500".into()),
        ended: Some(Ended::GivenUp),
        ..Progress::default()
    };
    rig.webhooks.reached(&which, 1, progress.clone()).await.unwrap();
    let ended = rig.webhooks.one(&which).await.unwrap().unwrap();
    assert!(!ended.is_live() && ended.view().state == WebhookState::GivenUp);
    let mut changes = rig.webhooks.subscribe();
    assert!(rig.webhooks.enable(&which, true).await.unwrap() && changes.has_changed().unwrap());
    changes.borrow_and_update();
    // A lane that ends only now cannot end it again.
    rig.webhooks.reached(&which, 1, progress).await.unwrap();
    let again = rig.webhooks.one(&which).await.unwrap().unwrap();
    let told = Progress { next: 5, ..Progress::default() };
    assert_eq!((again.is_live(), again.progress), (true, Some(told)));
    assert!(rig.webhooks.enable(&which, false).await.unwrap());
    let off = rig.webhooks.one(&which).await.unwrap().unwrap();
    assert!(!off.is_live() && off.view().state == WebhookState::Disabled);
}

#[tokio::test]
async fn there_are_as_many_as_there_may_be() {
    let rig = rig(2, 3).await;
    for pool in ["one", "one", "two"] {
        rig.make(pool).await.unwrap();
    }
    assert_eq!(rig.make("one").await.unwrap_err(), MakeError::Full);
    assert_eq!(rig.make("two").await.unwrap_err(), MakeError::Full, "of all pools together");
}
