//! What policies came to, for people as tables and for programs as JSON.

use std::io::{self, Write};

use damon_ops_sim::tiering::{Costs, Outcome, Spec};
use serde::Serialize;

use super::{Comparison, POLICIES};

/// The constants behind a result.
///
/// # Errors
/// Those of writing.
pub fn constants(out: &mut impl Write, costs: &Costs) -> io::Result<()> {
    write!(out, "{costs}")
}

/// A table of the means of each policy on a machine, in Markdown.
///
/// # Errors
/// Those of writing.
pub fn table(out: &mut impl Write, c: &Comparison) -> io::Result<()> {
    writeln!(out, "\n### {}\n\n{}; {} seeds.\n", c.spec.name, c.spec.about, c.dram.len())?;
    writeln!(
        out,
        "| policy | gain | spread | of oracle | slower than DRAM | promoted | demoted | programs paid | kernel's CPUs | checks of that |"
    )?;
    writeln!(out, "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")?;
    for (i, name) in POLICIES.iter().enumerate() {
        let m = c.mean(i);
        let of = c.of_oracle(i).map_or("-".into(), |part| format!("{:.0}%", part * 100.0));
        let (up, down) = m.migrated;
        writeln!(
            out,
            "| {name} | {:+.2}% | {:.2} | {of} | {:.2}% | {:.1} GB | {:.1} GB | {:.0} s | {:.0} s | {:.0} s |",
            m.gain * 100.0,
            m.spread * 100.0,
            m.slowdown * 100.0,
            up / 1e9,
            down / 1e9,
            m.programs_s,
            m.kernel_s,
            m.watching_s
        )?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Line<'a> {
    commit: &'a str,
    spec: &'a Spec,
    costs: &'a Costs,
    /// Relative to no tiering with the same seed.
    gain: f64,
    /// Relative to all memory in DRAM.
    slowdown: f64,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

/// A JSON object a line, one for each run, with all that it depends on.
///
/// # Errors
/// Those of writing.
pub fn json(out: &mut impl Write, c: &Comparison, commit: &str) -> io::Result<()> {
    for runs in &c.runs {
        for ((outcome, none), dram) in runs.iter().zip(&c.runs[0]).zip(&c.dram) {
            let (gain, slowdown) = (outcome.gain(none), outcome.slowdown(dram));
            let line = Line { commit, spec: &c.spec, costs: &c.costs, gain, slowdown, outcome };
            writeln!(out, "{}", serde_json::to_string(&line)?)?;
        }
    }
    Ok(())
}
