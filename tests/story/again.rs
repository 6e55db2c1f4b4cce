//! What did not go well the first time: a batch that was given up is worked on again, a result is
//! corrected, another withdrawn, and everything is delivered once more.

use schemas::api::{BatchView, DeliveryState, DeliveryView, ResultReceipt, ResultView};
use schemas::id::ResultId;
use schemas::problem::Code;

use super::person::{Person, end};
use super::stage::{Stage, eventually};

const POOL: &str = "second-try";
/// What a command ends with when the server refuses what is asked.
const REFUSED: i32 = 1;

/// Sends a file and closes its window; gives its batch.
async fn batch_of(ada: &Person, buoy: &Person, name: &str, day: u32) -> BatchView {
    std::fs::write(buoy.folder.join(name), name).unwrap();
    buoy.says(["push", name, "--at", &format!("2026-11-{day:02}T10:30:00Z")]).await;
    ada.says(["pool", "close", POOL]).await;
    eventually("the batch is shown", async || {
        let batches: Vec<BatchView> = ada.reads(["batches"]).await;
        batches
            .into_iter()
            .find(|batch| batch.window.start.to_string().starts_with(&format!("2026-11-{day:02}")))
    })
    .await
}

async fn results(person: &Person) -> Vec<ResultView> {
    person.reads(["result", "list"]).await
}

/// How far a result has come to each member that is listed.
async fn states(ada: &Person, of: ResultId, more: &[&str]) -> Vec<DeliveryState> {
    let id = of.to_string();
    let rows: Vec<DeliveryView> =
        ada.reads(["deliveries", id.as_str()].into_iter().chain(more.iter().copied())).await;
    rows.iter().map(|row| row.state).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_went_wrong_is_put_right_and_everybody_hears_of_it() {
    let stage = Stage::new(None);
    let ada = Person::signs_up(&stage, "ada", POOL).await;
    let daily = ["--set", "windows.kind=tumbling", "--set", "windows.period_ms=1d"];
    let patient = ["--set", "max_wait_ms=31d", "--set", "attempts_max=1"];
    ada.says(["pool", "create", POOL, "--every", "1d"].into_iter().chain(daily).chain(patient))
        .await;
    let buoy = Person::joins(&stage, "buoy", &ada, "contributor").await;
    let worker = Person::joins(&stage, "worker", &ada, "processor").await;
    let work = |exec: &'static str| ["work", "--once", "--exec", exec, "--name", "r.txt"];

    // A worker gives up; nobody can claim the batch until ada has it retried.
    let batch = batch_of(&ada, &buoy, "a", 20).await;
    worker.ends_with(REFUSED, work("exit 3")).await;
    let failed = async || {
        let view: Vec<BatchView> = ada.reads(["batches"]).await;
        view[0].failed.then_some(())
    };
    eventually("the batch has failed", failed).await;
    let waiting =
        worker.begins(["work", "--exec", "echo wrong > $SLUICE_OUTPUT", "--name", "r.txt"]);
    ada.says(["batch", "retry", &batch.batch.to_string()]).await;
    ada.ends_with(REFUSED, ["batch", "retry", "0199f3a2-5c1e-7d53-b0a4-3d2f0c7f9a11"]).await;
    let first = eventually("its result is there", async || results(&ada).await.pop()).await;
    end(waiting).await;

    // Buoy has it, the worker has not: the one gets a correction, the other only that.
    assert_eq!(buoy.receives(1, &[]).await[0].result.result, first.result);
    std::fs::write(ada.folder.join("right.txt"), "right").unwrap();
    let id = first.result.to_string();
    let made: Vec<ResultReceipt> = ada.reads(["result", "correct", &id, "right.txt"]).await;
    assert_eq!(made[0].supersedes, Some(first.result));
    let again: Vec<ResultReceipt> = ada.reads(["result", "correct", &id, "right.txt"]).await;
    assert!(again[0].repeated && again[0].result == made[0].result);
    let got = buoy.receives(1, &[]).await;
    assert_eq!((got[0].result.result, got[0].result.correction), (made[0].result, 1));
    let got = worker.receives(1, &[]).await;
    assert_eq!(got[0].result.result, made[0].result, "not what it corrects");
    let shown = results(&ada).await;
    assert_eq!(shown[0].corrected_by, Some(made[0].result));
    let told = states(&ada, first.result, &[]).await;
    assert!(told.contains(&DeliveryState::Superseded), "{told:?}");
    assert_eq!(states(&ada, first.result, &["--missing"]).await, []);
    withdrawn_and_once_more(&stage, [&ada, &buoy, &worker], made[0].result).await;
    stage.end();
}

/// The latest is withdrawn, and what is left is delivered once more.
async fn withdrawn_and_once_more(stage: &Stage, people: [&Person; 3], kept: ResultId) {
    let [ada, buoy, worker] = people;
    batch_of(ada, buoy, "b", 21).await;
    worker.says(["work", "--once", "--exec", "echo bad > $SLUICE_OUTPUT", "--name", "r.txt"]).await;
    let bad = eventually("its result is there", async || {
        results(ada).await.pop().filter(|last| last.result != kept)
    })
    .await;
    ada.says(["result", "withdraw", &bad.result.to_string()]).await;
    eventually("it is withdrawn", async || {
        results(ada).await.pop().and_then(|last| last.withdrawn_at)
    })
    .await;
    let client = stage.server.client();
    let client = client.signing_in("ada".parse().unwrap(), super::person::PASSWORD);
    let pool = POOL.parse().unwrap();
    let gone = client.latest_result(&pool).await.unwrap_err();
    assert_eq!(gone.code().map(Code::as_str), Some("result-withdrawn"));
    let to = ada.folder.join("gone");
    let fetched = client.fetch_result(&pool, &bad, &to, &client::Progress::none()).await;
    assert_eq!(fetched.unwrap_err().code().map(Code::as_str), Some("result-withdrawn"));
    assert_eq!(states(ada, bad.result, &["--missing"]).await, [], "nobody is to get it");

    // Buoy lost its files; what it had, it gets once more, but for what is owed to nobody.
    std::fs::remove_dir_all(buoy.folder.join("results")).unwrap();
    ada.says(["result", "redeliver", "--from", "0"]).await;
    let again: Vec<DeliveryState> = states(ada, kept, &["--missing"]).await;
    assert!(again.contains(&DeliveryState::Acknowledged), "its receipt stays: {again:?}");
    let got = buoy.receives(1, &[]).await;
    assert_eq!(got[0].result.result, kept);
    let after: Vec<DeliveryView> = ada.reads(["deliveries", &kept.to_string()]).await;
    let buoys =
        after.iter().find(|row| row.user_name.as_ref().is_some_and(|name| name.as_str() == "buoy"));
    assert!(!buoys.unwrap().again, "acknowledged once more");
}
