//! `sluice up`: everything in one process.

mod config;
mod doors;
mod keys;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use infra::audit::Audit;
use infra::clock::{Clock, SystemClock};
use infra::directory::Directory;
use infra::http::layers::Around;
use infra::http::peer::Proxies;
use infra::http::rate::Rates;
use infra::http::serve::{Listen, Server, serve};
use infra::http::tls::Tls;
use infra::http::{Access, Routes, process};
use infra::identity::{KeyRing, LocalIdentity, LocalParts, Notary};
use infra::log::Answers;
use infra::room::{self, Room};
use infra::steady::SteadyClock;
use infra::supervise::{OnError, Stage, Supervisor};
use infra::telemetry::{LogForm, Metrics, start_log};
use infra::webhooks::{Poster, Webhooks};
use schemas::limit::Limits;
use schemas::topic::Topic;

use config::Resolved;
pub(crate) use config::{LogUrl, SignUps, UpArgs};
pub(crate) use doors::{Doors, open_log_to_read};

/// What runs.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Serves until told to end.
pub(crate) async fn run(args: UpArgs) -> anyhow::Result<()> {
    infra::faults::arm(&args.faults).map_err(anyhow::Error::msg)?;
    start_log(&args.log_filter, LogForm::fitting())?;
    let supervisor = Supervisor::new();
    supervisor.on_signals()?;
    let started = start(&args, &supervisor).await;
    if let Ok(address) = &started {
        say_ready(*address, args.tls_cert.is_some());
        supervisor.stopping().await;
    }
    let drained = supervisor.drain(args.grace()).await;
    if !drained.aborted.is_empty() {
        tracing::warn!(tasks = ?drained.aborted, "did not end in time");
    }
    started?;
    drained.failure.map_or(Ok(()), |failure| Err(failure.into()))
}

#[allow(clippy::print_stdout, reason = "the address is this command's output")]
fn say_ready(address: SocketAddr, tls: bool) {
    let scheme = if tls { "https" } else { "http" };
    println!("sluice {VERSION} listens on {scheme}://{address}");
}

/// Reads certificate and key again on SIGHUP: what renews them says so.
fn renew_on_hangup(tls: Arc<Tls>, supervisor: &Supervisor) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangups = signal(SignalKind::hangup()).context("hear SIGHUP")?;
    let tasks = supervisor.stage(Stage::Serve);
    let token = tasks.token();
    tasks.spawn("tls", OnError::Log, async move {
        while let Some(Some(())) = token.run_until_cancelled(hangups.recv()).await {
            match tls.reload() {
                Ok(()) => tracing::info!("the certificate was read again"),
                Err(error) => tracing::error!(%error, "the certificate stays as it was"),
            }
        }
        anyhow::Ok(())
    });
    Ok(())
}

/// Starts everything; gives the address.
pub(crate) async fn start(args: &UpArgs, supervisor: &Supervisor) -> anyhow::Result<SocketAddr> {
    let Resolved { log, limits, proxies, tls, webhook_reach } = match args.resolve() {
        Ok(resolved) => resolved,
        Err(faults) => bail!("configuration:\n  {}", faults.join("\n  ")),
    };
    let limits = Arc::new(limits);
    let clock: Arc<dyn Clock> = SteadyClock::new(SystemClock::new());
    let metrics = Metrics::new(Arc::clone(&clock), VERSION);
    let doors = Arc::new(Doors::open(&args.data, &log, &limits, &clock).await?);
    ingest::prepare(doors.kept.as_ref()).await.context("make the table of reservations")?;
    let keys = Arc::new(KeyRing::open(&args.data.join(keys::TOKEN_KEYS))?);
    let (kept, reach) = (Arc::clone(&doors.kept), webhook_reach);
    let webhooks = Webhooks::open(kept, Arc::clone(&clock), &limits).await;
    let webhooks = webhooks.context("make the tables of webhooks")?;
    let poster = Poster::new(reach, &limits, VERSION);
    let ground = Ground { limits, proxies, tls, clock, metrics, doors, keys, webhooks, poster };
    let (access, answers) = ground.begin(args, supervisor).await?;
    let routes = ground.stages(args, supervisor, &access, &answers)?;
    ground.serve(args, supervisor, routes, &access).await
}

/// What everything stands on.
struct Ground {
    limits: Arc<Limits>,
    proxies: Proxies,
    tls: Option<Arc<Tls>>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    doors: Arc<Doors>,
    /// What signs tokens and receipts.
    keys: Arc<KeyRing>,
    webhooks: Arc<Webhooks>,
    poster: Arc<Poster>,
}

