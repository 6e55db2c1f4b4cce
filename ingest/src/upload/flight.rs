//! Uploads of this process: those under way, one at a time for each id, and those that have just
//! landed, which the tables may not know yet.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemas::file::FileRef;
use schemas::id::UploadId;
use schemas::topic::Offset;
use uuid::Uuid;

/// Landed uploads that are remembered: about 8 MB, and far more than land while the tables follow.
const LANDED_MAX: usize = 10_000;

/// An upload that is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Landed {
    /// The file.
    pub(crate) file: Arc<FileRef>,
    /// Where it is in the pool's events, when that is known.
    pub(crate) offset: Option<Offset>,
}

/// The uploads of this process.
#[derive(Debug, Default)]
pub(crate) struct Flights(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    flying: HashSet<Uuid>,
    landed: HashMap<UploadId, Landed>,
    by_age: VecDeque<UploadId>,
}

/// The one request that may work on an upload, until dropped.
#[derive(Debug)]
pub(crate) struct Flight<'a> {
    flights: &'a Flights,
    id: Uuid,
}

impl Flights {
    /// Begins to work on an upload or update; `None` while another request does.
    pub(crate) fn begin(&self, id: Uuid) -> Option<Flight<'_>> {
        // Not a flight that is made and dropped: dropping one ends the other's.
        let begun = self.state().flying.insert(id);
        begun.then(|| Flight { flights: self, id })
    }

    /// Remembers an upload that is in the log.
    pub(crate) fn land(&self, landed: Landed) {
        let upload = landed.file.upload;
        let State { landed: known, by_age, .. } = &mut *self.state();
        if known.insert(upload, landed).is_none() {
            by_age.push_back(upload);
        }
        while by_age.len() > LANDED_MAX
            && let Some(oldest) = by_age.pop_front()
        {
            known.remove(&oldest);
        }
    }

    /// The upload, if it has landed here lately.
    pub(crate) fn landed(&self, upload: UploadId) -> Option<Landed> {
        self.state().landed.get(&upload).cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.flights.state().flying.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::event::{Event, example};

    fn landed(upload: u128) -> Landed {
        let received = example::events().into_iter().find_map(|event| match event {
            Event::UploadReceived(received) => Some(received),
            _ => None,
        });
        let mut file = received.unwrap().file;
        file.upload = UploadId::from_bits(upload);
        Landed { file: Arc::new(file), offset: Some(1) }
    }

    #[test]
    fn one_at_a_time_works_on_an_upload() {
        let flights = Flights::default();
        let [a, b] = [1, 2].map(Uuid::from_u128);
        let first = flights.begin(a);
        assert!(first.is_some() && flights.begin(a).is_none() && flights.begin(b).is_some());
        drop(first);
        assert!(flights.begin(a).is_some());
    }

    #[test]
    fn so_many_are_remembered_and_the_oldest_are_forgotten() {
        let flights = Flights::default();
        let max = LANDED_MAX as u128;
        for upload in (0..max).chain(0..5).chain([max]) {
            flights.land(landed(upload));
        }
        assert_eq!(flights.landed(UploadId::from_bits(0)), None);
        assert_eq!(flights.landed(UploadId::from_bits(max)), Some(landed(max)));
        assert_eq!(flights.landed(UploadId::from_bits(1)), Some(landed(1)));
        assert_eq!(flights.state().by_age.len(), LANDED_MAX);
    }
}
