//! How many requests one client address may make: a token bucket for each, in a table of bounded
//! size.
//!
//! Answers say how the address stands in `RateLimit-Policy` and `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers-11). The policy's window is the time in which an empty
//! bucket fills.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::ConnectInfo;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Request};
use schemas::limit::Limits;
use schemas::problem::Code;
use schemas::route;

use super::Refused;
use super::peer::Proxies;
use crate::clock::Clock;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");
/// Finer than this nobody counts; it keeps the arithmetic within bounds.
const PER_S_MAX: u64 = 1_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// The budgets of all addresses.
#[derive(Debug)]
pub struct Rates {
    clock: Arc<dyn Clock>,
    proxies: Proxies,
    /// The time in which a bucket gets one more request.
    refill_ns: u64,
    /// The time in which an empty bucket fills.
    fill_ns: u64,
    addresses_max: usize,
    policy: HeaderValue,
    /// When each bucket is full again, by the clock's uptime. A full one needs no place.
    full_at_ns: Mutex<HashMap<IpAddr, u64>>,
}

/// How an address stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    /// Requests that it may make at once now.
    left: u64,
    /// Time until it may make one more than that; none when its bucket is full.
    more_in: Option<Duration>,
    /// Whether this request was one too many.
    refused: bool,
}

impl Rates {
    /// As these limits say; none when they do not bound it.
    pub fn new(limits: &Limits, proxies: Proxies, clock: Arc<dyn Clock>) -> Option<Self> {
        if limits.address_requests_per_s == 0 {
            return None;
        }
        let refill_ns = SECOND_NS / limits.address_requests_per_s.min(PER_S_MAX);
        let burst = limits.address_burst.clamp(1, PER_S_MAX);
        let fill_ns = burst * refill_ns;
        let policy = format!("\"address\";q={burst};w={}", fill_ns.div_ceil(SECOND_NS));
        Some(Self {
            clock,
            proxies,
            refill_ns,
            fill_ns,
            addresses_max: usize::try_from(limits.addresses_max).unwrap_or(usize::MAX).max(1),
            policy: HeaderValue::try_from(policy).expect("numbers are visible ASCII"),
            full_at_ns: Mutex::default(),
        })
    }

    /// Counts a request of this template; what the answer is to say of it, if it counts.
    pub(super) fn count<B>(&self, request: &Request<B>, template: &str) -> Option<Counted> {
        // Whoever watches the process is to see it most of all when it is busy.
        if [route::LIVE, route::READY, route::METRICS].iter().any(|known| known.path == template) {
            return None;
        }
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
        let standing = self.take(self.proxies.client(peer, request.headers()));
        Some(Counted { policy: self.policy.clone(), standing })
    }

    fn take(&self, address: IpAddr) -> Standing {
        let now = u64::try_from(self.clock.uptime().as_nanos()).unwrap_or(u64::MAX / 2);
        let key = household(address);
        let mut buckets = self.full_at_ns.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = buckets.get(&key).copied().unwrap_or(now).max(now);
        let after = full_at + self.refill_ns;
        let refused = after - now > self.fill_ns;
        let full_at = if refused { full_at } else { after };
        if !refused {
            if buckets.len() >= self.addresses_max && !buckets.contains_key(&key) {
                forget(&mut buckets, now);
            }
            buckets.insert(key, full_at);
        }
        drop(buckets);
        let spent_ns = full_at - now;
        let left = (self.fill_ns - spent_ns) / self.refill_ns;
        // What is spent is back in steps of one request each, the last of them at `full_at`.
        let more_in_ns = match spent_ns % self.refill_ns {
            0 => self.refill_ns,
            rest => rest,
        };
        let more_in = (spent_ns > 0).then(|| Duration::from_nanos(more_in_ns));
        Standing { left, more_in, refused }
    }
}

/// Addresses that are one client's: a network with IPv6 has at least a /64 (RFC 6177).
fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
    }
}

/// Makes room: full buckets go, and when most are not, the half of them that are soonest full. Who
/// is forgotten has a full bucket again; the greedy are remembered longest.
fn forget(buckets: &mut HashMap<IpAddr, u64>, now: u64) {
    let before = buckets.len();
    buckets.retain(|_, full_at| *full_at > now);
    if buckets.len() > before / 2 {
        let mut times: Vec<u64> = buckets.values().copied().collect();
        let middle = times.len() / 2;
        let (_, middle, _) = times.select_nth_unstable(middle);
        buckets.retain(|_, full_at| *full_at > *middle);
    }
}

/// A request that was counted.
#[derive(Debug)]
pub(super) struct Counted {
    policy: HeaderValue,
    standing: Standing,
}

