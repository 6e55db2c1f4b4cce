//! Claims, renewals and failures.

use std::pin::pin;

use schemas::event::ClaimRequested;
use schemas::id::ClaimId;

use super::uploads::{Scene, send};
use super::*;

/// A pool with a worker.
pub(super) struct Shop {
    pub(super) scene: Scene,
    pub(super) worker: User,
}

impl Shop {
    pub(super) async fn new() -> Self {
        let scene = Scene::plain().await;
        let worker = scene.here.member(&scene.pool, &scene.owner, "worker", "processor").await;
        Self { scene, worker }
    }

    /// Closes a window with a file in it: a batch is ready.
    pub(super) async fn ready(&self) {
        let Scene { here, pool, sender, owner, .. } = &self.scene;
        send(here, pool, sender, "a.txt", "hello").await;
        let told = here.post(&self.path("windows/close"), owner, json!({})).await;
        assert_eq!(told.status, StatusCode::NO_CONTENT);
    }

    pub(super) fn path(&self, rest: &str) -> String {
        format!("/v1/pools/{}/{rest}", self.scene.pool)
    }

    async fn claim(&self, claim: u128, wait_ms: u64) -> Told {
        self.claim_by(&self.worker, claim, wait_ms).await
    }

    async fn claim_by(&self, by: &User, claim: u128, wait_ms: u64) -> Told {
        let body = json!({ "claim": ClaimId::from_bits(claim), "wait_ms": wait_ms });
        self.scene.here.post(&self.path("claims"), by, body).await
    }

    /// Claims that were appended.
    async fn claims(&self) -> Vec<ClaimRequested> {
        let events = self.scene.world.events(&self.scene.pool).await.into_iter();
        let claim = |event| match event {
            Event::ClaimRequested(claim) => Some(claim),
            _ => None,
        };
        events.filter_map(claim).collect()
    }

    /// Returns once so many claims wait.
    async fn parked(&self, count: i64) {
        while self.scene.here.state.metrics.parked.get() != count {
            tokio::task::yield_now().await;
        }
    }

    fn claimable(&self, claimable: bool) {
        self.scene.world.tables.tell(|rows| rows.claimable = claimable);
    }

    async fn renew(&self, by: &User, batch: &Value, epoch: u64) -> Told {
        let path = self.path(&format!("batches/{}/renew", batch.as_str().unwrap()));
        self.scene.here.post(&path, by, json!({ "epoch": epoch })).await
    }

    async fn fail(&self, batch: &Value, epoch: u64, reason: &str) -> Told {
        let path = self.path(&format!("batches/{}/fail", batch.as_str().unwrap()));
        let body = json!({ "epoch": epoch, "reason": reason });
        self.scene.here.post(&path, &self.worker, body).await
    }
}

#[tokio::test]
async fn nothing_is_appended_while_there_is_nothing_to_claim() {
    let shop = Shop::new().await;
    assert_eq!(shop.claim(1, 0).await.status, StatusCode::NO_CONTENT);
    assert!(shop.claims().await.is_empty());
    let told = shop.claim(1, 60_001).await;
    assert_eq!(told.refused(), (422, "invalid-field"));
    assert_eq!(shop.claim_by(&shop.scene.sender, 1, 0).await.refused(), (403, "forbidden"));
}

