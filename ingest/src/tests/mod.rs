//! The way in, driven through HTTP on the embedded log and a folder, with a batcher of a few rules.

mod accounts;
mod copies;
mod doors;
mod earlier;
mod fold;
mod forms;
mod held;
mod inspections;
#[cfg(feature = "faults")]
mod killed;
mod members;
mod pools;
mod quota;
mod results;
mod retries;
mod room;
mod skews;
mod updates;
mod uploads;
mod work;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use futures_util::FutureExt;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use infra::blobs::Folder;
use infra::clock::ManualClock;
use infra::directory::Directory;
use infra::http::Access;
use infra::http::layers::Around;
use infra::identity::{
    self, Identity, KeyRing, LocalIdentity, LocalParts, Notary, Proof, Verifier,
};
use infra::kept::{Kept, SqliteKept};
use infra::log::{Answers, Append, Find, Options, Read, SqliteLog};
use infra::room::Room;
use infra::supervise::{OnError, Stage, Supervisor};
use infra::telemetry::Metrics;
use infra::webhooks::{Poster, Reach, Webhooks};
use schemas::api::Stated;
use schemas::event::{Body as EventBody, Event};
use schemas::id::AccountId;
use schemas::limit::Limits;
use schemas::name::PoolName;
use schemas::route::Side;
use schemas::time::Wall;
use schemas::topic::Topic;
use schemas::wire;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use self::doors::{Moody, Sink, Tables, Watched};
use crate::{IngestMetrics, Parts, State, UploadKey, routes};

/// A moment in the tests: 2026-11-21T10:30:00Z.
const NOW: i64 = 1_795_257_000_000;

/// One installation.
struct World {
    folder: PathBuf,
    _temporary: Option<TempDir>,
    clock: Arc<ManualClock>,
    limits: Limits,
    sign_ups: crate::SignUps,
    log: Arc<SqliteLog>,
    kept: Arc<dyn Kept>,
    blobs: Arc<Watched>,
    tables: Arc<Tables>,
    /// Bytes free on the disk, as far as is known.
    free_bytes: Arc<AtomicU64>,
    /// Whether the batcher says nothing.
    mute: Arc<AtomicBool>,
    supervisor: Supervisor,
}

/// One process of it.
struct Instance {
    router: Router,
    state: State,
    directory: Arc<Directory>,
    identity: Arc<LocalIdentity>,
    append: Arc<Moody>,
    clock: Arc<ManualClock>,
}

/// Someone signed in.
#[derive(Clone, Debug)]
struct User {
    account: AccountId,
    token: String,
}

/// An answer.
#[derive(Debug)]
struct Told {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl World {
    async fn new() -> Self {
        Self::with(Limits::default(), None).await
    }

    async fn with(limits: Limits, sink: Option<Sink>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = Self::at(folder.path(), limits, sink).await;
        Self { _temporary: Some(folder), ..world }
    }

    /// One that has its files here, perhaps since earlier.
    async fn at(folder: &Path, limits: Limits, sink: Option<Sink>) -> Self {
        let clock = ManualClock::at(Wall::from_millis(NOW));
        let path = folder.join("log.sqlite");
        let log = SqliteLog::open(&path, Options::default(), clock.clone()).await.unwrap();
        let log = Arc::new(log);
        log.ensure(&Topic::directory()).await.unwrap();
        let blobs = Folder::open(&folder.join("blobs")).await.unwrap();
        let kept = SqliteKept::open(&folder.join("kept.sqlite")).await.unwrap();
        let world = Self {
            clock,
            limits,
            sign_ups: crate::SignUps::Open,
            blobs: Watched::new(blobs, sink),
            kept: Arc::new(kept),
            tables: Arc::default(),
            free_bytes: Arc::new(AtomicU64::new(1 << 40)),
            mute: Arc::default(),
            supervisor: Supervisor::new(),
            log,
            folder: folder.to_owned(),
            _temporary: None,
        };
        world.spawn("batcher", fold::run(world.log.clone(), world.mute.clone()));
        world
    }

    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let task = task.map(Ok::<_, Infallible>);
        self.supervisor.stage(Stage::Work).spawn(name, OnError::Stop, task);
    }

    async fn instance(&self) -> Instance {
        let metrics = Metrics::new(self.clock.clone(), "test");
        let directory = Directory::new(self.clock.clone(), &self.limits, &metrics);
        let token = self.supervisor.stage(Stage::Ground).token();
        let follow = Arc::clone(&directory).follow(self.log.clone(), token.clone());
        self.spawn("directory", follow.map(Result::unwrap));
        directory.catch_up().await.unwrap();
        let parts = LocalParts {
            kept: self.kept.clone(),
            log: self.log.clone(),
            directory: directory.clone(),
            clock: self.clock.clone(),
            keys: Arc::new(KeyRing::from_seed([3; 32]).unwrap()),
            issuer: "https://sluice.test".into(),
            audience: "sluice".into(),
            external: None,
        };
        let identity = LocalIdentity::open(parts, &self.limits).await.unwrap();
        crate::prepare(&*self.kept).await.unwrap();
        let answers = Answers::new(self.log.clone(), self.clock.clone(), 1 << 20);
        self.spawn("answers", answers.clone().run(token));
        let (kept, clock) = (self.kept.clone(), self.clock.clone());
        let webhooks = Webhooks::open(kept, clock, &self.limits).await.unwrap();
        let poster = Poster::new(Reach::default(), &self.limits, "tests");
        let append = Moody::new(self.log.clone());
        let limits = Arc::new(self.limits.clone());
        let state = State::new(Parts {
            log: append.clone(),
            answers,
            blobs: self.blobs.clone(),
            room: self.room(&metrics),
            access: Access::new(identity.clone(), directory.clone(), limits.clone()),
            kept: self.kept.clone(),
            known: self.tables.clone(),
            webhooks,
            poster,
            clock: self.clock.clone(),
            sign_ups: self.sign_ups,
            limits,
            upload_key: UploadKey::from_bytes([7; 32]),
            notary: Notary::new(KeyRing::from_seed([3; 32]).unwrap()),
            metrics: IngestMetrics::new(&metrics),
        });
        let routes = routes(state.clone());
        assert!(routes.missing(Side::Write).is_empty(), "{:?}", routes.missing(Side::Write));
        let router = routes.finish(Around::new(&metrics, self.clock.clone()));
        Instance { router, state, directory, identity, append, clock: self.clock.clone() }
    }

