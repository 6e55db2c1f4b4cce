//! `sluice demo`: serves, and plays a pool before the user's eyes. Nothing in it is mocked: the
//! members and the worker are this repository's client and worker, over HTTP.

mod listen;
mod play;
mod proof;
mod readings;
mod tell;
mod troupe;
mod work;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use infra::supervise::Supervisor;
use infra::telemetry::{LogForm, start_log};
use infra::{fresh, secret_file};

use crate::outcome::{Done, Misused};
use crate::up::{self, SignUps, UpArgs};
use tell::{Teller, by_hand, title};
use troupe::Troupe;

/// Seconds that requests under way have to finish at the end.
const GRACE_S: u64 = 5;

/// Play a demo pool before your eyes, then keep serving
///
/// Starts the server as `sluice up` does and plays a pool against it over HTTP: nine clients that
/// send files, two of them offline for a while, three that only listen, and a worker. Tells each
/// step, then asks the server whether every member has every result with a receipt: exit code 1
/// if not. Takes about 25 seconds; afterwards server, worker and members go on until ctrl-c, so
/// that you can send files yourself. Each run plays a new pool beside those that are in the folder.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Folder of all that the demo keeps, server and members; may be deleted
    #[arg(long, default_value = "run/demo", value_name = "DIR")]
    data: PathBuf,
    /// Loopback address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:7171", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// End once all is played and checked
    #[arg(long)]
    once: bool,
    /// What is logged, such as info or warn,sluice=debug
    #[arg(long, env = "SLUICE_LOG_FILTER", default_value = "warn")]
    log_filter: String,
}

/// Runs it.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<Done> {
    check_address(args.listen)?;
    start_log(&args.log_filter, LogForm::fitting())?;
    let supervisor = Supervisor::new();
    supervisor.on_signals()?;
    let performed = perform(&args, &supervisor).await;
    let drained = supervisor.drain(Duration::from_secs(GRACE_S)).await;
    let done = performed?;
    drained.failure.map_or(Ok(done), |failure| Err(failure.into()))
}

/// Tells of a port that is taken before anything is begun.
fn check_address(at: SocketAddr) -> anyhow::Result<()> {
    if !at.ip().is_loopback() {
        let text = format!("--listen {at}: the demo serves this machine only; say 127.0.0.1:PORT");
        return Err(Misused(text).into());
    }
    match TcpListener::bind(at) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => bail!(
            "port {} is taken: does a demo or a server run already? End it, or take another port: \
             sluice demo --listen {}:0 --data ANOTHER_FOLDER",
            at.port(),
            at.ip()
        ),
        Err(error) => Err(error).with_context(|| format!("cannot listen on {at}")),
    }
}

async fn perform(args: &DemoArgs, supervisor: &Supervisor) -> anyhow::Result<Done> {
    let password = password(&args.data)?;
    let tell = Teller::new();
    let address = up::start(&up_args(args, &password), supervisor).await?;
    let server = format!("http://{address}");
    title(&format!("Serving on {server}, data in {}", args.data.display()));
    let troupe = tokio::select! {
        biased;
        () = supervisor.stopping() => return Ok(Done::Interrupted),
        troupe = Box::pin(Troupe::enter(&server, &password, &args.data, tell)) => troupe?,
    };
    let mut going = pin!(troupe.going());
    tokio::select! {
        biased;
        () = supervisor.stopping() => return Ok(Done::Interrupted),
        ended = &mut going => {
            ended.context("a member or the worker")?;
            bail!("the members and the worker have ended");
        }
        played = Box::pin(play::play(&troupe)) => played?,
    }
    if args.once {
        return Ok(Done::Whole);
    }
    by_hand(&server, &password, &args.data, &troupe);
    tokio::select! {
        biased;
        () = supervisor.stopping() => {}
        ended = &mut going => {
            let why = ended.err().map(|error| format!(": {error:#}")).unwrap_or_default();
            title(&format!("The members and the worker have ended{why}; still serving"));
            supervisor.stopping().await;
        }
    }
    Ok(Done::Whole)
}

fn up_args(args: &DemoArgs, password: &str) -> UpArgs {
    UpArgs {
        data: args.data.clone(),
        listen: args.listen,
        insecure: false,
        sign_ups: SignUps::Open,
        oidc_issuer: None,
        oidc_audience: None,
        tls_cert: None,
        tls_key: None,
        log: None,
        // Nobody wants to watch for the minute that a window takes at least elsewhere.
        // All of the troupe have one address.
        limits: vec![
            format!("period_ms_min={}", troupe::PERIOD_MS),
            "address_requests_per_s=0".to_owned(),
        ],
        proxies: Vec::new(),
        proxy_header: "x-forwarded-for".to_owned(),
        webhook_networks: Vec::new(),
        public_url: String::new(),
        grace_s: GRACE_S,
        log_filter: args.log_filter.clone(),
        admin_password: Some(password.to_owned()),
        faults: String::new(),
    }
}

/// The one password of all accounts here: random, made at the first run, kept in the folder.
fn password(data: &Path) -> anyhow::Result<String> {
    let path = data.join("password");
    let named = || path.display().to_string();
    if !path.try_exists().with_context(named)? {
        let digits = format!("{:012x}", u64::from_be_bytes(fresh::bytes()) >> 16);
        secret_file::make(&path, digits.as_bytes()).with_context(named)?;
    }
    let password = std::fs::read_to_string(&path).with_context(named)?;
    Ok(password.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_stays() {
        let folder = tempfile::tempdir().unwrap();
        let first = password(folder.path()).unwrap();
        assert_eq!((first.len(), password(folder.path()).unwrap()), (12, first));
    }

    #[test]
    fn a_taken_port_is_named_with_the_option() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = taken.local_addr().unwrap();
        let text = check_address(at).unwrap_err().to_string();
        assert!(text.contains(&at.port().to_string()) && text.contains("--listen"), "{text}");
        assert!(check_address("0.0.0.0:0".parse().unwrap()).unwrap_err().is::<Misused>());
        assert!(check_address("127.0.0.1:0".parse().unwrap()).is_ok());
    }
}
