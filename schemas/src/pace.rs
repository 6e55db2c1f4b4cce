//! When a client's next file is best sent, so that a pool's clients spread themselves over its
//! `update_every` and do not all come at the beat.
//!
//! Each client has a phase of its own in every pool, from a digest of both ids:
//!
//! ```text
//! phase = first 8 bytes of sha256(pool id ‖ client id), as a number, mod update_every
//! next  = the first moment ≥ now + update_every / 2 that is `phase` past a multiple of update_every
//! ```
//!
//! A client that sends when it is told to sends once per period, always at its phase; one that
//! came at any other time is there after at most one and a half periods. No state, no chance: the
//! same on every instance and after every restart.

use crate::digest::Digest;
use crate::id::{AccountId, PoolId};
use crate::time::Wall;

/// When the client's next file is best sent.
pub fn next_upload_after(pool: PoolId, client: AccountId, update_every_ms: u64, now: Wall) -> Wall {
    let every = update_every_ms.max(1);
    let ids = [pool.bits().to_be_bytes(), client.bits().to_be_bytes()].concat();
    let digest = Digest::of(&ids);
    let (head, _) = digest.bytes().split_first_chunk::<8>().expect("a digest has 32 bytes");
    let phase = u64::from_be_bytes(*head) % every;
    let earliest = now.plus(every / 2);
    let past = earliest.millis().unsigned_abs() % every;
    earliest.plus((phase + every - past) % every)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: PoolId = PoolId::from_bits(5);
    const EVERY: u64 = 60_000;

    fn next(client: u128, now: i64) -> i64 {
        let client = AccountId::from_bits(client);
        next_upload_after(POOL, client, EVERY, Wall::from_millis(now)).millis()
    }

    #[test]
    fn who_follows_it_comes_once_a_period_at_its_phase() {
        for client in 0..50 {
            let first = next(client, 1_795_257_012_345);
            assert!((EVERY / 2..EVERY * 3 / 2).contains(&first.abs_diff(1_795_257_012_345)));
            assert_eq!(next(client, first), first + 60_000);
            assert_eq!(next(client, first + 7), first + 60_000, "a little late keeps its phase");
            assert_eq!(next(client, first), next(client, first), "no chance in it");
        }
    }

    #[test]
    fn clients_spread_themselves_evenly() {
        let mut tenths = [0_u32; 10];
        for client in 0..10_000 {
            let phase = next(client, 0).unsigned_abs() % EVERY;
            tenths[usize::try_from(phase * 10 / EVERY).unwrap()] += 1;
        }
        assert!(tenths.iter().all(|tenth| (850..1_150).contains(tenth)), "{tenths:?}");
    }

    #[test]
    fn a_client_has_another_phase_in_another_pool() {
        let client = AccountId::from_bits(1);
        let at = |pool| next_upload_after(PoolId::from_bits(pool), client, EVERY, Wall::default());
        assert_ne!(at(1), at(2));
    }
}
