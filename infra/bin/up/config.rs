//! What `sluice up` is told: flags, or the environment.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use infra::clock::Clock;
use infra::http::peer::{Proxies, ProxyHeader};
use infra::http::tls::Tls;
use infra::identity::External;
use infra::webhooks::Reach;
use schemas::limit::Limits;

/// Serve everything in one process.
#[derive(Args, Clone, Debug)]
pub(crate) struct UpArgs {
    /// Folder of all that is kept: keys, log, tables, files
    #[arg(long, env = "SLUICE_DATA", default_value = "data")]
    pub(crate) data: PathBuf,
    /// Address to listen on; port 0 takes a free one
    #[arg(long, env = "SLUICE_LISTEN", default_value = "127.0.0.1:7171")]
    pub(crate) listen: SocketAddr,
    /// File with the certificate to show, PEM, its chain after it; read again on SIGHUP
    #[arg(long, env = "SLUICE_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// File with its key, PEM
    #[arg(long, env = "SLUICE_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Listen on an address that other machines reach, without TLS
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Who may sign up: anyone, whoever has a pool's join token (as a device), or nobody
    #[arg(long, env = "SLUICE_SIGN_UPS", value_enum, default_value_t)]
    pub(crate) sign_ups: SignUps,
    /// An external OpenID Connect issuer whose people are let in: its URL, as its tokens say `iss`
    #[arg(long, env = "SLUICE_OIDC_ISSUER", value_name = "URL", requires = "oidc_audience")]
    pub(crate) oidc_issuer: Option<String>,
    /// Whom its tokens must be for, as they say `aud`
    #[arg(long, env = "SLUICE_OIDC_AUDIENCE", value_name = "TEXT", requires = "oidc_issuer")]
    pub(crate) oidc_audience: Option<String>,
    /// The log: a file in the data folder, or kafka://HOST:PORT[,HOST:PORT…]
    #[arg(long, env = "SLUICE_LOG", value_name = "URL")]
    pub(crate) log: Option<String>,
    /// A limit other than its default, such as file_bytes_max=1000000000 (docs/config.md)
    #[arg(long = "limit", value_name = "NAME=NUMBER")]
    pub(crate) limits: Vec<String>,
    /// An address or network of proxies whose word on where a request comes from is taken, such as
    /// 10.0.0.0/8; as often as needed
    #[arg(long = "trusted-proxy", env = "SLUICE_TRUSTED_PROXIES", value_name = "CIDR")]
    #[arg(value_delimiter = ',')]
    pub(crate) proxies: Vec<String>,
    /// The header in which they say it: x-forwarded-for or forwarded
    #[arg(long, env = "SLUICE_PROXY_HEADER", default_value = "x-forwarded-for")]
    pub(crate) proxy_header: String,
    /// A network of your own that webhooks may lead into, such as 10.1.0.0/16; as often as needed
    #[arg(long = "webhook-network", env = "SLUICE_WEBHOOK_NETWORKS", value_name = "CIDR")]
    #[arg(value_delimiter = ',')]
    pub(crate) webhook_networks: Vec<String>,
    /// What URLs in webhooks begin with, such as https://sluice.example; paths without it
    #[arg(long, env = "SLUICE_PUBLIC_URL", value_name = "URL", default_value = "")]
    pub(crate) public_url: String,
    /// Seconds that requests under way have to finish when the process is told to end
    #[arg(long, env = "SLUICE_GRACE_S", default_value_t = 20)]
    pub(crate) grace_s: u64,
    /// What is logged, such as info or warn,sluice=debug
    #[arg(long, env = "SLUICE_LOG_FILTER", default_value = "info")]
    pub(crate) log_filter: String,
    /// Password of the platform admin made at first start; a random one is shown otherwise
    #[arg(long, env = "SLUICE_ADMIN_PASSWORD", hide_env_values = true, hide = true)]
    pub(crate) admin_password: Option<String>,
    /// Faults to arm, in builds that have them
    #[arg(long, env = "SLUICE_FAULTS", hide = true, default_value = "")]
    pub(crate) faults: String,
}

