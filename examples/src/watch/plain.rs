//! A line of figures, for where there is no terminal to draw on.

use damon_core::{Bp, Instant};

use super::state::State;
use super::units::{self, Units};

/// What is known now, as a line; times are since `start`. `None` before anything is.
pub(super) fn line(state: &State, start: Instant) -> Option<String> {
    let s = state.snapshot()?;
    let u = Units::Percent;
    let idle = s.idle_percentiles_ns()[50];
    let idle = if idle > 0 { u.time(std::time::Duration::from_nanos(idle.unsigned_abs())) } else { "0 s".into() };
    let hottest = state.regions().first().map_or(String::new(), |r| {
        let (name, at) = (state.name(r.range.start()), r.range.start());
        format!("; hottest {name} {at:#x} {} {} for {}", u.size(s.bytes(r)), u.rate(r, s), u.time(r.age_time))
    });
    let schemes: String = state
        .look
        .iter()
        .flat_map(|l| &l.schemes)
        .enumerate()
        .map(|(i, scheme)| format!("; #{i} {} of {}", u.size(scheme.stats.sz_applied), u.size(scheme.stats.sz_tried)))
        .collect();
    Some(format!(
        "{:.1} s: {} watched in {} regions, {} accessed, {} in half of samples, half idle for {idle}; sampling {} of {}; checks {}, CPU {}{hottest}{schemes}",
        (s.at - start).as_secs_f64(),
        u.size(s.watched_bytes()),
        s.regions().count(),
        u.size(s.working_set(Bp(0))),
        u.size(s.working_set(Bp(5_000))),
        u.time(s.sampling),
        u.time(s.aggregation),
        units::checks(state.meter.checks),
        units::cpu(state.meter.cpu),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::tests::{at, state};

    #[test]
    fn a_line_says_what_a_screen_would() {
        let line = line(&state(), at(0)).unwrap();
        let expected = "2.0 s: 36 MiB watched in 4 regions, 24 MiB accessed, 4 MiB in half of samples, half idle for 0 s; \
            sampling 50.0 ms of 1.0 s; checks 0/s, CPU 0.0%; hottest memory 0x400000 4 MiB 100% for 3.0 s";
        assert_eq!(line, expected);
    }
}
