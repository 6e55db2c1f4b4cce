//! One named thread that takes jobs from a bounded queue, as many at a time as are waiting.

use std::fmt;
use std::io;
use std::sync::Mutex;
use std::thread;

use tokio::sync::{mpsc, watch};

/// What one group of jobs is bounded by.
pub(crate) trait Weigh {
    /// Its share of [`Bounds::group_weight_max`].
    fn weight(&self) -> usize;
}

/// The bounds of a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Jobs that may wait; givers wait beyond that.
    pub(crate) waiting_max: usize,
    /// A group ends with the job that reaches this weight.
    pub(crate) group_weight_max: usize,
}

/// The worker has ended: the job was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended;

/// The thread and its queue. Dropped, it does what is waiting and ends.
pub(crate) struct Worker<J> {
    jobs: Mutex<Option<mpsc::Sender<J>>>,
    /// Its sender lives as long as the thread works.
    working: watch::Receiver<()>,
}

impl<J: Weigh + Send + 'static> Worker<J> {
    /// Starts the thread. `work` is given each group: never empty, in the order given.
    pub(crate) fn start(
        name: &str,
        bounds: Bounds,
        mut work: impl FnMut(Vec<J>) + Send + 'static,
    ) -> io::Result<Self> {
        let (jobs, mut queue) = mpsc::channel(bounds.waiting_max);
        let (working, watching) = watch::channel(());
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            while let Some(first) = queue.blocking_recv() {
                work(group(first, &mut queue, bounds.group_weight_max));
            }
            // First the files are closed, then it is told.
            drop(work);
            drop(working);
        })?;
        Ok(Self { jobs: Mutex::new(Some(jobs)), working: watching })
    }

    /// Gives it a job; waits while the queue is full.
    pub(crate) async fn give(&self, job: J) -> Result<(), Ended> {
        let jobs = self.jobs.lock().expect("nothing panics while holding it").clone();
        jobs.ok_or(Ended)?.send(job).await.map_err(|_| Ended)
    }

    /// Ends it: takes no more jobs, does what is waiting, returns once the thread is done.
    pub(crate) async fn close(&self) {
        drop(self.jobs.lock().expect("nothing panics while holding it").take());
        let mut working = self.working.clone();
        // Nothing is ever sent: this fails when the thread drops its end.
        while working.changed().await.is_ok() {}
    }
}

impl<J> fmt::Debug for Worker<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

fn group<J: Weigh>(first: J, queue: &mut mpsc::Receiver<J>, weight_max: usize) -> Vec<J> {
    let mut weight = first.weight();
    let mut group = vec![first];
    while weight < weight_max {
        let Ok(next) = queue.try_recv() else { break };
        weight += next.weight();
        group.push(next);
    }
    group
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc as std_mpsc;

    impl Weigh for u32 {
        fn weight(&self) -> usize {
            1
        }
    }

    #[tokio::test]
    async fn what_waits_is_done_together_within_bounds_and_before_it_ends() {
        let (go, gate) = std_mpsc::channel::<()>();
        let (tell, told) = std_mpsc::channel();
        let bounds = Bounds { waiting_max: 8, group_weight_max: 3 };
        let worker = Worker::start("test", bounds, move |group: Vec<u32>| {
            gate.recv().expect("the test opens it");
            tell.send(group).expect("the test listens");
        });
        let worker = worker.unwrap();
        worker.give(0).await.unwrap();
        // The first may be taken alone or with others; the gate keeps the rest waiting.
        for job in 1..=5 {
            worker.give(job).await.unwrap();
        }
        for _ in 0..6 {
            _ = go.send(());
        }
        worker.close().await;
        assert_eq!(worker.give(6).await, Err(Ended));
        let groups: Vec<_> = told.try_iter().collect();
        assert!(groups.iter().all(|group| (1..=3).contains(&group.len())), "{groups:?}");
        assert_eq!(groups.concat(), [0, 1, 2, 3, 4, 5]);
        assert!(groups.len() < 6, "some were done together: {groups:?}");
    }
}
