//! What schemes would have done on a record: before they are let loose.
//!
//! ```text
//! cargo run --release -p examples --bin replay -- damon.data --scheme schemes.json
//! ```
//!
//! The schemes are those of a configuration as damo writes it (`damo args damon --format json`). Memory stays as it was recorded: every
//! action succeeds at once, and page filters pass all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use damos::config::Document;
use damos::scheme::Scheme;
use examples::recorded::{Source, replay};

/// Tries schemes on a record of memory accesses.
#[derive(Parser)]
struct Arguments {
    /// A configuration in damo's format; the schemes of all its contexts are tried.
    #[arg(long)]
    scheme: PathBuf,
    /// On which series of the record, by number; on that which covers most if none is given.
    #[arg(long)]
    series: Option<usize>,
    /// The record.
    file: PathBuf,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("replay: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let schemes = schemes(&args.scheme).map_err(|e| format!("{}: {e}", args.scheme.display()))?;
    let mut out = io::stdout().lock();
    replay::report(&Source::new(args.file, args.series), &schemes, &mut out)?;
    Ok(out.flush()?)
}

fn schemes(path: &Path) -> Result<Vec<Scheme>, Box<dyn std::error::Error>> {
    let document: Document = std::fs::read_to_string(path)?.parse()?;
    let schemes: Vec<_> = document.configs(&())?.into_iter().flat_map(|config| config.schemes).collect();
    if schemes.is_empty() { Err("the configuration has no schemes".into()) } else { Ok(schemes) }
}
