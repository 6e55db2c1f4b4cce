//! What the demo tells: one line per step, with the seconds since it began.

use std::io::Write as _;
use std::path::Path;

use client::fresh;
use schemas::time::{EffectiveAt, Wall, Window};

use super::troupe::{Part, Troupe};
use crate::print::clean;

/// Tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Teller {
    began: Wall,
}

impl Teller {
    pub(super) fn new() -> Self {
        Self { began: fresh::now() }
    }

    /// What someone does.
    pub(super) fn step(self, who: &str, does: &str) {
        line(&format!("{:5.1} s  {who:<10}  {}", self.seconds(), clean(does)));
    }

    /// What follows now.
    pub(super) fn title(self, text: &str) {
        line(&format!("\n{text}"));
    }

    /// Anything else.
    pub(super) fn text(self, text: &str) {
        line(&clean(text));
    }

    /// Seconds since it began.
    pub(super) fn seconds(self) -> f64 {
        seconds(fresh::now().since(self.began))
    }

    /// What can be tried against the server.
    pub(super) fn by_hand(self, server: &str, password: &str, data: &Path, troupe: &Troupe) {
        let pool = &troupe.pool;
        let buoy = troupe.all(Part::Online).next().map_or("buoy-1", |member| member.name.as_str());
        let away = troupe.all(Part::Offline).next().map_or("buoy-8", |member| member.name.as_str());
        self.title(&format!(
            "Serving until ctrl-c: {server}, pool {pool}. The worker and the members go on: what \
             you send\ncomes back to all of them, above. In another terminal:\n"
        ));
        self.text(&format!(
            "  export SLUICE_SERVER={server} SLUICE_PASSWORD={password} SLUICE_POOL={pool}\n\
             \n  sluice --user {buoy} push README.md       # send a file of your own\n  \
             sluice --user ada pool windows {pool}       # when each window closes, why, who is missing\n  \
             sluice --user ada batches                # what is in each batch, which has its result\n  \
             sluice --user ada deliveries             # who has the latest result\n  \
             sluice --user {away} history             # where each file of one client ended up\n  \
             sluice --user listener-1 listen --save results/\n  \
             sluice replay {pool} --data {0}       # the log, beside the running server\n  \
             sluice replay {pool} --data {0} --verify\n  \
             sluice --user admin pool show {pool}        # the platform's admin\n\
             \nAll accounts have that password; it is kept in {0}/password. Received results lie in\n\
             {0}/members. `sluice` is target/release/sluice here. Delete {0} to begin anew.",
            data.display(),
        ));
    }
}

/// A window, by the clock (UTC).
pub(super) fn span(window: Window) -> String {
    format!("{}–{}", clock(window.start), clock(window.end))
}

/// A moment as hours, minutes, seconds (UTC).
fn clock(at: EffectiveAt) -> String {
    at.to_string().get(11..19).unwrap_or_default().to_owned()
}

/// Milliseconds as seconds.
pub(super) fn seconds(millis: u64) -> f64 {
    millis as f64 / 1_000.0
}

/// Nobody may be listening: that is no error.
fn line(text: &str) {
    _ = writeln!(std::io::stdout().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::time::WindowKind;

    #[test]
    fn windows_are_told_by_the_clock() {
        let [start, end] = ["2026-11-21T10:30:00Z", "2026-11-21T10:30:04Z"]
            .map(|at| at.parse::<EffectiveAt>().unwrap());
        let window = Window { start, end, kind: WindowKind::Tumbling };
        assert_eq!(span(window), "10:30:00–10:30:04");
    }
}
