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

    /// What someone does; lines after the first stand below it.
    pub(super) fn step(self, who: &str, does: &str) {
        let below = format!("\n{:21}", "");
        let does = clean(does).replace('\n', &below);
        line(&format!("{:5.1} s  {who:<10}  {does}", self.seconds()));
    }

    /// Seconds since it began.
    pub(super) fn seconds(self) -> f64 {
        seconds(fresh::now().since(self.began))
    }
}

/// What follows now.
pub(super) fn title(text: &str) {
    line(&format!("\n{text}"));
}

/// Anything else.
pub(super) fn say(text: &str) {
    line(&clean(text));
}

/// What can be tried against the server.
pub(super) fn by_hand(server: &str, password: &str, data: &Path, troupe: &Troupe) {
    let pool = &troupe.pool;
    let buoy = troupe.all(Part::Online).next().map_or("buoy-1", |member| member.name.as_str());
    let away = troupe.all(Part::Offline).next().map_or("buoy-8", |member| member.name.as_str());
    title(&format!(
        "Serving on {server} until ctrl-c. The worker and the members of {pool} go on: what you\n\
         send now comes back to all of them, above. In another terminal:\n\n  \
         export SLUICE_SERVER={server} SLUICE_PASSWORD={password} SLUICE_POOL={pool}\n"
    ));
    let data = data.display();
    for (command, does) in [
        (format!("--user {buoy} push README.md"), "send a file of your own"),
        (format!("--user ada pool windows {pool}"), "when windows close, why, who is missing"),
        ("--user ada batches".to_owned(), "what became of them"),
        ("--user ada deliveries".to_owned(), "who has the latest result"),
        (format!("--user {away} history"), "where each file of a client ended up"),
        ("--user listener-1 listen --save received".to_owned(), "results as they come"),
        (format!("replay {pool} --data {data}"), "the log, beside the running server"),
        (format!("replay {pool} --data {data} --verify"), "folded again, byte for byte the same?"),
        (format!("--user admin pool show {pool}"), "as the platform's admin"),
    ] {
        say(&format!("  sluice {command:<42} # {does}"));
    }
    say(&format!(
        "\nAll accounts here have that password; {data}/password keeps it. What members received lies\n\
         in {data}/members. `sluice` is target/release/sluice. To begin anew, delete {data}."
    ));
}

/// A window, by the clock (UTC).
pub(super) fn span(window: Window) -> String {
    format!("{}–{}", clock(window.start), clock(window.end))
}

/// A moment as hours, minutes, seconds (UTC).
fn clock(at: EffectiveAt) -> String {
    at.to_string().get(11..19).unwrap_or_default().to_owned()
}

/// So many of them.
pub(super) fn count(number: impl Into<u64>, what: &str) -> String {
    let number = number.into();
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// The beginning of an id, which tells it from others here.
pub(super) fn short(id: impl ToString) -> String {
    id.to_string().chars().take(8).collect()
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
        assert_eq!(
            (count(1_u32, "file"), count(2_u32, "file")),
            ("1 file".into(), "2 files".into())
        );
    }
}