impl Ground {
    /// Begins what lets requests in and waits for answers.
    async fn begin(
        &self,
        args: &UpArgs,
        supervisor: &Supervisor,
    ) -> anyhow::Result<(Access, Arc<Answers>)> {
        let Self { limits, clock, metrics, doors, .. } = self;
        let topic = Topic::directory();
        doors.append.ensure(&topic).await.context("make the directory's topic")?;
        doors.append.ensure(&Topic::audit()).await.context("make the audit log's topic")?;
        let directory = Directory::new(Arc::clone(clock), limits, metrics);
        let tasks = supervisor.stage(Stage::Ground);
        let (followed, read, token) =
            (Arc::clone(&directory), Arc::clone(&doors.read), tasks.token());
        tasks.spawn("directory", OnError::Stop, async move { followed.follow(read, token).await });
        let answers = Answers::new(Arc::clone(&doors.read), Arc::clone(clock), 1024 * 1024);
        let (heard, token) = (Arc::clone(&answers), tasks.token());
        tasks.spawn("answers", OnError::Stop, async move {
            heard.run(token).await;
            anyhow::Ok(())
        });
        let parts = LocalParts {
            kept: Arc::clone(&doors.kept),
            log: Arc::clone(&doors.append),
            directory: Arc::clone(&directory),
            clock: Arc::clone(clock),
            keys: Arc::clone(&self.keys),
            issuer: "sluice".to_owned(),
            audience: "sluice".to_owned(),
            external: args.external(clock, limits)?,
        };
        let identity = LocalIdentity::open(parts, limits).await?;
        let password = args.admin_password.clone().map(Into::into);
        if let Some(password) = identity.first_start(password).await.context("make the admin")? {
            say_password(password.expose());
        }
        Ok((Access::new(identity, directory, Arc::clone(limits)), answers))
    }

    /// Begins the stages; gives the routes of both sides.
    fn stages(
        &self,
        args: &UpArgs,
        supervisor: &Supervisor,
        access: &Access,
        answers: &Arc<Answers>,
    ) -> anyhow::Result<Routes> {
        let tasks = supervisor.stage(Stage::Work);
        self.batcher(&tasks, access);
        let (reading, known) = self.projector(args, &tasks, access);
        let ingest = ingest::State::new(ingest::Parts {
            log: Arc::clone(&self.doors.append),
            answers: Arc::clone(answers),
            blobs: Arc::clone(&self.doors.blobs),
            room: self.room(args),
            access: access.clone(),
            kept: Arc::clone(&self.doors.kept),
            known: Arc::new(known),
            webhooks: Arc::clone(&self.webhooks),
            poster: Arc::clone(&self.poster),
            clock: Arc::clone(&self.clock),
            sign_ups: args.sign_ups.into(),
            limits: Arc::clone(&self.limits),
            notary: Notary::new(Arc::clone(&self.keys)),
            upload_key: keys::upload_key(&args.data.join("keys/upload.key"))?,
            metrics: ingest::IngestMetrics::new(&self.metrics),
        });
        let (inspecting, read) = (ingest.clone(), Arc::clone(&self.doors.read));
        let token = tasks.token();
        tasks.restart("inspector", move || {
            ingest::inspect(inspecting.clone(), Arc::clone(&read), token.clone())
        });
        Ok(ingest::routes(ingest).join(projector::routes(reading)))
    }

    /// The room in the data folder, wherever its parts are mounted.
    fn room(&self, args: &UpArgs) -> Arc<Room> {
        let probe = room::of_folders(vec![args.data.clone(), args.data.join("blobs")]);
        Room::new(probe, Arc::clone(&self.clock), &self.limits, &self.metrics)
    }

    fn batcher(&self, tasks: &infra::supervise::Tasks, access: &Access) {
        let deps = batcher::Deps {
            append: Arc::clone(&self.doors.append),
            read: Arc::clone(&self.doors.read),
            blobs: Arc::clone(&self.doors.blobs),
            clock: Arc::clone(&self.clock),
            directory: Arc::clone(access.directory()),
            limits: Arc::clone(&self.limits),
        };
        let metrics = Arc::new(batcher::BatcherMetrics::new(&self.metrics));
        let token = tasks.token();
        tasks.restart("batcher", move || {
            batcher::run(deps.clone(), Arc::clone(&metrics), token.clone())
        });
    }

    /// Notices sent to targets.
    fn webhooks(
        &self,
        args: &UpArgs,
        tasks: &infra::supervise::Tasks,
        reading: &projector::Reading,
    ) {
        let deps = projector::WebhookDeps {
            read: Arc::clone(&self.doors.read),
            progress: Arc::clone(&reading.progress),
            directory: Arc::clone(reading.access.directory()),
            clock: Arc::clone(&self.clock),
            webhooks: Arc::clone(&self.webhooks),
            poster: Arc::clone(&self.poster),
            hub: Arc::clone(&reading.hub),
            public_url: args.public_url.trim_end_matches('/').to_owned(),
        };
        let deliveries = projector::Deliveries::new(deps, &self.limits, &self.metrics);
        let token = tasks.token();
        tasks.restart("webhooks", move || Arc::clone(&deliveries).run(token.clone()));
    }

