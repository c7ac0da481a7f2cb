//! What policies came to, for people as tables and for programs as JSON.

use std::io::{self, Write};

use damon_ops_sim::tiering::{Costs, Outcome, Spec};
use serde::Serialize;

use super::{Comparison, POLICIES, Varied};

/// The constants behind a result.
///
/// # Errors
/// Those of writing.
pub fn constants(out: &mut dyn Write, costs: &Costs, commit: &str) -> io::Result<()> {
    writeln!(out, "Revision {commit}, with these constants:\n\n{costs}")
}

/// A table of the means of each policy on a machine, in Markdown.
///
/// # Errors
/// Those of writing.
pub fn table(out: &mut dyn Write, c: &Comparison) -> io::Result<()> {
    writeln!(out, "\n### {}\n\n{}. {}.\n", c.spec.name, c.spec.about, seeds(c))?;
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

/// A table of the gains of each policy on a machine, a row for each set of constants, in Markdown.
///
/// # Errors
/// Those of writing.
pub fn swept(out: &mut dyn Write, all: &[Varied]) -> io::Result<()> {
    let Some(first) = all.first().map(|v| &v.comparison) else { return Ok(()) };
    writeln!(out, "\n### {}\n\n{}.\n", first.spec.name, seeds(first))?;
    writeln!(out, "| constants | {} |", POLICIES.join(" | "))?;
    writeln!(out, "|---|{}", "--:|".repeat(POLICIES.len()))?;
    for Varied { change, comparison } in all {
        let name = if change == "{}" { "as above".into() } else { format!("`{change}`") };
        let gains = (0..POLICIES.len()).map(|i| format!("{:+.2}%", comparison.mean(i).gain * 100.0));
        writeln!(out, "| {name} | {} |", gains.collect::<Vec<_>>().join(" | "))?;
    }
    Ok(())
}

fn seeds(c: &Comparison) -> String {
    match c.dram.len() {
        1 => "Seed 0".into(),
        n => format!("Seeds 0 to {}", n - 1),
    }
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
pub fn json(out: &mut dyn Write, c: &Comparison, commit: &str) -> io::Result<()> {
    for runs in &c.runs {
        for ((outcome, none), dram) in runs.iter().zip(&c.runs[0]).zip(&c.dram) {
            let (gain, slowdown) = (outcome.gain(none), outcome.slowdown(dram));
            let line = Line { commit, spec: &c.spec, costs: &c.costs, gain, slowdown, outcome };
            writeln!(out, "{}", serde_json::to_string(&line)?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::compare::tests::small;
    use super::*;

    fn written(write: impl Fn(&mut dyn Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_has_a_row_for_each_policy_with_as_many_fields_as_its_head() {
        let said = written(|out| table(out, &small()));
        assert!(said.contains("### small\n\nan index behind a log. Seeds 0 to 1.\n"), "{said}");
        let rows: Vec<&str> = said.lines().filter(|l| l.starts_with('|')).collect();
        let fields = |row: &str| row.matches('|').count();
        assert!(rows.iter().all(|row| fields(row) == fields(rows[0])), "{said}");
        let names: Vec<&str> = rows[2..].iter().map(|row| row.split(['|', ' ']).nth(2).unwrap()).collect();
        assert_eq!(names, POLICIES);
        assert!(rows[2].starts_with("| none | +0.00% | 0.00 | 0% |"), "{}", rows[2]);
    }

    #[test]
    fn every_result_says_its_seed_its_revision_its_machine_and_its_constants() {
        let c = small();
        let said = written(|out| json(out, &c, "abc123"));
        let lines: Vec<serde_json::Value> = said.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines.len(), 2 * POLICIES.len());
        for (i, line) in lines.iter().enumerate() {
            assert_eq!(line["commit"], "abc123");
            assert_eq!(line["policy"], POLICIES[i / 2]);
            assert_eq!(line["seed"], i % 2);
            assert_eq!(serde_json::from_value::<Spec>(line["spec"].clone()).unwrap(), c.spec);
            assert_eq!(serde_json::from_value::<Costs>(line["costs"].clone()).unwrap(), c.costs);
            assert!(line["gain"].is_f64() && line["series"].as_array().is_some_and(|s| s.len() == 200));
        }
        let said = written(|out| constants(out, &Costs::default(), "abc123"));
        assert!(
            said.starts_with("Revision abc123") && said.contains("| latency of CXL memory, idle | 250 ns |"),
            "{said}"
        );
    }

    #[test]
    fn a_sweep_is_a_row_for_each_set_of_constants() {
        let all = [("{}", 0), ("{\"cxl_ns\":410.0}", 1)];
        let all = all.map(|(change, _)| Varied { change: change.into(), comparison: small() });
        let said = written(|out| swept(out, &all));
        assert!(
            said.contains("\n| as above | +0.00% |") && said.contains("\n| `{\"cxl_ns\":410.0}` | +0.00% |"),
            "{said}"
        );
    }
}
