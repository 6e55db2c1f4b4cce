//! Renewals of a lease, in a task of their own: a handler that computes for minutes does not lose
//! it.

use std::time::Duration;

use client::{Client, Patience, fresh};
use schemas::api::Lease;
use schemas::name::PoolName;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Shortest time between two renewals, however short the lease.
const PERIOD_MIN: Duration = Duration::from_millis(100);

/// A lease that is renewed for as long as this lives.
#[derive(Debug)]
pub(crate) struct Held {
    lost: CancellationToken,
    /// Ended when dropped.
    _renewals: JoinSet<()>,
}

impl Held {
    /// Renews at once, which tells the server that the lease has arrived, and then at every third
    /// of its life.
    pub(crate) fn new(client: &Client, pool: &PoolName, lease: &Lease) -> Self {
        let period = (Duration::from_millis(lease.lease_ms) / 3).max(PERIOD_MIN);
        // One try at a time: when and how often it is tried is decided here.
        let bounds = Patience { tries_max: 1, silence_max: period, ..Patience::default() };
        let client = client.clone().patience(bounds);
        let (pool, batch, epoch) = (pool.clone(), lease.batch, lease.epoch);
        let renew = move || {
            let (client, pool) = (client.clone(), pool.clone());
            async move { client.renew(&pool, batch, epoch).await }
        };
        let lost = CancellationToken::new();
        let mut renewals = JoinSet::new();
        renewals.spawn(keep(period, renew, lost.clone()));
        Self { lost, _renewals: renewals }
    }

    /// Whether the lease is another worker's, or nobody's.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Returns once the lease is another worker's, or nobody's.
    pub(crate) async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

/// Renews until a refusal. A server out of reach is none: a result counts, however late, until the
/// next lease.
async fn keep<F>(period: Duration, mut renew: impl FnMut() -> F, lost: CancellationToken)
where
    F: Future<Output = client::Result<()>>,
{
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match renew().await {
            Ok(()) => {}
            Err(error) if error.retryable() => {
                tracing::debug!(%error, "a renewal failed, and is tried again");
                ticks.reset_after(period / 8 + fresh::jitter(period / 8));
            }
            Err(error) => {
                tracing::info!(%error, "the lease is lost");
                return lost.cancel();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    use client::Refusal;
    use schemas::problem::Code;

    fn refused(code: Code) -> client::Error {
        client::Error::Refused(Box::new(Refusal { problem: code.into(), retry_after: None }))
    }

    /// When renewals were made, in seconds, with these answers to them; then nothing is answered.
    #[allow(clippy::disallowed_methods, reason = "the paused clock of the test itself")]
    async fn renewals(answers: Vec<client::Result<()>>) -> (Vec<f64>, bool) {
        let (start, made) = (tokio::time::Instant::now(), Arc::new(Mutex::new(Vec::new())));
        let (mut answers, lost) = (answers.into_iter(), CancellationToken::new());
        let renew = {
            let made = Arc::clone(&made);
            move || {
                made.lock().unwrap().push(start.elapsed().as_secs_f64());
                let answer = answers.next();
                async move {
                    match answer {
                        Some(answer) => answer,
                        None => std::future::pending().await,
                    }
                }
            }
        };
        let kept = keep(Duration::from_secs(200), renew, lost.clone());
        _ = tokio::time::timeout(Duration::from_hours(2), kept).await;
        let made = made.lock().unwrap().clone();
        (made, lost.is_cancelled())
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_renewed_at_once_and_then_at_each_third() {
        let (made, lost) = renewals(vec![Ok(()), Ok(()), Ok(())]).await;
        assert_eq!(made, [0.0, 200.0, 400.0, 600.0]);
        assert!(!lost);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_out_of_reach_is_asked_again_soon_and_the_lease_is_not_given_up() {
        let away = || Err(client::Error::Unreachable("away".into()));
        let (made, lost) = renewals(vec![Ok(()), away(), away(), Ok(())]).await;
        let [first, second, third, fourth, fifth] = made[..] else { panic!("{made:?}") };
        assert_eq!((first, second), (0.0, 200.0));
        for wait in [third - second, fourth - third] {
            assert!((25.0..50.1).contains(&wait), "{wait}");
        }
        assert!((fifth - fourth - 200.0).abs() < 0.1, "{made:?}");
        assert!(!lost);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_ends_it() {
        let (made, lost) = renewals(vec![Ok(()), Err(refused(Code::StaleLease))]).await;
        assert_eq!((made, lost), (vec![0.0, 200.0], true));
    }
}
