//! Photos of an afternoon: by the hour they become contact sheets, also those of two people who
//! were out of reach.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use schemas::api::{BatchView, DeliveryState, DeliveryView, UploadState, UploadView};
use schemas::event::CloseReason;
use schemas::id::ResultId;
use schemas::time::EffectiveAt;

use super::person::{Person, Received, end, quoted};
use super::sheet;
use super::stage::{Stage, eventually, example};
use crate::broker::Broker;

const POOL: &str = "photos";
const HOUR_MS: i64 = 3_600_000;

/// A photo: who takes it, in which hour of the afternoon, at which minute of it.
type Photo = (&'static str, &'static str, i64, i64);

const PHOTOS: [Photo; 11] = [
    ("chelsea.png", "anna", 0, 40),
    ("camera.png", "ben", 0, 10),
    ("brick.png", "anna", 0, 5),
    ("coins.png", "anna", 1, 5),
    ("coffee.png", "ben", 1, 4),
    ("flower.jpg", "cleo", 1, 20),
    ("rocket.jpg", "cleo", 2, 20),
    ("china.jpg", "dora", 0, 50),
    ("retina.jpg", "dora", 2, 10),
    ("moon.png", "anna", 2, 5),
    ("page.png", "ben", 2, 4),
];
/// Comes when the sheet of its hour is made already.
const LATE: &str = "china.jpg";
const PEOPLE: [&str; 4] = ["anna", "ben", "cleo", "dora"];
/// The first two are online all the time; the others each send one update when they come back.
const ONLINE: [&str; 2] = ["anna", "ben"];
/// Exit code of a command that has done a part.
const IN_PART: i32 = 3;

/// The story's people and when its afternoon began.
struct Afternoon {
    owner: Person,
    people: BTreeMap<&'static str, Person>,
    began_ms: i64,
}

/// An hour closes when all who sent lately have got a minute beyond it, and a minute more: nobody
/// waits for the clock of the machine that this runs on.
const RULES: [&str; 6] = [
    "windows.kind=tumbling",
    "disorder_ms=1m",
    "grace_ms=1m",
    "max_wait_ms=2d",
    "late_debounce_ms=300ms",
    "media_types=[\"image/png\",\"image/jpeg\"]",
];

impl Afternoon {
    async fn begin(stage: &Stage) -> Self {
        let owner = Person::signs_up(stage, "olga", POOL).await;
        let rules = RULES.iter().flat_map(|rule| ["--set", rule]);
        owner.says(["pool", "create", POOL, "--every", "1h"].into_iter().chain(rules)).await;
        let mut people = BTreeMap::new();
        for name in PEOPLE {
            people.insert(name, Person::joins(stage, name, &owner, "contributor").await);
        }
        let now_ms = client::fresh::now().millis();
        Self { owner, people, began_ms: now_ms - now_ms % HOUR_MS - 6 * HOUR_MS }
    }

    fn hour(&self, hour: i64) -> EffectiveAt {
        EffectiveAt::from_millis(self.began_ms + hour * HOUR_MS)
    }

    fn taken_at(&self, (_, _, hour, minute): &Photo) -> EffectiveAt {
        EffectiveAt::from_millis(self.hour(*hour).millis() + minute * 60_000)
    }

    /// Whoever is online sends each photo with its time.
    async fn push(&self, names: &[&str]) {
        for photo in PHOTOS.iter().filter(|photo| names.contains(&photo.0)) {
            let at = self.taken_at(photo).to_string();
            let file = source(photo.0);
            let push = ["push", file.to_str().unwrap(), "--at", &at];
            self.people[photo.1].says(push).await;
        }
    }

    /// Sends or keeps all of a person's photos at once. The files themselves say when they were
    /// taken.
    async fn push_all(&self, name: &str, code: i32, how: &[&str]) {
        let person = &self.people[name];
        let mut push = vec!["push", "--at-mtime"];
        for photo in PHOTOS.iter().filter(|photo| photo.1 == name) {
            let copy = person.folder.join(photo.0);
            std::fs::copy(source(photo.0), &copy).unwrap();
            let millis = u64::try_from(self.taken_at(photo).millis()).unwrap();
            let file = std::fs::File::options().write(true).open(&copy).unwrap();
            file.set_modified(UNIX_EPOCH + Duration::from_millis(millis)).unwrap();
            push.push(photo.0);
        }
        person.ends_with(code, push.iter().chain(how)).await;
    }