impl Counted {
    /// The refusal, when it was one too many.
    pub(super) fn refusal(&self) -> Option<Refused> {
        let Standing { more_in, refused, .. } = self.standing;
        let wait = more_in.unwrap_or_default();
        refused.then(|| Refused::from(Code::RateLimited).retry_after(wait))
    }

    /// Says so in the answer.
    pub(super) fn tell(self, headers: &mut HeaderMap) {
        let Standing { left, more_in, .. } = self.standing;
        let mut text = format!("\"address\";r={left}");
        if let Some(more_in) = more_in {
            text.push_str(";t=");
            text.push_str(&more_in.as_millis().div_ceil(1_000).max(1).to_string());
        }
        headers.insert(POLICY, self.policy);
        if let Ok(standing) = HeaderValue::try_from(text) {
            headers.insert(STANDING, standing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use schemas::time::Wall;

    fn rates(limits: Limits) -> (Rates, Arc<ManualClock>) {
        let clock = ManualClock::at(Wall::from_millis(1_000_000));
        (Rates::new(&limits, Proxies::default(), clock.clone()).unwrap(), clock)
    }

    fn few() -> Limits {
        Limits {
            address_requests_per_s: 10,
            address_burst: 3,
            addresses_max: 4,
            ..Limits::default()
        }
    }

    fn v4(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    /// How many requests in a row this address may make.
    fn may(rates: &Rates, address: IpAddr) -> usize {
        (0..1_000_000).take_while(|_| !rates.take(address).refused).count()
    }

    #[test]
    fn a_burst_then_a_steady_rate() {
        let (rates, clock) = rates(few());
        let standing = |left, more_in_ms: u64, refused| {
            let more_in = Some(Duration::from_millis(more_in_ms));
            Standing { left, more_in, refused }
        };
        assert_eq!(rates.take(v4(1)), standing(2, 100, false));
        assert_eq!(rates.take(v4(1)), standing(1, 100, false));
        assert_eq!(rates.take(v4(1)), standing(0, 100, false));
        assert_eq!(rates.take(v4(1)), standing(0, 100, true));
        clock.advance(30);
        assert_eq!(rates.take(v4(1)), standing(0, 70, true));
        assert_eq!(rates.take(v4(2)), standing(2, 100, false), "others have their own");
        clock.advance(70);
        assert_eq!(rates.take(v4(1)), standing(0, 100, false));
        clock.advance(10_000);
        assert_eq!(may(&rates, v4(1)), 3, "no more is saved up than the burst");
    }

    #[test]
    fn by_default_two_hundred_at_once_and_a_hundred_a_second() {
        let (rates, clock) = rates(Limits::default());
        let mut let_in = 0;
        for _ in 0..5_000 {
            let_in += may(&rates, v4(1));
            clock.advance(1);
        }
        // Five seconds but for the last look.
        assert_eq!(let_in, 200 + 499);
        assert_eq!(rates.policy, "\"address\";q=200;w=2");
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let (rates, _) = rates(few());
        let v6 = |text: &str| IpAddr::V6(text.parse().unwrap());
        assert_eq!(may(&rates, v6("2001:db8:1:2::1")), 3);
        assert_eq!(may(&rates, v6("2001:db8:1:2:ffff::9")), 0);
        assert_eq!(may(&rates, v6("2001:db8:1:3::1")), 3);
    }

    #[test]
    fn the_table_is_bounded_and_the_greedy_are_remembered_longest() {
        let (rates, clock) = rates(few());
        assert_eq!(may(&rates, v4(1)), 3);
        for last in 2..200 {
            rates.take(v4(last));
            assert!(rates.full_at_ns.lock().unwrap().len() <= 4);
        }
        assert_eq!(may(&rates, v4(1)), 0, "it has not got a new bucket by that");
        clock.advance(300);
        for last in 2..5 {
            rates.take(v4(last));
        }
        rates.take(v4(5));
        assert!(!rates.full_at_ns.lock().unwrap().contains_key(&v4(1)), "full buckets go first");
    }

    #[test]
    fn limits_of_any_size_do_no_harm() {
        let off = Limits { address_requests_per_s: 0, ..few() };
        assert!(
            Rates::new(&off, Proxies::default(), ManualClock::at(Wall::from_millis(0))).is_none()
        );
        let most = u64::MAX;
        let (all, _) = rates(Limits {
            address_requests_per_s: most,
            address_burst: most,
            addresses_max: most,
            ..few()
        });
        assert_eq!(may(&all, v4(1)), 1_000_000);
        let (slow, clock) = rates(Limits {
            address_requests_per_s: 1,
            address_burst: 0,
            addresses_max: 0,
            ..few()
        });
        assert_eq!((may(&slow, v4(1)), may(&slow, v4(1))), (1, 0));
        clock.advance(999);
        assert_eq!(may(&slow, v4(1)), 0);
        clock.advance(1);
        assert_eq!(may(&slow, v4(1)), 1);
    }
}
