//! How much room there is: new work is refused while a disk is low, before its first byte is taken.
//!
//! The free space is looked at no more often than once in a while; what was let in since, and has
//! not come yet, is taken off it. What is kept back is for the log, the tables and what is kept:
//! they go on while files are refused.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemas::limit::Limits;

use crate::clock::Clock;
use crate::telemetry::{Counter, Gauge, Metrics};

/// Tells how many bytes are free where files go.
pub type Probe = Box<dyn Fn() -> io::Result<u64> + Send + Sync>;

/// There is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the disk is low")]
pub struct Low;

/// The room there is.
pub struct Room {
    probe: Probe,
    clock: Arc<dyn Clock>,
    keep_free_bytes: u64,
    look_every: Duration,
    state: Mutex<State>,
    free: Gauge,
    refused: Counter,
}

#[derive(Debug, Default)]
struct State {
    looked_at: Option<Duration>,
    /// As last seen; `None` when it could not be told.
    free_bytes: Option<u64>,
    /// Let in and not come yet.
    promised_bytes: u64,
}

/// Room for something that is on its way, until dropped.
#[derive(Debug)]
pub struct Promise {
    room: Arc<Room>,
    left_bytes: AtomicU64,
}

/// The least that is free on the file systems of these folders.
pub fn of_folders(folders: Vec<PathBuf>) -> Probe {
    Box::new(move || {
        let mut least = u64::MAX;
        for folder in &folders {
            least = least.min(free_bytes(folder)?);
        }
        Ok(least)
    })
}

/// What is free for us on the file system of this folder.
pub fn free_bytes(folder: &Path) -> io::Result<u64> {
    let seen = rustix::fs::statvfs(folder)?;
    Ok(seen.f_bavail.saturating_mul(seen.f_frsize))
}

impl Room {
    /// The room that `probe` tells of, so much of it kept free as `limits` say.
    pub fn new(
        probe: Probe,
        clock: Arc<dyn Clock>,
        limits: &Limits,
        metrics: &Metrics,
    ) -> Arc<Self> {
        let room = Self {
            probe,
            clock,
            keep_free_bytes: limits.disk_free_bytes_min,
            look_every: Duration::from_millis(limits.disk_look_ms),
            state: Mutex::default(),
            free: Gauge::default(),
            refused: Counter::default(),
        };
        metrics.add(
            "disk_free_bytes",
            "Bytes free where files go, as last seen",
            room.free.clone(),
        );
        let refused = "Requests refused because a disk is low";
        metrics.add("disk_refused", refused, room.refused.clone());
        Arc::new(room)
    }

    /// Room for so many bytes, unless less than what is kept free would be left.
    pub fn take(self: &Arc<Self>, bytes: u64) -> Result<Promise, Low> {
        let mut state = self.state();
        self.look(&mut state);
        // What cannot be told is left to the store to refuse.
        let free_bytes = state.free_bytes.unwrap_or(u64::MAX);
        let wanted =
            self.keep_free_bytes.saturating_add(bytes).saturating_add(state.promised_bytes);
        if free_bytes < wanted {
            self.refused.inc();
            return Err(Low);
        }
        state.promised_bytes = state.promised_bytes.saturating_add(bytes);
        Ok(Promise { room: Arc::clone(self), left_bytes: AtomicU64::new(bytes) })
    }

    fn look(&self, state: &mut State) {
        let now = self.clock.uptime();
        if state.looked_at.is_some_and(|at| now.saturating_sub(at) < self.look_every) {
            return;
        }
        state.looked_at = Some(now);
        state.free_bytes = match (self.probe)() {
            Ok(free_bytes) => {
                self.free.set(i64::try_from(free_bytes).unwrap_or(i64::MAX));
                Some(free_bytes)
            }
            Err(error) => {
                tracing::warn!(%error, "how much room is left cannot be told");
                None
            }
        };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Promise {
    /// So many bytes have come: the disk shows them, at the latest when it is looked at again.
    pub fn came(&self, bytes: u64) {
        let mut state = self.room.state();
        // Written under the lock only.
        let left_bytes = self.left_bytes.load(Ordering::Relaxed);
        let bytes = bytes.min(left_bytes);
        self.left_bytes.store(left_bytes - bytes, Ordering::Relaxed);
        state.promised_bytes -= bytes;
        if let Some(free_bytes) = &mut state.free_bytes {
            *free_bytes = free_bytes.saturating_sub(bytes);
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let left_bytes = self.left_bytes.load(Ordering::Relaxed);
        self.room.state().promised_bytes -= left_bytes;
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("state", &self.state).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use schemas::time::Wall;

    fn room(free: &Arc<AtomicU64>, clock: &Arc<ManualClock>) -> Arc<Room> {
        let limits = Limits { disk_free_bytes_min: 100, disk_look_ms: 1_000, ..Limits::default() };
        let metrics = Metrics::new(clock.clone(), "test");
        let free = Arc::clone(free);
        let probe = move || match free.load(Ordering::Relaxed) {
            u64::MAX => Err(io::Error::other("gone")),
            free => Ok(free),
        };
        Room::new(Box::new(probe), clock.clone(), &limits, &metrics)
    }

    #[test]
    fn what_is_on_its_way_counts_until_it_has_come_or_will_not() {
        let clock = ManualClock::at(Wall::from_millis(0));
        let free = Arc::new(AtomicU64::new(300));
        let room = room(&free, &clock);
        let first = room.take(150).unwrap();
        assert_eq!(room.take(51).unwrap_err(), Low);
        let second = room.take(50).unwrap();
        assert!(room.take(1).is_err());
        drop(second);
        // Half of it is on the disk, and the disk was not looked at since.
        first.came(75);
        assert!(room.take(51).is_err() && room.take(50).is_ok());
        free.store(225, Ordering::Relaxed);
        clock.advance(1_000);
        assert!(room.take(51).is_err() && room.take(50).is_ok());
        drop(first);
        assert!(room.take(126).is_err() && room.take(125).is_ok());
        assert_eq!(room.state().promised_bytes, 0);
    }

    #[test]
    fn the_disk_is_looked_at_once_in_a_while() {
        let clock = ManualClock::at(Wall::from_millis(0));
        let free = Arc::new(AtomicU64::new(100));
        let room = room(&free, &clock);
        assert!(room.take(1).is_err());
        free.store(101, Ordering::Relaxed);
        clock.advance(999);
        assert!(room.take(1).is_err());
        clock.advance(1);
        assert!(room.take(1).is_ok());
        free.store(u64::MAX, Ordering::Relaxed);
        clock.advance(1_000);
        assert!(room.take(1 << 40).is_ok(), "a probe that fails refuses nothing");
    }

    #[test]
    fn a_real_folder_has_some_room() {
        let free = of_folders(vec![std::env::temp_dir(), PathBuf::from("/")])().unwrap();
        assert!(free > 0 && free < u64::MAX);
        assert!(of_folders(vec![PathBuf::from("/no/such/folder")])().is_err());
    }
}
