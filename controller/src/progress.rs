//! Tells whoever sits at a terminal what a command is doing, where that takes long.

use std::borrow::Cow;
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Whoever gets his answer sooner sees nothing.
const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);
/// How often it is drawn, at most.
const DRAWN: u8 = 10;

/// What is being done, on stderr if that is a terminal, until it is dropped.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Begins with this.
    pub(crate) fn start(what: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_message(what);
        let shown = bar.clone();
        // Without it there is only nothing to see.
        let _ = thread::Builder::new().name("progress".into()).spawn(move || show(&shown));
        Self(bar)
    }

    /// Goes on with this.
    pub(crate) fn next(&self, what: impl Into<Cow<'static, str>>) {
        self.0.set_message(what);
    }

    /// Goes on with this, of which there are so many parts.
    pub(crate) fn of(&self, what: &'static str, parts: usize) {
        self.0.set_style(style("{spinner} {msg} {wide_bar} {pos}/{len}, {elapsed}"));
        self.0.set_length(parts as u64);
        self.0.set_message(what);
    }

    /// One of them is done.
    pub(crate) fn done(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn show(bar: &ProgressBar) {
    thread::sleep(PATIENCE);
    if !bar.is_finished() {
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWN));
        bar.enable_steady_tick(TICK);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a template that indicatif knows")
}
