//! New ids: UUIDv7 (RFC 9562) of the clock's time and the system's randomness.

use schemas::time::Wall;
use uuid::Uuid;

/// A new UUID, unique everywhere, sortable by time. Not a secret.
pub fn uuid(now: Wall) -> Uuid {
    let millis = u64::try_from(now.millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes()).into_uuid()
}

/// Bytes nobody can guess.
///
/// # Panics
/// When the system has no randomness to give: nothing can be kept secret then.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_differ_and_sort_by_time() {
        let [a, b] = [Wall::from_millis(5), Wall::from_millis(6)].map(uuid);
        assert!(a < b && a.get_version_num() == 7 && a != uuid(Wall::from_millis(5)));
    }
}