    fn projector(
        &self,
        args: &UpArgs,
        tasks: &infra::supervise::Tasks,
        access: &Access,
    ) -> (projector::Reading, projector::KnownTables) {
        let metrics = Arc::new(projector::ProjectorMetrics::new(&self.metrics));
        let progress = projector::Progress::new();
        let deps = projector::Deps {
            read: Arc::clone(&self.doors.read),
            views: Arc::clone(&self.doors.views),
            directory: Arc::clone(access.directory()),
            progress: Arc::clone(&progress),
        };
        let (counted, token) = (Arc::clone(&metrics), tasks.token());
        tasks.restart("projector", move || {
            projector::run(deps.clone(), Arc::clone(&counted), token.clone())
        });
        let parts = projector::HubParts {
            read: Arc::clone(&self.doors.read),
            clock: Arc::clone(&self.clock),
            directory: Arc::clone(access.directory()),
            progress: Arc::clone(&progress),
            metrics,
        };
        let hub = projector::Hub::new(parts, &self.limits);
        let (heard, token) = (Arc::clone(&hub), tasks.token());
        tasks.restart("notices", move || Arc::clone(&heard).run(token.clone()));
        let (fetched, to_write) = projector::Fetched::new(&self.metrics);
        let (append, clock) = (Arc::clone(&self.doors.append), Arc::clone(&self.clock));
        let token = tasks.token();
        tasks.spawn("fetches", OnError::Log, async move {
            to_write.run(append, clock, token).await;
            anyhow::Ok(())
        });
        let tables = projector::Tables::new(Arc::clone(&self.doors.views));
        let clock = Arc::clone(&self.clock);
        let known = projector::KnownTables::new(tables.clone(), Arc::clone(&progress), clock);
        let sweep = projector::SweepDeps {
            read: Arc::clone(&self.doors.read),
            tables: tables.clone(),
            progress: Arc::clone(&progress),
            directory: Arc::clone(access.directory()),
            blobs: Arc::clone(&self.doors.blobs),
            clock: Arc::clone(&self.clock),
            limits: Arc::clone(&self.limits),
        };
        let (sweeper, token) =
            (projector::Sweeper::new(sweep.clone(), &self.metrics), tasks.token());
        tasks.spawn("sweeper", OnError::Log, async move {
            sweeper.run(token).await;
            anyhow::Ok(())
        });
        let (access, blobs) = (access.clone(), Arc::clone(&self.doors.blobs));
        let webhooks = Arc::clone(&self.webhooks);
        let reading =
            projector::Reading { access, tables, progress, blobs, fetched, hub, webhooks, sweep };
        self.webhooks(args, tasks, &reading);
        (reading, known)
    }

    /// The audit log: written until all requests have ended.
    fn audit(&self, supervisor: &Supervisor) -> Audit {
        let (audit, to_write) = Audit::new(Arc::clone(&self.clock), &self.limits, &self.metrics);
        let tasks = supervisor.stage(Stage::Work);
        let (append, token) = (Arc::clone(&self.doors.append), tasks.token());
        tasks.spawn("audit", OnError::Log, async move {
            to_write.run(append, token).await;
            anyhow::Ok(())
        });
        audit
    }

    async fn serve(
        &self,
        args: &UpArgs,
        supervisor: &Supervisor,
        routes: Routes,
        access: &Access,
    ) -> anyhow::Result<SocketAddr> {
        let directory = Arc::clone(access.directory());
        let readiness: process::Readiness = Arc::new(move || {
            let stale = directory.fresh().is_err();
            stale.then(|| "the directory is not read to its end".to_owned()).into_iter().collect()
        });
        let rates = Rates::new(&self.limits, self.proxies.clone(), Arc::clone(&self.clock));
        let around = Around::new(&self.metrics, Arc::clone(&self.clock)).within(rates);
        let router = routes
            .join(process::routes(self.metrics.clone(), readiness))
            .finish(around.audited(self.audit(supervisor)));
        let server = Server {
            tasks: supervisor.stage(Stage::Serve),
            limits: Arc::clone(&self.limits),
            metrics: self.metrics.clone(),
        };
        let listen = Listen { at: args.listen, insecure: args.insecure, tls: self.tls.clone() };
        if let Some(tls) = &self.tls {
            renew_on_hangup(Arc::clone(tls), supervisor)?;
        }
        // The doors close after everything that uses them has ended.
        let doors = Arc::clone(&self.doors);
        supervisor.stage(Stage::Ground).spawn("doors", OnError::Log, {
            let token = supervisor.stage(Stage::Ground).token();
            async move {
                token.cancelled().await;
                doors.close().await;
                anyhow::Ok(())
            }
        });
        Ok(serve(listen, router, &server).await?)
    }
}

#[allow(clippy::print_stderr, reason = "shown once, to whoever starts the process")]
fn say_password(password: &str) {
    eprintln!("first start: signed up the platform admin `admin` with the password {password}");
    eprintln!("             it is shown this once; sign in and keep it");
}