    /// The sheet of an hour shows just these photos, by time.
    fn check_sheet(&self, received: &Received, hour: i64, revision: u32, photos: &[&str]) {
        let result = &received.result;
        assert_eq!((result.window.start, result.revision), (self.hour(hour), revision));
        assert_eq!((result.name.as_str(), result.media_type.as_str()), ("sheet.png", "image/png"));
        let photos: Vec<PathBuf> = photos.iter().map(|photo| source(photo)).collect();
        sheet::check(&received.path, &photos);
    }

    /// Each of a person's photos is in the batch of the hour it was taken in, and nowhere else.
    async fn check_history(&self, name: &str, batches: &[BatchView]) {
        let person = &self.people[name];
        let history = eventually("all files are in batches", async || {
            let history: Vec<UploadView> = person.reads(["history", "--pool", POOL]).await;
            history.iter().all(|upload| upload.state == UploadState::Batched).then_some(history)
        });
        let history = history.await;
        let updates: BTreeSet<_> = history.iter().map(|upload| upload.update).collect();
        let was_away = updates.iter().all(Option::is_some);
        assert_eq!((updates.len(), was_away), (1, !ONLINE.contains(&name)), "{name}");
        let found = history.into_iter().map(|upload| {
            let batch = batches.iter().find(|batch| Some(batch.batch) == upload.batch).unwrap();
            assert_eq!(batch.window, upload.window);
            let observed = upload.observed_at.unwrap().millis();
            (upload.name.to_string(), observed, upload.window.start, upload.revision, upload.late)
        });
        let mut found: Vec<_> = found.collect();
        found.sort();
        let placed = |photo: &Photo| {
            let late = photo.0 == LATE;
            let (at, hour) = (self.taken_at(photo).millis(), self.hour(photo.2));
            (photo.0.to_owned(), at, hour, Some(1 + u32::from(late)), late)
        };
        let mut expected: Vec<_> =
            PHOTOS.iter().filter(|photo| photo.1 == name).map(placed).collect();
        expected.sort();
        assert_eq!(found, expected, "{name}");
    }

    /// All people have acknowledged a result.
    async fn check_deliveries(&self, result: ResultId) {
        let result = result.to_string();
        eventually("all have acknowledged a result", async || {
            let ask = ["deliveries", &result];
            let deliveries: Vec<DeliveryView> = self.owner.reads(ask).await;
            let has = |delivery: &DeliveryView| delivery.state == DeliveryState::Acknowledged;
            let have = deliveries.iter().filter(|delivery| has(delivery));
            let names = have.filter_map(|delivery| Some(delivery.user_name.as_ref()?.as_str()));
            let names: BTreeSet<&str> = names.collect();
            PEOPLE.iter().all(|name| names.contains(name)).then_some(())
        })
        .await;
    }
}

fn source(photo: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/photos").join(photo)
}

