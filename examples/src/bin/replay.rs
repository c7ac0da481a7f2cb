//! What schemes would have done on a record: before they are let loose.
//!
//! ```text
//! cargo run --release -p examples --bin replay -- damon.data --scheme schemes.json
//! ```
//!
//! The schemes are those of a configuration as damo writes it (`damo args damon --format json`). Memory stays as it was recorded: every
//! action succeeds at once, and page filters pass all.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use examples::ending::ended;
use examples::recorded::{Source, replay};
use examples::schemes;

/// Tries schemes on a record of memory accesses.
#[derive(Parser)]
struct Arguments {
    /// A configuration in damo's format; the schemes of all its contexts are tried.
    #[arg(long)]
    scheme: PathBuf,
    /// On which series of the record, by number; on that which covers most if none is given.
    #[arg(long)]
    series: Option<usize>,
    /// The record; - for standard input.
    file: PathBuf,
}

fn main() -> ExitCode {
    ended("replay", run(Arguments::parse()))
}

fn run(args: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let schemes = schemes::read(&args.scheme)?;
    let mut out = io::stdout().lock();
    replay::report(&Source::new(args.file, args.series), &schemes, &mut out)?;
    Ok(out.flush()?)
}