    fn room(&self, metrics: &Metrics) -> Arc<Room> {
        let free_bytes = Arc::clone(&self.free_bytes);
        let probe = move || Ok(free_bytes.load(Ordering::Relaxed));
        Room::new(Box::new(probe), self.clock.clone(), &self.limits, metrics)
    }

    /// All that a topic holds, by the names of its types.
    async fn said<B: EventBody>(&self, topic: &Topic) -> Vec<B> {
        let end = self.log.find(topic, Find::End).await.unwrap().next;
        let mut tail = self.log.tail(1 << 20).await.unwrap();
        tail.watch(topic, Some(self.log.find(topic, Find::Start).await.unwrap()));
        let mut all = Vec::new();
        while (all.len() as u64) < end {
            let chunk = tail.next().await.unwrap();
            all.extend(chunk.records.iter().map(|it| wire::decode(&it.value).unwrap().0));
        }
        all
    }

    /// The events of a pool after those that made it and its members.
    async fn events(&self, pool: &PoolName) -> Vec<Event> {
        let all: Vec<Event> = self.said(&Topic::events(pool)).await;
        let people =
            |event: &Event| matches!(event, Event::PoolCreated(_) | Event::MemberAddRequested(_));
        all.into_iter().filter(|event| !people(event)).collect()
    }

    fn mute(&self, mute: bool) {
        self.mute.store(mute, Ordering::Relaxed);
    }
}

impl Instance {
    /// A new account, signed in.
    async fn user(&self, name: &str) -> User {
        let name: schemas::name::UserName = name.parse().unwrap();
        match self.identity.enrol(name.clone(), "correct horse".into()).await {
            Ok(_) | Err(identity::Error::NameTaken) => {}
            Err(error) => panic!("{error}"),
        }
        let proof = Proof::Password { name, password: "correct horse".into() };
        let token = self.identity.sign_in(proof).await.unwrap();
        let (account, token) = (token.caller.account, token.access_token.expose().to_owned());
        User { account, token }
    }

    async fn send(&self, request: Request<Body>) -> Told {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if let (400.., Some(status)) = (parts.status.as_u16(), body["status"].as_u64()) {
            assert_eq!(status, u64::from(parts.status.as_u16()));
        }
        Told { status: parts.status, headers: parts.headers, body }
    }

    async fn json(&self, method: Method, path: &str, by: &User, body: Value) -> Told {
        self.send(json_request(method, path, by, &body)).await
    }

    async fn post(&self, path: &str, by: &User, body: Value) -> Told {
        self.json(Method::POST, path, by, body).await
    }

    /// A pool, and its owner.
    async fn pool(&self, name: &str, policy: Value) -> (PoolName, User) {
        let owner = self.user(&format!("{name}-owner")).await;
        let body = json!({ "name": name, "policy": policy });
        let told = self.post("/v1/pools", &owner, body).await;
        assert!(told.status.is_success(), "{told:?}");
        (name.parse().unwrap(), owner)
    }

    /// A member of a pool.
    async fn member(&self, pool: &PoolName, owner: &User, name: &str, role: &str) -> User {
        let user = self.user(name).await;
        let path = format!("/v1/pools/{pool}/members/{}", user.account);
        let told = self.json(Method::PUT, &path, owner, json!({ "roles": [role] })).await;
        assert!(told.status.is_success(), "{told:?}");
        user
    }

    /// Has the clock go on until the future ends.
    async fn hurried<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        loop {
            tokio::select! {
                biased;
                out = &mut future => return out,
                () = tokio::time::sleep(Duration::from_millis(1)) => self.clock.advance(500),
            }
        }
    }
}

impl Told {
    /// The status and the code of a refusal.
    fn refused(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["code"].as_str().unwrap_or("no code"))
    }

    /// What its receipt says, by the keys that this instance publishes.
    fn stated(&self, by: &Instance) -> Stated {
        stated(&self.body["receipt"], by)
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// What a receipt says, by the keys that an instance publishes.
fn stated(receipt: &Value, by: &Instance) -> Stated {
    let mut verifier = Verifier::default();
    verifier.believe(by.identity.keys().as_bytes()).unwrap();
    verifier.read(receipt.as_str().expect("a receipt")).unwrap()
}

fn json_request(method: Method, path: &str, by: &User, body: &Value) -> Request<Body> {
    let body = body.to_string();
    Request::builder()
        .method(method)
        .uri(path)
        .header(AUTHORIZATION, format!("Bearer {}", by.token))
        .header(CONTENT_TYPE, "application/json")
        .header(CONTENT_LENGTH, body.len())
        .body(body.into())
        .unwrap()
}