async fn contact_sheets_of_an_afternoon(log: Option<String>) {
    let mut stage = Stage::new(log);
    let afternoon = Afternoon::begin(&stage).await;
    let Afternoon { owner, people, .. } = &afternoon;
    let server = Person::joins(&stage, "sheets", owner, "processor").await;
    let program = quoted(&example("contact_sheet"));
    let worker = server.begins(["work", "--exec", &program, "--name", "sheet.png"]);

    // Anna and Ben send as they go, not quite in order. Once both are past the first hour, it
    // closes with what they sent, and they receive its sheet.
    afternoon.push(&["chelsea.png", "camera.png", "brick.png", "coins.png", "coffee.png"]).await;
    let first = ["brick.png", "camera.png", "chelsea.png"];
    for name in ONLINE {
        let received = people[name].receives(1, &[]).await;
        afternoon.check_sheet(&received[0], 0, 1, &first);
    }

    // Dora reaches nobody: her camera keeps what it cannot send.
    let spool = ["--spool", "spool"];
    stage.without_server(afternoon.push_all("dora", IN_PART, &spool)).await;
    // Ben, who sent last before that, finds all that he has sent.
    let history = people["ben"].says(["history"]).await;
    assert_eq!(history.len(), 2, "{history:?}");
    // Cleo comes back, and sends hers twice, as one does who had no answer. So does Dora; one of
    // her photos is of the hour that has closed, and its sheet is made again.
    let update = ["--update", "--key", "the-afternoon-of-cleo"];
    afternoon.push_all("cleo", 0, &update).await;
    afternoon.push_all("cleo", 0, &update).await;
    people["dora"].says(["push"].iter().chain(&spool)).await;
    // With these all four are past the second hour; the third is closed by hand.
    afternoon.push(&["moon.png", "page.png"]).await;
    owner.says(["pool", "close", POOL, "--at", &afternoon.hour(2).to_string()]).await;

    let mut results = BTreeSet::new();
    for name in PEOPLE {
        let was_there = usize::from(ONLINE.contains(&name));
        let mut received = people[name].receives(4 - was_there, &[]).await;
        assert!(received.is_sorted_by_key(|received| received.result.seq), "{received:?}");
        results.extend(received.iter().map(|received| received.result.result));
        received.sort_by_key(|received| (received.result.window.start, received.result.revision));
        if was_there == 0 {
            let before = received.remove(0);
            afternoon.check_sheet(&before, 0, 1, &first);
            assert_eq!(received[0].result.supersedes, Some(before.result.result));
        }
        let amended = ["brick.png", "camera.png", "chelsea.png", LATE];
        afternoon.check_sheet(&received[0], 0, 2, &amended);
        let second = ["coffee.png", "coins.png", "flower.jpg"];
        afternoon.check_sheet(&received[1], 1, 1, &second);
        let third = ["page.png", "moon.png", "retina.jpg", "rocket.jpg"];
        afternoon.check_sheet(&received[2], 2, 1, &third);
    }
    assert_eq!(results.len(), 4);

    let batches: Vec<BatchView> = owner.reads(["batches"]).await;
    let told = batches.iter().map(|batch| (batch.window.start, batch.revision, batch.files));
    let hours = [(0, 2, 4), (1, 1, 3), (2, 1, 4)];
    let expected = hours.map(|(hour, revision, files)| (afternoon.hour(hour), revision, files));
    let mut told: Vec<_> = told.collect();
    told.sort();
    assert_eq!(told, expected);
    for name in PEOPLE {
        afternoon.check_history(name, &batches).await;
    }
    for result in results {
        afternoon.check_deliveries(result).await;
    }
    check_reasons(owner, &batches).await;
    end(worker).await;
    stage.end();
}

/// Why each revision closed, and how many had nothing in it then.
async fn check_reasons(owner: &Person, batches: &[BatchView]) {
    let mut told = Vec::new();
    for batch in batches {
        let view: Vec<BatchView> = owner.reads(["batches", &batch.batch.to_string()]).await;
        told.extend(view[0].revisions.iter().map(|revision| revision.closed.clone()));
    }
    told.sort_by_key(|closed| (closed.window.start, closed.revision));
    let told: Vec<_> = told.iter().map(|closed| (closed.reason, closed.missing_count)).collect();
    let by_time = CloseReason::WindowEnd;
    assert_eq!(told, [(by_time, 2), (CloseReason::Late, 2), (by_time, 1), (CloseReason::Asked, 0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn photos_become_contact_sheets_of_their_hour_also_those_that_come_late() {
    contact_sheets_of_an_afternoon(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn photos_become_contact_sheets_with_the_log_on_kafka() {
    let Some(broker) = Broker::wanted("photos become contact sheets of their hour") else { return };
    contact_sheets_of_an_afternoon(Some(broker.url())).await;
}
