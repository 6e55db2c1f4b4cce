//! Progress on a terminal; nothing anywhere else.

use client::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Bars, one below the other, on standard error.
#[derive(Clone, Debug)]
pub(crate) struct Bars(MultiProgress);

impl Bars {
    /// Drawn only if `draw` and standard error is a terminal. Without colours, whatever `NO_COLOR`
    /// says.
    pub(crate) fn new(draw: bool) -> Self {
        let target = if draw { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self(MultiProgress::with_draw_target(target))
    }

    /// A bar of this many bytes, and what moves it.
    pub(crate) fn bar(&self, name: &str, bytes: u64) -> (ProgressBar, Progress) {
        let bar = self.0.add(ProgressBar::new(bytes).with_message(name.to_owned()));
        let template = "{msg:30!} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        let moved = bar.clone();
        (bar, Progress::new(move |bytes| moved.set_position(bytes)))
    }
}
