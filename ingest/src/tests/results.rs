//! Results of workers, and what members say of those they have.

use http::header::HeaderName;
use infra::known::KnownDelivery;
use schemas::api::StatedOf;
use schemas::digest::Digest;
use schemas::event::{CloseReason, Delivery};
use schemas::id::{BatchId, ResultId};
use schemas::time::LogTime;

use super::doors::Mood;
use super::uploads::Scene;
use super::work::Shop;
use super::*;

/// A batch being worked on.
struct Job {
    shop: Shop,
    batch: BatchId,
    manifest: Digest,
}

impl Job {
    async fn new() -> Self {
        let shop = Shop::new().await;
        shop.ready().await;
        shop.scene.world.tables.tell(|rows| rows.claimable = true);
        let claim = json!({ "claim": "0199f3a2-5c1e-7d53-b0a4-3d2f0c7f9a11" });
        let lease = shop.scene.here.post(&shop.path("claims"), &shop.worker, claim).await.body;
        let batch: BatchId = lease["batch"].as_str().unwrap().parse().unwrap();
        let manifest = fold::ready(batch, CloseReason::Asked).closed.manifest_sha256;
        Self { shop, batch, manifest }
    }

    fn query(&self, epoch: &str) -> String {
        let manifest = self.manifest;
        format!("name=mean.csv&revision=1{epoch}&manifest_sha256={manifest}")
    }

