//! The time and the CPU time that a real driver of a [`Context`](crate::Context) steps it with.

use std::time::Duration;

use damon_core::Instant;

/// The monotonic clock. On Linux its times are those of `CLOCK_MONOTONIC`, so that they can be compared with other
/// programs' and the kernel's; elsewhere their epoch is when the clock was made.
///
/// ```
/// use std::time::Duration;
/// let clock = damos::clock::Clock::new();
/// let due = clock.now() + Duration::from_millis(1);
/// std::thread::sleep(clock.until(due));
/// assert!(clock.now() >= due);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    base: std::time::Instant,
    base_at: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// The clock.
    pub fn new() -> Self {
        Self { base: std::time::Instant::now(), base_at: Instant::from_nanos(monotonic_nanos()) }
    }

    /// What time it is.
    pub fn now(&self) -> Instant {
        self.base_at + self.base.elapsed()
    }

    /// How long it is until `at`; zero if that has passed.
    pub fn until(&self, at: Instant) -> Duration {
        at - self.now()
    }

    /// The same point in time for the standard library's clock; `None` if that does not reach so far.
    pub fn to_std(&self, at: Instant) -> Option<std::time::Instant> {
        self.base.checked_add(at - self.base_at)
    }
}

#[cfg(target_os = "linux")]
fn monotonic_nanos() -> u64 {
    use nix::time::{ClockId, clock_gettime};
    // It exists on every Linux; without it the epoch is another one, and only differences matter.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |t| u64::try_from(Duration::from(t).as_nanos()).unwrap_or(0))
}

#[cfg(not(target_os = "linux"))]
const fn monotonic_nanos() -> u64 {
    0
}

/// The CPU time that the calling thread has used since it started; zero where the system does not tell.
///
/// The difference of two calls around [`Context::step`](crate::Context::step) is what that step has cost.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
pub fn thread_cpu_time() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// The CPU time that the calling thread has used since it started; zero where the system does not tell.
///
/// The difference of two calls around [`Context::step`](crate::Context::step) is what that step has cost.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "macos")))]
pub const fn thread_cpu_time() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_convert_to_the_standard_clock_and_pass_like_it() {
        let clock = Clock::new();
        let at = clock.now() + Duration::from_secs(5);
        let std = clock.to_std(at).unwrap();
        let left = std.duration_since(std::time::Instant::now());
        assert!(left <= Duration::from_secs(5) && left > Duration::from_secs(4), "{left:?}");
        assert_eq!(clock.until(Instant::ZERO), Duration::ZERO);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn times_are_those_of_clock_monotonic() {
        let clock = Clock::new();
        let (before, now, after) = (monotonic_nanos(), clock.now().as_nanos(), monotonic_nanos());
        // The two clocks are read one after the other, once, when the clock is made.
        assert!(before <= now + 1_000_000 && now <= after + 1_000_000, "{before} {now} {after}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn cpu_time_grows_with_work_and_not_with_sleep() {
        let start = thread_cpu_time();
        std::thread::sleep(Duration::from_millis(30));
        let slept = thread_cpu_time() - start;
        assert!(slept < Duration::from_millis(10), "{slept:?}");
        let spin = std::time::Instant::now();
        while thread_cpu_time() - start < Duration::from_millis(12) {
            assert!(spin.elapsed() < Duration::from_secs(20), "no CPU time passes");
        }
    }
}
