//! Holds the library's decisions against the kernel's: runs vectors, and says how many came out the same.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use examples::vectors::{self, Vector};

/// Runs conformance vectors (one JSON object a line), and fails if any differs, if an op is unknown, or if there was none.
#[derive(Parser)]
struct Args {
    /// Only these ops.
    #[arg(long, value_delimiter = ',', value_name = "OP")]
    only: Vec<String>,
    /// Files of vectors, such as damon-core/vectors/linux-7.3.jsonl.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<std::path::PathBuf>,
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let args = Args::parse();
    let mut ops: BTreeMap<String, Tally> = args.only.iter().map(|op| (op.clone(), Tally::default())).collect();
    for file in &args.files {
        let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let place = format!("{}:{}", file.display(), number + 1);
            let vector: Vector = serde_json::from_str(line).map_err(|e| format!("{place}: {e}"))?;
            if !args.only.is_empty() && !args.only.contains(&vector.op) {
                continue;
            }
            let tally = ops.entry(vector.op.clone()).or_default();
            match vectors::run(&vector) {
                Ok(out) if out == vector.out => tally.passed += 1,
                Ok(out) => {
                    tally.failed += 1;
                    eprintln!(
                        "{place}: {} differs\n  in       {}\n  expected {}\n  got      {out}",
                        vector.op, vector.input, vector.out
                    );
                }
                Err(e) => {
                    tally.failed += 1;
                    eprintln!("{place}: {e}");
                }
            }
        }
    }
    let mut out = std::io::stdout().lock();
    let mut sum = Tally::default();
    let mut missing = false;
    for (op, tally) in &ops {
        writeln!(out, "{op}: {} passed, {} failed", tally.passed, tally.failed)?;
        missing |= tally.passed + tally.failed == 0;
        (sum.passed, sum.failed) = (sum.passed + tally.passed, sum.failed + tally.failed);
    }
    writeln!(out, "conformance: {} passed, {} failed", sum.passed, sum.failed)?;
    // An op without a case was asked for by name and does not exist: that is no success.
    Ok(if sum.failed > 0 || sum.passed == 0 || missing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
