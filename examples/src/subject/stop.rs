//! When a program shall end: a signal, a time, the command that it watches.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};

use super::Command;

/// The longest that nobody looks.
const LOOK: Duration = Duration::from_millis(50);

/// Says when it is time to end. From here on SIGINT and SIGTERM ask for it, and a second one ends the program at once.
#[derive(Debug)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    at: Option<Instant>,
}

impl Stop {
    /// On a signal, and after `duration` if there is one.
    ///
    /// # Errors
    /// When signals cannot be waited for.
    pub fn new(duration: Option<Duration>) -> io::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&asked))?;
            signal_hook::flag::register(signal, Arc::clone(&asked))?;
        }
        Ok(Self { asked, at: duration.and_then(|d| Instant::now().checked_add(d)) })
    }

    /// Waits, and says whether it is time to end: a signal came, the time is over, or the command has ended.
    pub fn wait(&self, mut time: Duration, command: &mut Option<Command>) -> bool {
        loop {
            let over = self.at.is_some_and(|at| Instant::now() >= at);
            if over || self.asked.load(Ordering::Relaxed) || command.as_mut().is_some_and(|c| c.ended().is_some()) {
                return true;
            }
            if time.is_zero() {
                return false;
            }
            let step = time.min(LOOK);
            std::thread::sleep(step);
            time -= step;
        }
    }
}
