//! Sending to a target: one request, to an address that was judged, within bounds.

use std::fmt::{self, Debug};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::StatusCode;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use schemas::limit::Limits;

use super::address::{Forbidden, Reach};
use super::sign::Signed;

/// How much of an answer is read; what it says is not heeded.
const ANSWER_BYTES_MAX: usize = 4 * 1024;
/// Longest a name may take to be looked up, and a connection to be made.
const CONNECT_MAX: Duration = Duration::from_secs(5);

const NOT_REACHED: Forbidden = Forbidden("the name leads to no address that everybody can reach");

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Delivered,
    /// The target says that it is gone for good (410).
    Gone,
    /// Anything else.
    Failed {
        /// What, in words for the pool's admins: nothing of what the target said.
        why: String,
        /// How long the target asks to be left alone.
        retry_after: Option<Duration>,
    },
}

/// Sends to targets.
pub struct Poster {
    /// None where TLS cannot be had, for want of root certificates mostly: everything else goes on.
    client: Option<Client>,
    reach: Arc<Reach>,
}

impl Debug for Poster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Poster {{ reach: {:?} }}", self.reach)
    }
}

/// Looks names up, and gives only addresses that may be connected to. The connection goes to one of
/// those: nobody asks a second time, when the answer could be another.
struct Judged(Arc<Reach>);

impl Resolve for Judged {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = Arc::clone(&self.0);
        Box::pin(async move {
            let found = look_up(&reach, name.as_str()).await?;
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn look_up(reach: &Reach, name: &str) -> Result<Vec<SocketAddr>, Failure> {
    let found = tokio::net::lookup_host((name, 0)).await?;
    let allowed: Vec<_> = found.filter(|found| reach.allows(found.ip())).collect();
    if allowed.is_empty() { Err(NOT_REACHED.into()) } else { Ok(allowed) }
}

impl Poster {
    /// Sends within this reach.
    pub fn new(reach: Reach, limits: &Limits, version: &str) -> Arc<Self> {
        let reach = Arc::new(reach);
        let client = Client::builder()
            // A proxy would look names up, and connect, in our place.
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .dns_resolver(Arc::new(Judged(Arc::clone(&reach))))
            .connect_timeout(CONNECT_MAX)
            .timeout(Duration::from_millis(limits.webhook_ms_max))
            .pool_max_idle_per_host(1)
            .user_agent(format!("sluice/{version}"))
            .build();
        if let Err(error) = &client {
            tracing::warn!(error = ?error, "no webhook can be sent: there is no TLS");
        }
        Arc::new(Self { client: client.ok(), reach })
    }

    /// Whether a target may be registered: where it says it leads, and where its name leads now.
    pub async fn check(&self, url: &str) -> Result<(), Forbidden> {
        let url = self.reach.target(url)?;
        let name = url.host_str().unwrap_or_default();
        if name.starts_with('[') || name.parse::<std::net::IpAddr>().is_ok() {
            return Ok(());
        }
        match tokio::time::timeout(CONNECT_MAX, look_up(&self.reach, name)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.downcast_ref::<Forbidden>().is_some() => Err(NOT_REACHED),
            Ok(Err(_)) | Err(_) => Err(Forbidden("the name leads nowhere now")),
        }
    }

    /// Sends a message once.
    pub async fn post(&self, url: &str, signed: &Signed, body: Bytes) -> Outcome {
        let url = match self.reach.target(url) {
            Ok(url) => url,
            Err(forbidden) => return failed(&forbidden),
        };
        let Some(client) = &self.client else { return failed(&"the server has no TLS") };
        let request = client.post(url).header(CONTENT_TYPE, "application/json");
        let request = request
            .header("webhook-id", &signed.id)
            .header("webhook-timestamp", signed.at_s)
            .header("webhook-signature", &signed.signatures)
            .body(body);
        match request.send().await {
            Ok(response) => outcome(response).await,
            Err(error) => failed(&words(&error)),
        }
    }
}

async fn outcome(response: Response) -> Outcome {
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
    // Read, so that the connection can be used again; one who says more is hung up on.
    let mut body = response.bytes_stream();
    let mut left = ANSWER_BYTES_MAX;
    while let Some(Ok(bytes)) = body.next().await {
        left = left.saturating_sub(bytes.len());
        if left == 0 {
            break;
        }
    }
    match status {
        StatusCode::GONE => Outcome::Gone,
        status if status.is_success() => Outcome::Delivered,
        status => Outcome::Failed {
            why: format!("answered {}", status.as_u16()),
            retry_after: retry_after.map(Duration::from_secs),
        },
    }
}

fn failed(why: &dyn fmt::Display) -> Outcome {
    Outcome::Failed { why: why.to_string(), retry_after: None }
}

/// What failed, without addresses: whoever reads it may not look into our network.
fn words(error: &reqwest::Error) -> &'static str {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(known) = cause {
        if known.downcast_ref::<Forbidden>().is_some() {
            return NOT_REACHED.0;
        }
        cause = known.source();
    }
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection was cut"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhooks::Key;
    use schemas::time::Wall;

    fn poster(allowed: &[&str]) -> Arc<Poster> {
        let allowed: Vec<_> = allowed.iter().map(|network| (*network).to_owned()).collect();
        Poster::new(Reach::new(&allowed).unwrap(), &Limits::default(), "tests")
    }

    #[tokio::test]
    async fn a_name_is_judged_by_where_it_leads_when_it_is_connected_to() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        drop(listener);
        let post = async |poster: Arc<Poster>| {
            let now = Wall::from_millis(1_000);
            let signed = Signed::new("msg_1".to_owned(), now, b"", &[Key::new()]);
            poster.post(&url, &signed, Bytes::new()).await
        };
        // It led elsewhere when it was registered.
        assert_eq!(post(poster(&[])).await, failed(&NOT_REACHED));
        let allowed = poster(&["127.0.0.0/8", "::1/128"]);
        assert_eq!(allowed.check(&url).await, Ok(()));
        assert_eq!(post(allowed).await, failed(&"no connection"));
    }

    #[tokio::test]
    async fn a_target_is_refused_for_what_it_says_and_for_where_its_name_leads() {
        let check = async |url: &str| poster(&[]).check(url).await;
        assert_eq!(check("https://8.8.8.8/").await, Ok(()));
        assert_eq!(check("https://localhost/").await, Err(NOT_REACHED));
        assert!(check("http://localhost/").await.is_err());
        assert!(check("https://[::1]/").await.is_err());
        let nowhere = Err(Forbidden("the name leads nowhere now"));
        assert_eq!(check("https://nowhere.invalid/").await, nowhere);
    }
}
