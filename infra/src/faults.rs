//! Places where a test may end the process, and bugs that a test may plant.
//!
//! Without the feature `faults` everything here is nothing at all. With it, a process armed with
//! `crash=<point>[:<n>]` aborts at the n-th passing of that point, and one armed with
//! `bug=<name>` has that bug: the oracle must then complain (docs/testing.md).

/// Every crash point there is; the crash test arms each once and fails if one is never passed.
pub const CRASH_POINTS: &[&str] = &[
    "blobs.before-write",
    "blobs.before-sync",
    "blobs.before-rename",
    "blobs.after-rename",
    "blobs.after-sync-folder",
    "log.before-insert",
    "log.before-commit",
    "log.after-commit",
    "kept.before-commit",
    "kept.after-commit",
    "ingest.before-put",
    "ingest.after-put",
    "ingest.before-append",
    "ingest.after-append",
    "ingest.before-answer",
    "ingest.inspection-begun",
    "ingest.inspection-verdict",
    "batcher.before-append",
    "batcher.after-append",
    "batcher.torn-append",
    "batcher.before-copy",
    "batcher.before-timer",
    "batcher.before-snapshot",
    "batcher.after-snapshot",
    "views.before-rows",
    "views.before-checkpoint",
    "views.after-commit",
    "projector.before-fetched",
];

/// A bug that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bug {
    /// An object counts as put before it is synced.
    AnswerBeforeSync,
    /// An append counts as durable before its commit.
    AckBeforeCommit,
    /// The event is appended before the bytes are put.
    EventBeforeBytes,
    /// A view's checkpoint is saved before its rows.
    OffsetBeforeEffect,
    /// A repeated upload is neither found nor dropped: it is placed again.
    DuplicateNotDropped,
    /// Windows close by the process's clock.
    CloseByWallClock,
    /// A result is taken whatever its epoch.
    EpochIgnored,
    /// A late file is dropped.
    LateDropped,
}

/// The bugs and the names they are planted by.
pub const BUGS: &[(&str, Bug)] = &[
    ("answer-before-sync", Bug::AnswerBeforeSync),
    ("ack-before-commit", Bug::AckBeforeCommit),
    ("event-before-bytes", Bug::EventBeforeBytes),
    ("offset-before-effect", Bug::OffsetBeforeEffect),
    ("duplicate-not-dropped", Bug::DuplicateNotDropped),
    ("close-by-wall-clock", Bug::CloseByWallClock),
    ("epoch-ignored", Bug::EpochIgnored),
    ("late-dropped", Bug::LateDropped),
];

pub use armed::{arm, armed_for, clock_ahead_ms, crash_point, planted, volatile};

#[cfg(feature = "faults")]
mod armed {
    use std::path::PathBuf;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::{BUGS, Bug, CRASH_POINTS};

    #[derive(Debug)]
    struct Armed {
        crash: Option<(&'static str, AtomicU32)>,
        bug: Option<Bug>,
        volatile: bool,
        clock: Option<PathBuf>,
    }

    static ARMED: OnceLock<Armed> = OnceLock::new();

    /// Arms the process, once, before anything else: words of `crash=<point>[:<n>]`,
    /// `bug=<name>`, `volatile` (unsynced bytes are lost with the process) and `clock=<file>` (the
    /// machine's clock is as many milliseconds ahead as the file says, now).
    pub fn arm(words: &str) -> Result<(), String> {
        let mut armed = Armed { crash: None, bug: None, volatile: false, clock: None };
        for word in words.split_whitespace() {
            match word.split_once('=') {
                Some(("crash", point)) => {
                    let (point, nth) = point.split_once(':').unwrap_or((point, "1"));
                    let known = CRASH_POINTS.iter().find(|known| **known == point);
                    let nth: u32 = nth.parse().map_err(|_| format!("no number: {nth}"))?;
                    let point = known.ok_or_else(|| format!("no crash point {point}"))?;
                    armed.crash = Some((point, AtomicU32::new(nth.max(1))));
                }
                Some(("bug", name)) => {
                    let known = BUGS.iter().find(|(known, _)| *known == name);
                    armed.bug = Some(known.ok_or_else(|| format!("no bug {name}"))?.1);
                }
                Some(("clock", path)) => armed.clock = Some(path.into()),
                _ if word == "volatile" => armed.volatile = true,
                _ => return Err(format!("cannot arm {word}")),
            }
        }
        ARMED.set(armed).map_err(|_| "armed twice".to_owned())
    }

    /// Ends the process here if it is armed for this point: no destructor runs, nothing is flushed.
    pub fn crash_point(name: &'static str) {
        debug_assert!(CRASH_POINTS.contains(&name), "{name} is not in the list");
        if let Some(Armed { crash: Some((point, left)), .. }) = ARMED.get()
            && *point == name
            && left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            std::process::abort();
        }
    }

    /// Whether the process is armed for this point, now or later.
    pub fn armed_for(name: &str) -> bool {
        let crash = ARMED.get().and_then(|armed| armed.crash.as_ref());
        crash.is_some_and(|(point, _)| *point == name)
    }

    /// Whether this bug is planted.
    pub fn planted(bug: Bug) -> bool {
        ARMED.get().is_some_and(|armed| armed.bug == Some(bug))
    }

    /// Whether bytes that were not synced are to be lost with the process.
    pub fn volatile() -> bool {
        ARMED.get().is_some_and(|armed| armed.volatile)
    }

    /// How far ahead the machine's clock is said to be.
    pub fn clock_ahead_ms() -> i64 {
        let clock = ARMED.get().and_then(|armed| armed.clock.as_ref());
        let text = clock.and_then(|path| std::fs::read_to_string(path).ok());
        text.and_then(|text| text.trim().parse().ok()).unwrap_or_default()
    }
}

#[cfg(not(feature = "faults"))]
mod armed {
    use super::Bug;

    /// None.
    #[inline]
    pub fn clock_ahead_ms() -> i64 {
        0
    }

    /// This build has no faults to arm.
    pub fn arm(words: &str) -> Result<(), String> {
        if words.is_empty() { Ok(()) } else { Err("built without the feature faults".to_owned()) }
    }

    /// Nothing.
    #[inline]
    pub fn crash_point(_: &'static str) {}

    /// False.
    #[inline]
    pub fn armed_for(_: &str) -> bool {
        false
    }

    /// False.
    #[inline]
    pub fn planted(_: Bug) -> bool {
        false
    }

    /// False.
    #[inline]
    pub fn volatile() -> bool {
        false
    }
}
