//! Figures as a person wants them at the moment; each carries its unit.

use std::time::Duration;

use damon_core::{RegionSnapshot, Snapshot};

use crate::heatmap::bytes;
use crate::recorded::units;

/// In which units figures are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Units {
    /// Sizes in binary units, times in decimal ones, rates as the percentage of samples that found an access.
    #[default]
    Percent,
    /// The same; rates as accesses seen per second, which is the least that there were.
    Hertz,
    /// Bytes, milliseconds, and samples with an access of all samples.
    Raw,
}

impl Units {
    /// The next.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Percent => Self::Hertz,
            Self::Hertz => Self::Raw,
            Self::Raw => Self::Percent,
        }
    }

    /// What they are called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Percent => "rates in % of samples",
            Self::Hertz => "rates in accesses seen per second (Hz)",
            Self::Raw => "bytes, milliseconds, samples with an access of all samples",
        }
    }

    /// A size.
    pub fn size(self, n: u64) -> String {
        if self == Self::Raw { format!("{n} B") } else { bytes(n) }
    }

    /// A time.
    pub fn time(self, d: Duration) -> String {
        if self == Self::Raw { format!("{} ms", d.as_millis()) } else { units::time(d.as_nanos() as f64 / 1e3) }
    }

    /// How often a region of a snapshot is accessed.
    pub fn rate(self, r: &RegionSnapshot, s: &Snapshot) -> String {
        let part = f64::from(r.rate.0) / 1e4;
        match self {
            Self::Percent => format!("{:.0}%", 100.0 * part),
            Self::Hertz => units::hz(part / s.sampling.as_secs_f64().max(1e-9)),
            Self::Raw => format!("{}/{}", r.nr_accesses, r.nr_samples),
        }
    }

    /// The widest size, rate and time that are to be expected.
    pub const fn widths(self) -> (usize, usize, usize) {
        match self {
            Self::Percent => (8, 4, 7),
            Self::Hertz => (8, 7, 7),
            Self::Raw => (13, 5, 9),
        }
    }
}

/// Addresses looked at, a second.
pub(crate) fn checks(checks: Option<f64>) -> String {
    checks.map_or("-".into(), |n| format!("{n:.0}/s"))
}

/// A part of one CPU.
pub(crate) fn cpu(part: Option<f64>) -> String {
    part.map_or("-".into(), |part| format!("{:.1}%", 100.0 * part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::tests::snapshot;

    #[test]
    fn no_figure_is_without_its_unit() {
        let s = snapshot(1, &[(0, 6, 25)]);
        let r = s.regions().next().unwrap();
        let all = |u: Units| [u.size(6 << 20), u.rate(r, &s), u.time(Duration::from_millis(1_500))];
        assert_eq!(all(Units::Percent), ["6 MiB", "25%", "1.5 s"]);
        assert_eq!(all(Units::Hertz), ["6 MiB", "5.00 Hz", "1.5 s"]);
        assert_eq!(all(Units::Raw), ["6291456 B", "5/20", "1500 ms"]);
        assert_eq!(Units::default().next().next().next(), Units::Percent);
    }
}
