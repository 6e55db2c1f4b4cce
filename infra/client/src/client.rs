//! The client itself: a server's address, who calls, and what is remembered between calls.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Url;
use schemas::name::{PoolName, UserName};
use schemas::route::{self, Route};
use schemas::time::Wall;

use crate::auth::Identity;
use crate::call::Call;
use crate::error::{Error, Result};
use crate::retry::Patience;

/// What stands in a path: an id, a name.
pub(crate) type Parameter = dyn Display + Sync;

/// How long a connection may take to come about.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Calls one server. Cheap to clone; clones share connections and what has been seen.
///
/// What a client has written it also reads: it remembers the position that each write was answered
/// with, and sends it with the next reads in that pool.
#[derive(Clone, Debug)]
pub struct Client {
    base: Url,
    http: reqwest::Client,
    identity: Identity,
    patience: Patience,
    positions: Arc<Mutex<BTreeMap<PoolName, u64>>>,
}

/// Which part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageAsk {
    /// The page before's `next_cursor`.
    pub cursor: Option<String>,
    /// Rows at most; the server has a bound of its own.
    pub limit: Option<u32>,
}

/// What a look at a server found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Whether it can serve.
    pub ready: bool,
    /// Its clock, to the second, if it tells.
    pub server_time: Option<Wall>,
    /// What it calls itself, if it tells.
    pub server: Option<String>,
}

impl Client {
    /// Of the server at this address: `http://` or `https://`, host, port and, if it lies below
    /// one, a path. Nothing is sent yet.
    pub fn new(address: &str) -> Result<Self> {
        let bad = || Error::BadAddress(address.to_owned());
        let mut base = Url::parse(address).map_err(|_| bad())?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(bad());
        }
        base.set_query(None);
        base.set_fragment(None);
        let http = reqwest::Client::builder()
            .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_MAX)
            .build()?;
        let (identity, patience) = (Identity::Nobody, Patience::default());
        Ok(Self { base, http, identity, patience, positions: Arc::default() })
    }

    /// As the holder of this access token.
    pub fn signed_in(mut self, token: &str) -> Self {
        self.identity = Identity::Token(token.into());
        self
    }

    /// As this user: signs in with the first call, and again whenever its token has run out. For
    /// programs that run longer than a token lives.
    pub fn signing_in(mut self, name: UserName, password: &str) -> Self {
        self.identity = Identity::user(name, password);
        self
    }

    /// As nobody.
    pub fn anonymous(&self) -> Self {
        Self { identity: Identity::Nobody, ..self.clone() }
    }

    /// With these repeats and bounds.
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// The server's address.
    pub fn address(&self) -> &Url {
        &self.base
    }

    /// Looks at the server without asking it for anything: for people who search a fault.
    pub async fn probe(&self) -> Result<Probe> {
        let call = self.anonymous().patience(Patience { tries_max: 2, ..self.patience });
        let (ready, headers) = match call.call(route::READY, &[]).headers_of().await {
            Ok(headers) => (true, headers),
            // Not ready, but there: its clock can still be asked for.
            Err(error) if error.status() == Some(503) => {
                (false, call.call(route::LIVE, &[]).headers_of().await?)
            }
            Err(error) => return Err(error),
        };
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let date = text("date").and_then(|text| chrono::DateTime::parse_from_rfc2822(text).ok());
        Ok(Probe {
            ready,
            server_time: date.map(|date| Wall::from_millis(date.timestamp_millis())),
            server: text("server").map(str::to_owned),
        })
    }

    /// A call of this route, its parameters filled in, in order.
    pub(crate) fn call(&self, route: Route, parameters: &[&Parameter]) -> Call<'_> {
        Call::new(self, route.method, self.url(route, parameters))
    }

    /// The same of a route within a pool, whose name is its first parameter.
    pub(crate) fn pool_call(&self, route: Route, pool: &PoolName, rest: &[&Parameter]) -> Call<'_> {
        let parameters: Vec<&Parameter> =
            std::iter::once(pool as &Parameter).chain(rest.iter().copied()).collect();
        self.call(route, &parameters).in_pool(pool)
    }

    /// Ids and names need no escaping: their types allow nothing that means something in a path.
    fn url(&self, route: Route, parameters: &[&Parameter]) -> Url {
        let mut parameters = parameters.iter();
        let mut path = self.base.path().trim_end_matches('/').to_owned();
        for part in route.path.split('/').skip(1) {
            path.push('/');
            match part.starts_with('{').then(|| parameters.next()).flatten() {
                Some(parameter) => path.push_str(&parameter.to_string()),
                None => path.push_str(part),
            }
        }
        let mut url = self.base.clone();
        url.set_path(&path);
        url
    }

    /// Where it has written, pool by pool: for a program that goes on in another process.
    pub fn positions(&self) -> BTreeMap<PoolName, u64> {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Having written there before: its reads see that.
    pub fn having_written(self, positions: BTreeMap<PoolName, u64>) -> Self {
        Self { positions: Arc::new(Mutex::new(positions)), ..self }
    }

    /// Remembers where something was written, as an answer's header says.
    pub(crate) fn note_position(&self, header: &str) {
        let Some((pool, offset)) = header.split_once(':') else { return };
        if let (Ok(pool), Ok(offset)) = (pool.parse(), offset.parse::<u64>()) {
            let mut positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
            let known = positions.entry(pool).or_default();
            *known = offset.max(*known);
        }
    }

    /// What a read in this pool has to see.
    pub(crate) fn position(&self, pool: &PoolName) -> Option<String> {
        let positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        positions.get(pool).map(|offset| format!("{pool}:{offset}"))
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn bounds(&self) -> Patience {
        self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["http://127.0.0.1:8080", "https://sluice.example/", "http://[::1]:80/a/b/"] {
            assert!(Client::new(good).is_ok(), "{good}");
        }
        for bad in ["", "localhost:8080", "ftp://a", "/v1", "http://"] {
            assert!(matches!(Client::new(bad), Err(Error::BadAddress(_))), "{bad}");
        }
    }

    #[test]
    fn paths_are_filled_in_below_the_address() {
        let client = Client::new("http://a/below/?x=1").unwrap();
        let pool: PoolName = "north".parse().unwrap();
        let url = client.url(route::READ_BATCH, &[&pool, &7]);
        assert_eq!(url.as_str(), "http://a/below/v1/pools/north/batches/7");
        assert_eq!(client.url(route::LIVE, &[]).as_str(), "http://a/below/livez");
    }

    #[test]
    fn positions_only_grow() {
        let client = Client::new("http://a").unwrap();
        let pool: PoolName = "north".parse().unwrap();
        assert_eq!(client.position(&pool), None);
        for header in ["north:5", "north:3", "nonsense", "north:x", "south:9"] {
            client.note_position(header);
        }
        assert_eq!(client.position(&pool), Some("north:5".into()));
    }
}
