//! Progress on standard error, while something takes its time.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of `len` steps; nothing where standard error is no terminal.
pub fn bar(what: &'static str, len: u64) -> ProgressBar {
    let bar = ProgressBar::new(len).with_message(what);
    match ProgressStyle::with_template("{msg} [{bar:40}] {elapsed} of about {duration}") {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        // A plain bar will do.
        Err(_) => bar,
    }
}

/// Sleeps for `time`, and shows how much of it has passed.
pub fn wait(what: &'static str, time: Duration) {
    let (start, total) = (Instant::now(), time.as_millis() as u64);
    let bar = bar(what, total);
    while start.elapsed() < time {
        std::thread::sleep(Duration::from_millis(100).min(time - start.elapsed().min(time)));
        bar.set_position(total.min(start.elapsed().as_millis() as u64));
    }
    bar.finish_and_clear();
}