    async fn offer(&self, query: &str, more: &[(&'static str, &str)], bytes: &str) -> Told {
        let path = self.shop.path(&format!("batches/{}/result?{query}", self.batch));
        let mut request = Request::post(path).body(Body::from(bytes.to_owned())).unwrap();
        let usual = [
            ("authorization", format!("Bearer {}", self.shop.worker.token)),
            ("content-type", "text/csv".into()),
            ("content-length", bytes.len().to_string()),
        ];
        let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
        for (name, value) in usual.into_iter().chain(more) {
            request.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        self.shop.scene.here.send(request).await
    }

    /// Keys of results in the store.
    async fn results(&self) -> usize {
        let objects = self.shop.scene.world.blobs.objects().await;
        objects.iter().filter(|key| key.as_str().starts_with("r/")).count()
    }
}

#[tokio::test]
async fn a_result_is_published_and_a_repeat_is_the_same_result() {
    let job = Job::new().await;
    let told = job.offer(&job.query("&epoch=1"), &[], "a,b\n1,2\n").await;
    assert_eq!(told.status, StatusCode::CREATED, "{told:?}");
    let result = ResultId::of(job.batch, 1);
    assert_eq!(told.header("location"), format!("/v1/pools/north-sea/results/{result}"));
    assert!(told.header("sluice-position").starts_with("north-sea:"));
    assert!(told.header("repr-digest").starts_with("sha-256=:"));
    let body = &told.body;
    assert_eq!((&body["result"], &body["repeated"]), (&json!(result), &false.into()));
    assert_eq!((&body["name"], &body["size_bytes"]), (&"mean.csv".into(), &8.into()));
    let (stated, batch) = (told.stated(&job.shop.scene.here), job.batch);
    assert_eq!(stated.of, StatedOf::Result { result, batch, revision: 1 });
    assert_eq!((&body["seq"], stated.sha256), (&stated.offset.into(), Digest::of(b"a,b\n1,2\n")));
    assert!(stated.topic.ends_with(".batches"));
    let row = (stated.offset, stated.sha256);
    job.shop.scene.world.tables.tell(|rows| _ = rows.results.insert(result, row));
    let again = job.offer(&job.query("&epoch=1"), &[], "a,b\n1,2\n").await;
    assert_eq!((again.status, &again.body["result"]), (StatusCode::OK, &json!(result)));
    assert_eq!((&again.body["repeated"], job.results().await), (&true.into(), 1));
    assert_eq!(again.body["receipt"], body["receipt"]);
    assert_eq!(again.body["seq"], body["seq"]);
    let other = job.offer(&job.query("&epoch=1"), &[], "a,b\n3,4\n").await;
    assert_eq!(other.refused(), (409, "result-exists"));
    assert_eq!(job.results().await, 1, "what does not count is not kept");
}

#[tokio::test]
async fn results_that_do_not_count_are_refused_and_leave_nothing() {
    let job = Job::new().await;
    let query = job.query("&epoch=1");
    let elsewhere = format!("name=x.csv&revision=1&manifest_sha256={}", Digest::of(b""));
    let digest = "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:";
    for (query, more, bytes, expected) in [
        (&job.query("&epoch=2"), &[][..], "x", (409, "stale-lease")),
        (&elsewhere, &[], "x", (409, "other-manifest")),
        (&query, &[], "", (422, "empty-file")),
        (&query, &[("content-digest", digest)], "x", (400, "digest-mismatch")),
        (&query, &[("content-type", "image/png")], "x", (422, "type-mismatch")),
        (&query, &[], "<script>", (415, "forbidden-file-type")),
        (&query.replace("mean.csv", "mean.exe"), &[], "x", (415, "forbidden-file-type")),
        (&query.replace("mean.csv", "%2F"), &[], "x", (422, "invalid-file-name")),
        (&query.replace("revision=1", "revision=x"), &[], "x", (400, "invalid-request")),
        (
            &query.replace("manifest_sha256=", "manifest_sha256=x"),
            &[],
            "x",
            (400, "invalid-request"),
        ),
    ] {
        let told = job.offer(query, more, bytes).await;
        assert_eq!(told.refused(), expected, "{query} {told:?}");
        assert_eq!(job.results().await, 0, "{query}");
    }
    let other = Job { batch: BatchId::from_bits(77), ..job };
    assert_eq!(other.offer(&query, &[], "x").await.refused(), (404, "not-found"));
    assert_eq!(other.results().await, 0);
}

#[tokio::test]
async fn a_result_without_an_answer_stays_and_one_not_said_does_not() {
    let job = Job::new().await;
    let query = job.query("");
    let log = &job.shop.scene.here.append;
    log.mood(Mood::Refuses, ".events");
    assert_eq!(job.offer(&query, &[], "x").await.refused(), (503, "unavailable"));
    assert_eq!(job.results().await, 0);
    log.mood(Mood::Loses, ".events");
    assert_eq!(job.offer(&query, &[], "x").await.refused(), (503, "outcome-unknown"));
    assert_eq!(job.results().await, 1);
    log.mood(Mood::Well, "");
    job.shop.scene.world.mute(true);
    let told = job.shop.scene.here.hurried(job.offer(&query, &[], "x")).await;
    let result = ResultId::of(job.batch, 1);
    let place = format!("/v1/pools/north-sea/results/{result}");
    assert_eq!((told.status, told.header("location")), (StatusCode::ACCEPTED, place.as_str()));
    assert_eq!(job.results().await, 2);
}

#[tokio::test]
async fn a_member_acknowledges_what_it_has() {
    let job = Job::new().await;
    let scene = &job.shop.scene;
    let result = ResultId::of(job.batch, 1);
    let path = job.shop.path(&format!("results/{result}/ack"));
    let ack = async |by: &User, of: &[u8]| {
        scene.here.post(&path, by, json!({ "sha256": Digest::of(of) })).await
    };
    assert_eq!(ack(&scene.sender, b"x").await.refused(), (404, "not-found"));
    scene.world.tables.tell(|rows| _ = rows.results.insert(result, (7, Digest::of(b"x"))));
    let had = ack(&scene.sender, b"x").await;
    let member = scene.sender.account;
    assert_eq!((had.status, &had.body["state"]), (StatusCode::OK, &"acknowledged".into()));
    let stated = had.stated(&scene.here);
    assert_eq!(stated.of, StatedOf::Delivery { result, member });
    assert_eq!((stated.offset, stated.sha256), (0, Digest::of(b"x")));
    assert!(stated.topic.ends_with(".deliveries"));
    let again = ack(&scene.sender, b"x").await;
    assert_eq!(again.body, had.body, "and no second event");
    let failed = json!({ "result": result, "member": member, "state": "failed" });
    assert_eq!(ack(&scene.sender, b"y").await.body, failed);
    let said: Vec<Delivery> = scene.world.said(&Topic::deliveries(&scene.pool)).await;
    match &said[..] {
        [Delivery::DeliveryAcknowledged(acknowledged), Delivery::DeliveryFailed(failed)] => {
            assert_eq!((acknowledged.seq, acknowledged.member), (7, scene.sender.account));
            assert_eq!((failed.seq, failed.sha256), (7, Digest::of(b"y")));
        }
        other => panic!("{other:?}"),
    }
    let eve = scene.here.user("eve").await;
    assert_eq!(ack(&eve, b"x").await.refused(), (404, "not-found"), "a stranger");
    scene.world.tables.tell(|rows| rows.away = true);
    assert_eq!(ack(&scene.sender, b"x").await.refused(), (503, "unavailable"));
    scene.world.tables.tell(|rows| rows.away = false);
    scene.here.append.mood(Mood::Refuses, ".deliveries");
    assert_eq!(ack(&scene.sender, b"y").await.refused(), (503, "unavailable"));
    // Another instance has it from the tables, and without them says it once more.
    let there = scene.world.instance().await;
    let delivery = KnownDelivery { offset: 0, at: LogTime::from_millis(stated.at.millis()) };
    scene.world.tables.tell(|rows| _ = rows.acknowledged.insert((result, member), delivery));
    let later = there.post(&path, &scene.sender, json!({ "sha256": Digest::of(b"x") })).await;
    assert_eq!(later.body, had.body);
    let said: Vec<Delivery> = scene.world.said(&Topic::deliveries(&scene.pool)).await;
    assert_eq!(said.len(), 2);
}

impl Job {
    /// Has the result published and the tables know of it.
    async fn done(&self) -> ResultId {
        let told = self.offer(&self.query("&epoch=1"), &[], "wrong").await;
        assert_eq!(told.status, StatusCode::CREATED, "{told:?}");
        let result = ResultId::of(self.batch, 1);
        let row = (told.body["seq"].as_u64().unwrap(), Digest::of(b"wrong"));
        self.shop.scene.world.tables.tell(|rows| _ = rows.results.insert(result, row));
        result
    }

    async fn correct(&self, by: &User, of: ResultId, bytes: &str) -> Told {
        let path = self.shop.path(&format!("results/{of}/correct?name=right.csv"));
        let request = Request::post(path)
            .header("authorization", format!("Bearer {}", by.token))
            .header("content-type", "text/csv")
            .header("content-length", bytes.len())
            .body(Body::from(bytes.to_owned()));
        self.shop.scene.here.send(request.unwrap()).await
    }
}

#[tokio::test]
async fn an_owner_corrects_a_result_and_a_repeat_is_the_same_correction() {
    let job = Job::new().await;
    let result = job.done().await;
    let owner = &job.shop.scene.owner;
    assert_eq!(job.correct(&job.shop.worker, result, "right").await.refused(), (403, "forbidden"));
    let unknown = ResultId::of(job.batch, 9);
    assert_eq!(job.correct(owner, unknown, "right").await.refused(), (404, "not-found"));
    assert_eq!(job.correct(owner, result, "").await.refused(), (422, "empty-file"));
    assert_eq!(job.results().await, 1, "nothing is left of those");
    let told = job.correct(owner, result, "right").await;
    assert_eq!(told.status, StatusCode::CREATED, "{told:?}");
    let corrected = ResultId::corrected(job.batch, 1, 1);
    assert_eq!(
        (&told.body["result"], &told.body["supersedes"]),
        (&json!(corrected), &json!(result))
    );
    assert_eq!(told.header("location"), format!("/v1/pools/north-sea/results/{corrected}"));
    let (stated, batch) = (told.stated(&job.shop.scene.here), job.batch);
    assert_eq!(stated.of, StatedOf::Result { result: corrected, batch, revision: 1 });
    assert_eq!((stated.sha256, job.results().await), (Digest::of(b"right"), 2));
    let again = job.correct(owner, result, "right").await;
    assert_eq!((again.status, &again.body["result"]), (StatusCode::OK, &json!(corrected)));
    assert_eq!((&again.body["repeated"], job.results().await), (&true.into(), 2));
    let row = (0, Digest::of(b"right"));
    job.shop.scene.world.tables.tell(|rows| _ = rows.results.insert(corrected, row));
    let stale = job.correct(owner, corrected, "other").await;
    assert_eq!((stale.refused(), job.results().await), ((409, "result-superseded"), 2));
    job.shop.scene.world.mute(true);
    let told = job.shop.scene.here.hurried(job.correct(owner, result, "late")).await;
    assert_eq!(told.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn an_owner_withdraws_results_and_has_them_delivered_once_more() {
    let job = Job::new().await;
    let result = job.done().await;
    let Scene { here, owner, sender, pool, world, .. } = &job.shop.scene;
    let withdraw = job.shop.path(&format!("results/{result}/withdraw"));
    assert_eq!(here.post(&withdraw, sender, json!({})).await.refused(), (403, "forbidden"));
    let told = here.post(&withdraw, owner, json!({})).await;
    assert_eq!(told.status, StatusCode::NO_CONTENT, "{told:?}");
    assert!(told.header("sluice-position").starts_with("north-sea:"));
    let unknown = job.shop.path(&format!("results/{}/withdraw", ResultId::of(job.batch, 9)));
    assert_eq!(here.post(&unknown, owner, json!({})).await.refused(), (404, "not-found"));
    let again = job.shop.path("redeliveries");
    assert_eq!(here.post(&again, sender, json!({ "from_seq": 0 })).await.refused().0, 403);
    let told = here.post(&again, owner, json!({ "from_seq": 0 })).await;
    assert_eq!(told.status, StatusCode::NO_CONTENT, "{told:?}");
    let nobody = json!({ "from_seq": 0, "member": AccountId::from_bits(9) });
    assert_eq!(here.post(&again, owner, nobody).await.refused(), (404, "not-found"));
    // What is acknowledged once more is said once more, and its receipt is that of the first time.
    let path = job.shop.path(&format!("results/{result}/ack"));
    let ack = async || here.post(&path, sender, json!({ "sha256": Digest::of(b"wrong") })).await;
    let first = ack().await;
    world.tables.tell(|rows| rows.again = Some(40));
    let second = ack().await;
    assert_eq!(second.body, first.body);
    let said: Vec<Delivery> = world.said(&Topic::deliveries(pool)).await;
    let redeliveries = said.iter().map(|said| match said {
        Delivery::DeliveryAcknowledged(said) => said.redelivery,
        other => panic!("{other:?}"),
    });
    assert_eq!(redeliveries.collect::<Vec<_>>(), [None, Some(40)]);
}
