//! What is recorded of requests, when, and what becomes of them when it cannot be.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State as TheState};
use schemas::api::Credentials;
use schemas::event::{Audit as Record, AuditOutcome, AuditRecorded};
use schemas::id::ObjectId;
use schemas::limit::Limits;
use schemas::name::PoolName;
use schemas::problem::Code;
use schemas::route;
use schemas::topic::Topic;
use schemas::wire;
use tokio_util::sync::CancellationToken;

use super::access::make_pool;
use super::*;
use crate::audit::{Audit, ToWrite};
use crate::fakes::Mood;
use crate::http::peer::Proxies;
use crate::http::rate::Rates;
use crate::http::{Json, Path, Refused};
use crate::identity::Caller;
use crate::supervise::{OnError, Stage};

/// The handler that never answers has been reached.
static REACHED: tokio::sync::Notify = tokio::sync::Notify::const_new();

/// What serves: pausing is done at once, or never.
fn routes() -> Routes<State> {
    async fn log_in(
        TheState(state): TheState<State>,
        Path(name): Path<schemas::name::UserName>,
        Json(ask): Json<Credentials>,
    ) -> Result<Json<String>, Refused> {
        let proof = Proof::Password { name, password: ask.password.into() };
        let token = state.access.identity().sign_in(proof).await?;
        Ok(Json(token.access_token.expose().to_owned()))
    }
    async fn pause(_: Caller, Path(pool): Path<PoolName>) -> Json<PoolName> {
        if pool.as_str() == "never" {
            REACHED.notify_one();
            std::future::pending::<()>().await;
        }
        Json(pool)
    }
    async fn read(
        TheState(state): TheState<State>,
        caller: Caller,
        Path(pool): Path<PoolName>,
    ) -> Result<Json<PoolName>, Refused> {
        state.access.allow(&caller, &route::READ_POOL, &pool).await?;
        Ok(Json(pool))
    }
    Routes::new()
        .mount(route::LOG_IN, log_in)
        .mount(route::PAUSE_POOL, pause)
        .mount(route::READ_POOL, read)
}

/// An instance with an audit log.
struct Audited {
    instance: Instance,
    router: Router,
    stop: CancellationToken,
}

impl Audited {
    async fn new() -> Self {
        let (audited, to_write) = Self::without_a_writer(Limits::default()).await;
        let log = Arc::new(audited.instance.installation.log.clone());
        let tasks = audited.instance.installation.supervisor.stage(Stage::Work);
        let stop = audited.stop.clone();
        tasks.spawn("audit", OnError::Log, async move {
            to_write.run(log, stop).await;
            Ok::<_, std::io::Error>(())
        });
        audited
    }

    async fn without_a_writer(limits: Limits) -> (Self, ToWrite) {
        let instance = Instance::new().await;
        let installation = &instance.installation;
        crate::log::Append::ensure(&installation.log, &Topic::audit()).await.unwrap();
        let clock = installation.clock.clone();
        let (audit, to_write) = Audit::new(clock.clone(), &limits, &installation.metrics);
        let rates = Limits { address_requests_per_s: 1, address_burst: 3, ..Limits::default() };
        let rates = Rates::new(&rates, Proxies::default(), clock);
        let state = State { access: instance.access.clone() };
        let around = instance.around().audited(audit).within(rates);
        let router = routes().with(state).finish(around);
        (Self { instance, router, stop: CancellationToken::new() }, to_write)
    }

    async fn ask(&self, from: u8, mut request: Request<Body>) -> u16 {
        let peer = SocketAddr::from(([192, 0, 2, from], 1000));
        request.extensions_mut().insert(ConnectInfo(peer));
        ask(&self.router, request).await.status().as_u16()
    }

    async fn log_in(&self, from: u8, name: &str, password: &str) -> u16 {
        let body = format!("{{\"password\":\"{password}\"}}");
        let mut request = post_json(&format!("/auth/login/{name}"), body);
        *request.method_mut() = http::Method::PUT;
        self.ask(from, request).await
    }

    /// What the audit log has.
    fn recorded(&self) -> Vec<AuditRecorded> {
        let values = self.instance.installation.log.values(&Topic::audit());
        let read = |value: &bytes::Bytes| {
            let (Record::AuditRecorded(recorded), _) = wire::decode(value).unwrap();
            recorded
        };
        values.iter().map(read).collect()
    }
}

fn acts(recorded: &[AuditRecorded]) -> Vec<(&str, AuditOutcome, Option<&str>, u32)> {
    recorded.iter().map(|it| (&*it.act, it.outcome, it.reason.as_deref(), it.times)).collect()
}

const PASSWORD: &str = "correct horse";

