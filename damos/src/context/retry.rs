//! Which errors of a backend are tried again, how often and when; and what becomes of the others.

use core::error::Error;
use core::time::Duration;

use damon_core::Fault;

/// How errors that the backend calls transient are tried again, as a person writes it.
///
/// The default waits 1 ms, then twice as long each time up to 1 s, and gives up at the 16th error in a row: after 6 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Give up at so many errors in a row; 0 and 1 mean that nothing is tried again.
    pub attempts: u32,
    /// Before the first further try.
    pub first: Duration,
    /// Before each further one twice as long, up to this.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 16, first: Duration::from_millis(1), longest: Duration::from_secs(1) }
    }
}

/// Why a [`Context::step`](super::Context::step) failed. The context stays as it was before the failing call to the
/// backend: once the cause is gone it may be stepped again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError<E: Error + 'static> {
    /// The backend failed for good.
    #[error(transparent)]
    Ops(E),
    /// The backend failed in a way that may pass, but too often in a row.
    #[error("the backend failed {attempts} times in a row")]
    Exhausted {
        /// How many times.
        attempts: u32,
        /// Its last error.
        #[source]
        last: E,
    },
}

impl Retry {
    /// After the `failed`th error in a row (from 1): how long to wait, or why not to go on.
    pub(super) fn after<E: Error + 'static>(
        &self,
        failed: u32,
        fault: Fault,
        error: E,
    ) -> Result<Duration, StepError<E>> {
        if fault != Fault::Transient {
            return Err(StepError::Ops(error));
        }
        if failed >= self.attempts {
            return Err(StepError::Exhausted { attempts: failed, last: error });
        }
        let doublings = failed.saturating_sub(1).min(31);
        Ok(self.first.saturating_mul(1 << doublings).min(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(retry: Retry, failed: u32) -> Option<Duration> {
        retry.after(failed, Fault::Transient, core::fmt::Error).ok()
    }

    #[test]
    fn waits_double_up_to_the_longest_and_end() {
        let ms = Duration::from_millis;
        let retry = Retry { attempts: 6, first: ms(1), longest: ms(5) };
        let waits: Vec<_> = (1..=6).map(|n| wait(retry, n)).collect();
        assert_eq!(waits, [Some(ms(1)), Some(ms(2)), Some(ms(4)), Some(ms(5)), Some(ms(5)), None]);
        assert_eq!(wait(Retry { attempts: u32::MAX, ..retry }, u32::MAX - 1), Some(ms(5)));
        assert_eq!(wait(Retry { attempts: 0, ..retry }, 1), None);
    }

    #[test]
    fn a_fatal_error_is_not_tried_again_and_keeps_its_words() {
        let e = Retry::default().after(1, Fault::Fatal, core::fmt::Error).unwrap_err();
        assert!(matches!(e, StepError::Ops(_)));
        assert_eq!(e.to_string(), core::fmt::Error.to_string());
    }

    #[test]
    fn the_default_gives_up_after_six_seconds() {
        let total: Duration = (1..16).filter_map(|n| wait(Retry::default(), n)).sum();
        assert_eq!(total, Duration::from_millis(6_023));
    }
}
