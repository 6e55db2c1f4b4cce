//! Repeats of a call: few, spread at random, and never of what may have been done already.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::fresh;

/// How often a call is tried, and how long is waited in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Tries in all. At least one is made.
    pub tries_max: u32,
    /// Bound of the first wait; each next one is twice the last. The wait itself is random below
    /// its bound, or what the server asks for and that.
    pub wait_min: Duration,
    /// Bound of every wait. A server that asks for a longer one ends the tries.
    pub wait_max: Duration,
    /// Longest a call may go without a byte moving, its answer included.
    pub silence_max: Duration,
}

impl Default for Patience {
    /// Five tries within about half a minute.
    fn default() -> Self {
        Self {
            tries_max: 5,
            wait_min: Duration::from_millis(300),
            wait_max: Duration::from_secs(20),
            silence_max: Duration::from_mins(1),
        }
    }
}

impl Patience {
    /// One try and no more.
    pub fn none() -> Self {
        Self { tries_max: 1, ..Self::default() }
    }

    /// How long to wait after `tries` of them failed; none when the server asks for too long.
    pub(crate) fn wait(&self, tries: u32, asked: Option<Duration>) -> Option<Duration> {
        let doubled = self.wait_min.saturating_mul(1 << tries.saturating_sub(1).min(16));
        let jitter = fresh::jitter(doubled.min(self.wait_max));
        match asked {
            Some(asked) if asked > self.wait_max => None,
            Some(asked) => Some(asked + jitter),
            None => Some(jitter),
        }
    }
}

/// Whether a call may be made again when it may have taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It reads, or names itself by a key or an id: a repeat gives the same answer.
    Harmless,
    /// It would do the same thing twice.
    DoesTwice,
}

/// The tries of one call.
#[derive(Debug)]
pub(crate) struct Tries {
    patience: Patience,
    repeat: Repeat,
    failed: u32,
    doubt: bool,
}

impl Tries {
    pub(crate) fn new(patience: Patience, repeat: Repeat) -> Self {
        Self { patience, repeat, failed: 0, doubt: false }
    }

    /// Returns when it is time for the next try, or the error when there is none.
    pub(crate) async fn after(&mut self, error: Error) -> Result<()> {
        self.failed = self.failed.saturating_add(1);
        let doubt = self.doubt;
        self.doubt |= error.may_be_done();
        let may = error.retryable() && (self.repeat == Repeat::Harmless || !error.may_be_done());
        if !may || self.failed >= self.patience.tries_max {
            return Err(error.in_doubt(doubt));
        }
        let Some(wait) = self.patience.wait(self.failed, error.retry_after()) else {
            return Err(error.in_doubt(doubt));
        };
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Some of the work is done for good: the tries count from here.
    pub(crate) fn got_on(&mut self) {
        self.failed = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::problem::Code;

    use crate::error::Refusal;

    fn refused(code: Code, retry_after_s: Option<u64>) -> Error {
        let retry_after = retry_after_s.map(Duration::from_secs);
        Error::Refused(Box::new(Refusal { problem: code.into(), retry_after }))
    }

    #[allow(clippy::disallowed_methods, reason = "the paused clock of the test itself")]
    async fn waited(tries: &mut Tries, error: Error) -> Result<Duration> {
        let start = tokio::time::Instant::now();
        tries.after(error).await.map(|()| start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_is_what_the_server_asks_and_no_less() {
        let mut tries = Tries::new(Patience::default(), Repeat::Harmless);
        let wait = waited(&mut tries, refused(Code::TooBusy, Some(7))).await.unwrap();
        assert!((Duration::from_secs(7)..Duration::from_millis(7_302)).contains(&wait), "{wait:?}");
        let wait = waited(&mut tries, refused(Code::TooBusy, None)).await.unwrap();
        assert!(wait < Duration::from_millis(602), "{wait:?}");
        let asked_too_long = waited(&mut tries, refused(Code::TooBusy, Some(21))).await;
        assert_eq!(asked_too_long.unwrap_err().code(), Some(Code::TooBusy));
    }

    #[tokio::test(start_paused = true)]
    async fn tries_are_bounded_and_progress_counts_them_anew() {
        let patience = Patience { tries_max: 3, ..Patience::default() };
        let mut tries = Tries::new(patience, Repeat::Harmless);
        let cut = || Error::Cut("cut".into());
        assert!(tries.after(cut()).await.is_ok() && tries.after(cut()).await.is_ok());
        tries.got_on();
        assert!(tries.after(cut()).await.is_ok() && tries.after(cut()).await.is_ok());
        assert!(matches!(tries.after(cut()).await, Err(Error::Cut(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn what_would_be_done_twice_is_repeated_only_when_it_was_not_done() {
        let mut tries = Tries::new(Patience::default(), Repeat::DoesTwice);
        assert!(tries.after(Error::Unreachable("refused".into())).await.is_ok());
        assert!(tries.after(refused(Code::Unavailable, None)).await.is_ok());
        assert!(tries.after(refused(Code::OutcomeUnknown, None)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_answer_leaves_its_doubt_on_what_follows() {
        let mut tries = Tries::new(Patience::default(), Repeat::Harmless);
        tries.after(Error::Cut("cut".into())).await.unwrap();
        let last = tries.after(refused(Code::InvalidToken, None)).await.unwrap_err();
        assert!(matches!(last, Error::Doubtful(_)) && last.may_be_done());
        assert_eq!(last.code(), Some(Code::InvalidToken));
    }
}