/// Who may make an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum SignUps {
    /// Anyone
    #[default]
    Open,
    /// Whoever has a pool's join token
    Invite,
    /// Nobody
    Closed,
}

impl From<SignUps> for ingest::SignUps {
    fn from(said: SignUps) -> Self {
        match said {
            SignUps::Open => Self::Open,
            SignUps::Invite => Self::Invite,
            SignUps::Closed => Self::Closed,
        }
    }
}

/// Where the log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LogUrl {
    /// A file in the data folder.
    File,
    /// Kafka, at these addresses.
    Kafka(String),
}

impl LogUrl {
    /// The log this URL names; a file without one.
    pub(crate) fn parse(url: Option<&str>) -> Result<Self, String> {
        match url.map(|url| (url, url.strip_prefix("kafka://"))) {
            None | Some(("" | "file", _)) => Ok(Self::File),
            Some((_, Some(addresses))) if !addresses.is_empty() => {
                Ok(Self::Kafka(addresses.to_owned()))
            }
            Some((url, _)) => Err(format!("--log {url}: kafka://HOST:PORT is expected")),
        }
    }
}

/// What was said, understood.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) log: LogUrl,
    pub(crate) limits: Limits,
    pub(crate) proxies: Proxies,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) webhook_reach: Reach,
}

impl UpArgs {
    /// What was said, or all that is wrong with it.
    pub(crate) fn resolve(&self) -> Result<Resolved, Vec<String>> {
        let mut faults = Vec::new();
        let log = LogUrl::parse(self.log.as_deref()).unwrap_or_else(|fault| {
            faults.push(fault);
            LogUrl::File
        });
        let mut limits = Limits::default();
        for limit in &self.limits {
            let parsed = limit.split_once('=').and_then(|(name, n)| Some((name, n.parse().ok()?)));
            match parsed {
                None => faults.push(format!("--limit {limit}: NAME=NUMBER is expected")),
                Some((name, number)) if !limits.set(name, number) => {
                    faults.push(format!("--limit {limit}: there is no limit of this name"));
                }
                Some(_) => {}
            }
        }
        let proxies = self.proxies().unwrap_or_else(|fault| {
            faults.push(fault);
            Proxies::default()
        });
        let webhook_reach = Reach::new(&self.webhook_networks).unwrap_or_else(|network| {
            faults
                .push(format!("--webhook-network {network}: an address and a length is expected"));
            Reach::default()
        });
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(cert), Some(key)) => match Tls::open(cert, key) {
                Ok(tls) => Some(tls),
                Err(fault) => {
                    faults.push(format!("--tls-cert, --tls-key: {fault}"));
                    None
                }
            },
            _ => None,
        };
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Resolved { log, limits, proxies, tls, webhook_reach })
    }

    fn proxies(&self) -> Result<Proxies, String> {
        let header: ProxyHeader = self
            .proxy_header
            .parse()
            .map_err(|wrong| format!("--proxy-header {}: {wrong}", self.proxy_header))?;
        Proxies::new(&self.proxies, header)
            .map_err(|(network, wrong)| format!("--trusted-proxy {network}: {wrong}"))
    }

    /// The external issuer, if one is set.
    pub(crate) fn external(
        &self,
        clock: &Arc<dyn Clock>,
        limits: &Limits,
    ) -> anyhow::Result<Option<External>> {
        let (Some(issuer), Some(audience)) = (&self.oidc_issuer, &self.oidc_audience) else {
            return Ok(None);
        };
        let external = External::new(issuer, audience, Arc::clone(clock), limits);
        external.map(Some).with_context(|| format!("--oidc-issuer {issuer}"))
    }

    /// How long requests under way have to finish.
    pub(crate) fn grace(&self) -> Duration {
        Duration::from_secs(self.grace_s)
    }
}