#[tokio::test]
async fn a_batch_that_is_ready_is_leased_at_once() {
    let shop = Shop::new().await;
    shop.ready().await;
    shop.claimable(true);
    let told = shop.claim(1, 0).await;
    assert_eq!(told.status, StatusCode::CREATED, "{told:?}");
    assert_eq!((&told.body["epoch"], &told.body["attempt"]), (&1.into(), &1.into()));
    assert_eq!((&told.body["revision"], &told.body["lease_ms"]), (&1.into(), &600_000.into()));
    assert_eq!(told.body["expires_at"], "2026-11-21T10:40:00.000Z");
    let batch = told.body["batch"].as_str().unwrap();
    assert_eq!(told.header("location"), format!("/v1/pools/north-sea/batches/{batch}"));
    let claims = shop.claims().await;
    assert_eq!((claims.len(), claims[0].deadline.millis()), (1, NOW + 5_000));
    // The same claim once more gives the same lease, whatever the tables say.
    shop.claimable(false);
    assert_eq!(shop.claim(1, 0).await.body, told.body);
    // Another finds nothing, and says so once the wait ends.
    shop.claimable(true);
    assert_eq!(shop.claim(2, 0).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_claim_waits_for_a_batch_and_no_longer() {
    let shop = Shop::new().await;
    {
        let mut waiting = pin!(shop.claim(1, 30_000));
        tokio::select! {
            told = &mut waiting => panic!("{told:?}"),
            () = shop.parked(1) => {}
        }
        shop.ready().await;
        assert_eq!(waiting.await.status, StatusCode::CREATED);
    }
    let mut waiting = pin!(shop.claim(2, 30_000));
    tokio::select! {
        told = &mut waiting => panic!("{told:?}"),
        () = shop.parked(1) => {}
    }
    shop.scene.world.clock.advance(29_999);
    assert!(futures_util::poll!(&mut waiting).is_pending());
    shop.scene.world.clock.advance(1);
    assert_eq!(waiting.await.status, StatusCode::NO_CONTENT);
    assert_eq!(shop.claims().await.len(), 1, "the second never hoped");
}

#[tokio::test]
async fn of_many_who_wait_each_batch_wakes_one_and_the_log_is_not_flooded() {
    let shop = Shop::new().await;
    let mut waiting: Vec<_> = (1..=50).map(|n| Box::pin(shop.claim(n, 60_000))).collect();
    let mut all = pin!(futures_util::future::join_all(waiting.iter_mut().map(|it| it.as_mut())));
    tokio::select! {
        told = &mut all => panic!("{told:?}"),
        () = shop.parked(50) => {}
    }
    let close = async {
        shop.ready().await;
        shop.ready().await;
        // Until both are leased and the others know that there is nothing more.
        while shop.scene.here.state.metrics.parked.get() != 48 {
            tokio::task::yield_now().await;
        }
        shop.scene.world.clock.advance(60_000);
    };
    let (told, ()) = tokio::join!(&mut all, close);
    let leased = told.iter().filter(|told| told.status == StatusCode::CREATED).count();
    assert_eq!(leased, 2);
    let claims = shop.claims().await.len();
    assert!((2..=4).contains(&claims), "{claims} claims for two batches");
}

#[tokio::test]
async fn a_batch_that_is_given_back_wakes_who_waits() {
    let shop = Shop::new().await;
    shop.ready().await;
    shop.claimable(true);
    let batch = shop.claim(1, 0).await.body["batch"].clone();
    shop.claimable(false);
    let mut waiting = pin!(shop.claim(2, 30_000));
    tokio::select! {
        told = &mut waiting => panic!("{told:?}"),
        () = shop.parked(1) => {}
    }
    let given = shop.fail(&batch, 1, "out of memory").await;
    assert_eq!(given.status, StatusCode::NO_CONTENT, "{given:?}");
    assert_eq!(waiting.await.body["batch"], batch);
    assert_eq!(shop.fail(&batch, 7, "x").await.refused(), (409, "stale-lease"));
    let long = shop.fail(&batch, 1, &"x".repeat(501)).await;
    assert_eq!(long.refused(), (422, "invalid-field"));
}

#[tokio::test]
async fn a_batch_that_is_retried_wakes_who_waits() {
    let shop = Shop::new().await;
    shop.ready().await;
    shop.claimable(true);
    let batch = shop.claim(1, 0).await.body["batch"].clone();
    let path = |act: &str| shop.path(&format!("batches/{}/{act}", batch.as_str().unwrap()));
    let (here, owner) = (&shop.scene.here, &shop.scene.owner);
    let retry = async |by: &User| here.post(&path("retry"), by, json!({})).await;
    assert_eq!(retry(owner).await.refused(), (409, "not-failed"));
    let body = json!({ "epoch": 1, "reason": "x", "retryable": false });
    assert_eq!(here.post(&path("fail"), &shop.worker, body).await.status, StatusCode::NO_CONTENT);
    shop.claimable(false);
    let mut waiting = pin!(shop.claim(2, 30_000));
    tokio::select! {
        told = &mut waiting => panic!("{told:?}"),
        () = shop.parked(1) => {}
    }
    assert_eq!(retry(&shop.worker).await.refused(), (403, "forbidden"));
    let retried = retry(owner).await;
    assert_eq!(retried.status, StatusCode::NO_CONTENT, "{retried:?}");
    assert!(retried.header("sluice-position").starts_with("north-sea:"));
    assert_eq!(waiting.await.body["batch"], batch);
    shop.scene.world.mute(true);
    let pending = here.hurried(retry(owner)).await;
    assert_eq!(pending.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_claim_without_tables_or_answers_is_honest() {
    let shop = Shop::new().await;
    shop.ready().await;
    shop.scene.world.tables.tell(|rows| rows.away = true);
    shop.scene.world.mute(true);
    let told = shop.scene.here.hurried(shop.claim(1, 0)).await;
    assert_eq!(told.refused(), (503, "outcome-unknown"));
    shop.scene.world.mute(false);
    shop.scene.world.tables.tell(|rows| rows.away = false);
    let again = shop.claim(1, 0).await;
    assert_eq!(again.status, StatusCode::CREATED, "the same claim hears what became of it");
    let other =
        shop.scene.here.member(&shop.scene.pool, &shop.scene.owner, "w2", "processor").await;
    let stolen = shop.claim_by(&other, 1, 0).await;
    assert_eq!(stolen.refused(), (409, "stale-lease"), "a claim is its worker's");
}

#[tokio::test]
async fn a_lease_is_renewed_at_first_and_then_at_a_third_of_it() {
    let shop = Shop::new().await;
    shop.ready().await;
    shop.claimable(true);
    let batch = shop.claim(1, 0).await.body["batch"].clone();
    let renewals = async || {
        let events = shop.scene.world.events(&shop.scene.pool).await;
        events.iter().filter(|event| matches!(event, Event::LeaseRenewed(_))).count()
    };
    let clock = &shop.scene.world.clock;
    clock.advance(1_000);
    let first = shop.renew(&shop.worker, &batch, 1).await;
    assert_eq!(first.status, StatusCode::OK, "{first:?}");
    assert_eq!(first.body["expires_at"], "2026-11-21T10:40:01.000Z");
    assert!(first.header("sluice-position").starts_with("north-sea:"));
    clock.advance(199_999);
    let early = shop.renew(&shop.worker, &batch, 1).await;
    assert_eq!((early.body, renewals().await), (first.body, 1));
    clock.advance(1);
    let third = shop.renew(&shop.worker, &batch, 1).await;
    assert_eq!(third.body["expires_at"], "2026-11-21T10:43:21.000Z");
    assert_eq!(renewals().await, 2);
    let stale = shop.renew(&shop.worker, &batch, 2).await;
    assert_eq!(stale.refused(), (409, "stale-lease"));
    // One that was given back is not answered for from memory.
    shop.fail(&batch, 1, "x").await;
    assert_eq!(shop.renew(&shop.worker, &batch, 1).await.refused(), (409, "stale-lease"));
    shop.scene.world.mute(true);
    let unknown = shop.scene.here.hurried(shop.renew(&shop.worker, &batch, 1)).await;
    assert_eq!(unknown.refused(), (503, "outcome-unknown"));
    let pending = shop.scene.here.hurried(shop.fail(&batch, 1, "x")).await;
    assert_eq!(pending.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_claim_ends_with_the_session_that_waits() {
    let shop = Shop::new().await;
    let here = &shop.scene.here;
    let sign_out = async {
        shop.parked(1).await;
        let path = "/auth/logout/worker";
        let told = here.json(Method::PUT, path, &shop.worker, json!({})).await;
        assert!(told.status.is_success(), "{told:?}");
    };
    // The clock stands still: it is not the end of its patience that ends it.
    let (told, ()) = tokio::join!(shop.claim(1, 60_000), sign_out);
    assert_eq!(told.status, StatusCode::NO_CONTENT);
    assert_eq!((shop.claims().await.len(), here.state.metrics.parked.get()), (0, 0));
}