#[tokio::test]
async fn what_was_done_or_denied_is_recorded_once_before_its_answer() {
    let audited = Audited::new().await;
    let (account, token) = audited.instance.account("ada").await;
    make_pool(&audited.instance, "north").await;
    assert_eq!(audited.log_in(1, "ada", PASSWORD).await, 200);
    let [signed_in] = &audited.recorded()[..] else { panic!("{:?}", audited.recorded()) };
    assert_eq!((signed_in.actor, &*signed_in.act), (Some(account), "log-in"));
    assert_eq!(signed_in.outcome, AuditOutcome::Done);
    // Nobody is known to have done it, but whose account was meant is.
    assert_eq!(audited.log_in(2, "ada", "another horse").await, 401);
    let denied = &audited.recorded()[1];
    assert_eq!((denied.actor, denied.object), (None, Some(ObjectId::from_uuid(account.uuid()))));
    assert_eq!(denied.reason.as_deref(), Some("invalid-credentials"));
    // A pool that is hidden, one that is not there, one that is.
    assert_eq!(audited.ask(3, by(&token, get("/v1/pools/north"))).await, 404);
    assert_eq!(audited.ask(3, by(&token, get("/v1/pools/nowhere"))).await, 404);
    let hidden = &audited.recorded()[2];
    assert_eq!((hidden.actor, hidden.reason.as_deref()), (Some(account), Some("not-found")));
    assert_eq!(hidden.pool.as_ref().map(PoolName::as_str), Some("north"));
    let pause = || by(&token, Request::post("/v1/pools/north/pause").body(Body::empty()).unwrap());
    assert_eq!(audited.ask(4, pause()).await, 200);
    assert_eq!(audited.recorded().len(), 4, "{:?}", audited.recorded());
}

#[tokio::test]
async fn strangers_are_counted_together() {
    let (audited, to_write) = Audited::without_a_writer(Limits::default()).await;
    for n in 0..5 {
        assert_eq!(audited.log_in(1, "nobody", "a password").await, if n < 3 { 401 } else { 429 });
    }
    assert_eq!(audited.ask(1, get("/v1/pools/north")).await, 429);
    audited.stop.cancel();
    let log = Arc::new(audited.instance.installation.log.clone());
    to_write.run(log, audited.stop.clone()).await;
    let recorded = audited.recorded();
    let denied = AuditOutcome::Denied;
    let wrong = ("log-in", denied, Some("invalid-credentials"), 3);
    assert_eq!(acts(&recorded), [wrong, ("log-in", denied, Some("rate-limited"), 2)]);
    assert!(recorded.iter().all(|it| it.actor.is_none() && it.object.is_none()));
}

#[tokio::test]
async fn a_log_that_refuses_delays_an_answer_no_longer_than_it_may_and_gets_the_record_later() {
    let audited = Audited::new().await;
    audited.instance.account("ada").await;
    audited.instance.installation.log.appending(Mood::Refuses);
    // Signing in says nothing itself where the account is listed, so that only the record fails.
    assert_eq!(audited.log_in(1, "ada", PASSWORD).await, 200);
    assert_eq!(audited.recorded().len(), 0);
    audited.instance.installation.log.appending(Mood::Well);
    let got = async {
        while audited.recorded().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::fakes::LONG, got).await.expect("it is written later");
    assert_eq!(acts(&audited.recorded()), [("log-in", AuditOutcome::Done, None, 1)]);
}

#[tokio::test]
async fn nothing_is_done_that_could_not_be_recorded() {
    let limits = Limits { audit_waiting_max: 1, audit_wait_ms_max: 1, ..Limits::default() };
    let (audited, to_write) = Audited::without_a_writer(limits).await;
    let (_, token) = audited.instance.account("ada").await;
    let pause = || by(&token, Request::post("/v1/pools/north/pause").body(Body::empty()).unwrap());
    assert_eq!(audited.ask(1, pause()).await, 200, "it waits in the queue");
    let response = ask(&audited.router, pause()).await;
    assert_eq!(refused(response).await, (503, Code::Unavailable.as_str().to_owned()));
    // A read that needs no record goes on.
    assert_eq!(audited.ask(2, by(&token, get("/v1/pools/nowhere"))).await, 404);
    drop(to_write);
}

#[tokio::test]
async fn whoever_leaves_before_the_answer_may_have_done_it() {
    let audited = Audited::new().await;
    let (account, token) = audited.instance.account("ada").await;
    let request = Request::post("/v1/pools/never/pause").body(Body::empty()).unwrap();
    tokio::select! {
        status = audited.ask(1, by(&token, request)) => panic!("{status}"),
        () = REACHED.notified() => {}
    }
    let got = async {
        while audited.recorded().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::fakes::LONG, got).await.expect("it is recorded");
    assert_eq!(audited.recorded()[0].actor, Some(account));
    assert_eq!(acts(&audited.recorded()), [("pause-pool", AuditOutcome::Unknown, None, 1)]);
}

#[tokio::test]
async fn a_session_that_has_ended_is_known_by_its_account() {
    let audited = Audited::new().await;
    let (account, token) = audited.instance.account("ada").await;
    let caller = audited.instance.access.identity().caller(&token).unwrap();
    audited.instance.access.identity().sign_out(&caller).await.unwrap();
    assert_eq!(audited.ask(1, by(&token, get("/v1/pools/north"))).await, 401);
    assert_eq!(audited.ask(2, by("nonsense", get("/v1/pools/north"))).await, 401);
    let [denied] = &audited.recorded()[..] else { panic!("{:?}", audited.recorded()) };
    assert_eq!(denied.object, Some(ObjectId::from_uuid(account.uuid())));
    assert_eq!(denied.reason.as_deref(), Some("invalid-token"));
}
