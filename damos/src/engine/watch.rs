//! Looks at watermarks: which schemes work, and when to look again if none does.
//!
//! Counterpart: `kdamond_wait_activation` (`mm/damon/core.c`, Linux 7.3).

use damon_core::control::watermarks;
use damon_core::{Instant, Metrics};

use super::Schemes;

impl Schemes {
    /// Looks at the watermarks that are due. If no scheme is active there is no need to watch, and this says when to look
    /// again; without schemes there is none to say so. A metric that cannot be read leaves its scheme as it was.
    pub fn activate(&mut self, now: Instant, metrics: &mut (impl Metrics + ?Sized)) -> Option<Instant> {
        for s in &mut self.list {
            let Some(w) = &s.scheme.watermarks else { continue };
            if now < s.look_at {
                continue;
            }
            s.look_at = now + w.interval;
            match metrics.read(w.metric) {
                Ok(value) => s.active = watermarks::active(s.active, value, w.marks),
                Err(_) => s.stats.watermark_errors += 1,
            }
        }
        if self.list.iter().any(|s| s.active) {
            return None;
        }
        self.list.iter().map(|s| s.look_at).min()
    }
}
