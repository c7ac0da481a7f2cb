//! One run: who tiers is let loose on subjects, until what is hot is where it belongs or the time is over.

use std::fmt;
use std::time::{Duration, Instant};

use crate::machine::{FAST, moved, swapped};
use crate::subject::Subject;

/// How much of what is hot must be on the fast node.
pub(crate) const ENOUGH: f64 = 0.95;
/// Between looks. Each walks the subject's page tables.
const LOOK: Duration = Duration::from_millis(250);

/// What came of a run.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// How soon enough of what is hot was on the fast node; `None`: it never was.
    pub(crate) reached: Option<Duration>,
    /// How long it was looked at.
    pub(crate) took: Duration,
    /// How much of what is hot was there in the end.
    pub(crate) there: f64,
    /// Bytes that were moved, both ways, by the kernel's own count.
    pub(crate) moved: u64,
    /// The most that was moved in any one second.
    pub(crate) fastest: u64,
    /// Bytes that went to swap.
    pub(crate) swapped: u64,
    /// CPU time of who tiers.
    pub(crate) cpu: Duration,
    /// How much of what is hot was there at the end of each second.
    pub(crate) shares: Vec<f64>,
}

/// The least part of each subject's part that is on the fast node.
fn least(hot: &[(&Subject, usize)]) -> f64 {
    hot.iter().map(|(subject, part)| subject.on(FAST, *part)).fold(1.0, f64::min)
}

impl Outcome {
    /// Is what is hot where it belongs, and has it stayed there?
    pub(crate) fn verdict(&self) -> Result<(), String> {
        match self.reached {
            None => Err(format!("never 95% of what is hot on node {FAST}: {:.1}% in the end", 100.0 * self.there)),
            Some(_) if self.there < ENOUGH => {
                Err(format!("it did not stay there: {:.1}% in the end", 100.0 * self.there))
            }
            Some(_) => Ok(()),
        }
    }
}

/// Looks until enough of each of `hot` has been on the fast node for `steady`, or `limit` is over.
pub(crate) fn watch(
    hot: &[(&Subject, usize)],
    limit: Duration,
    steady: Duration,
    cpu: impl Fn() -> Duration,
) -> Outcome {
    let (start, moved_before, swapped_before, cpu_before) = (Instant::now(), moved(), swapped(), cpu());
    let (mut reached, mut series, mut shares) = (None, vec![(Duration::ZERO, 0)], Vec::new());
    loop {
        std::thread::sleep(LOOK);
        let (now, there) = (start.elapsed(), least(hot));
        series.push((now, moved() - moved_before));
        if now.as_secs() > shares.len() as u64 {
            shares.push(there);
        }
        reached = reached.filter(|_| there >= ENOUGH).or_else(|| (there >= ENOUGH).then_some(now));
        if now >= limit || reached.is_some_and(|at| now - at >= steady) {
            let (cpu, swapped) = (cpu().saturating_sub(cpu_before), swapped() - swapped_before);
            let (fastest, moved) = (fastest(&series), series.last().map_or(0, |last| last.1));
            return Outcome { reached, took: now, there, moved, fastest, swapped, cpu, shares };
        }
    }
}

/// The largest growth in a second of `series`.
fn fastest(series: &[(Duration, u64)]) -> u64 {
    let mut most = 0;
    for (i, (from, before)) in series.iter().enumerate() {
        let within = series[i..].iter().take_while(|(at, _)| *at <= *from + Duration::from_secs(1));
        most = most.max(within.last().map_or(0, |(_, after)| after - before));
    }
    most
}

const fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reached = self.reached.map_or_else(|| "never".to_owned(), |at| format!("{:.1} s", at.as_secs_f64()));
        let percent = 100.0 * self.cpu.as_secs_f64() / self.took.as_secs_f64();
        let (there, moved, fastest) = (100.0 * self.there, mib(self.moved), mib(self.fastest));
        write!(
            f,
            "{reached:>8} {there:>6.1}% {moved:>6} MiB {fastest:>6} MiB/s {:>6} MiB {:>6.2} s {percent:>5.1}%",
            mib(self.swapped),
            self.cpu.as_secs_f64()
        )?;
        write!(f, "\n  there after each second:")?;
        self.shares.iter().try_for_each(|share| write!(f, " {:.0}%", 100.0 * share))
    }
}

/// What [`Outcome`]'s columns are.
pub(crate) const COLUMNS: &str = "95% after   in end      moved   in one second  to swap      CPU    of one";

#[test]
fn what_never_came_or_did_not_stay_does_not_pass() {
    let (zero, reached) = (Duration::ZERO, Some(Duration::from_secs(1)));
    let of = |reached, there| Outcome {
        reached,
        there,
        took: zero,
        moved: 0,
        fastest: 0,
        swapped: 0,
        cpu: zero,
        shares: Vec::new(),
    };
    assert!(of(reached, 0.95).verdict().is_ok());
    assert!(of(None, 0.94).verdict().is_err() && of(reached, 0.94).verdict().is_err());
}

#[test]
fn the_fastest_second_is_found_wherever_it_begins() {
    let at = |ms| Duration::from_millis(ms);
    assert_eq!(fastest(&[(at(0), 0), (at(600), 5), (at(1_500), 25), (at(1_600), 26), (at(2_900), 26)]), 21);
}
