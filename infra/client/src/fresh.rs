//! New ids, the time and chance: the one place of this crate that asks the machine for them.
//!
//! The door `infra::clock` is the server's; a client stands alone on its machine, and nothing here
//! decides about a pool.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schemas::id::{ClaimId, RequestId};
use schemas::name::IdempotencyKey;
use schemas::time::Wall;
use uuid::Uuid;

/// A new idempotency key: a UUIDv7, whose age the server can tell.
pub fn key() -> IdempotencyKey {
    uuid().to_string().parse().expect("a UUID is visible ASCII")
}

/// A new claim.
pub fn claim() -> ClaimId {
    ClaimId::from_uuid(uuid())
}

/// A new request for a batch.
pub fn request() -> RequestId {
    RequestId::from_uuid(uuid())
}

/// A new UUIDv7, sortable by time (RFC 9562).
pub(crate) fn uuid() -> Uuid {
    Uuid::now_v7()
}

/// This machine's time.
#[allow(clippy::disallowed_methods, reason = "the one home of the client's clock")]
pub fn now() -> Wall {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall::from_millis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
}

/// A random time up to `max`: full jitter, so that clients cut off together do not come back
/// together.
pub fn jitter(max: Duration) -> Duration {
    // Without randomness to be had, half is as good a guess as any.
    let share = getrandom::u32().unwrap_or(u32::MAX / 2);
    max.mul_f64(f64::from(share) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_tell_their_age() {
        let [a, b] = [uuid(), uuid()];
        assert!(a < b && a.get_version_num() == 7);
        assert_ne!(key(), key());
    }

    #[test]
    fn jitter_stays_below_its_bound() {
        let max = Duration::from_secs(2);
        let drawn: Vec<Duration> = (0..100).map(|_| jitter(max)).collect();
        assert!(drawn.iter().all(|wait| *wait <= max));
        assert!(drawn.iter().any(|wait| *wait != drawn[0]));
        assert_eq!(jitter(Duration::ZERO), Duration::ZERO);
    }
}
