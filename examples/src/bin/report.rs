//! Reports on records: what was hot where and when, how large the working set was, for how long memory was idle.
//!
//! ```text
//! cargo run --release -p examples --bin report -- heatmap damon.data
//! cargo run --release -p examples --bin report -- heatmap --output map.png damon.data
//! cargo run --release -p examples --bin report -- wss damon.data
//! cargo run --release -p examples --bin report -- idle --output idle.svg damon.data
//! ```
//!
//! Reads damo's records and this project's own, of any length, in memory that does not grow with it.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use examples::ending::ended;
use examples::recorded::{ReportError, Source, Style, access, heat, idle, regions, schemes, wss};

/// Reports on records of memory accesses.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    report: Report,
}

#[derive(Subcommand)]
enum Report {
    /// Access rates over time and addresses, in the terminal, as a picture, or cell by cell.
    Heatmap {
        /// A file for the picture: .svg or .png.
        #[arg(long, short)]
        output: Option<PathBuf>,
        /// So many ranges of addresses at most, those with the most accesses.
        #[arg(long, default_value_t = 8)]
        ranges: usize,
        #[command(flatten)]
        of: Of,
    },
    /// The regions of the last snapshot: how often they were accessed, and since when.
    Access {
        /// In which order.
        #[arg(long, value_enum, default_value_t)]
        order: access::Order,
        /// So many regions at most.
        #[arg(long, default_value_t = usize::MAX, hide_default_value = true)]
        most: usize,
        /// All snapshots.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        of: Of,
    },
    /// The size of the working set: percentiles over the snapshots.
    Wss {
        /// A file for a picture over time: .svg or .png.
        #[arg(long, short)]
        output: Option<PathBuf>,
        /// An access must have been found in so many samples of an aggregation at least.
        #[arg(long, default_value_t = 1)]
        min_accesses: u32,
        /// So many snapshots at the beginning are left out: monitoring learns.
        #[arg(long, default_value_t = 0)]
        skip: usize,
        /// A line for each snapshot.
        #[arg(long)]
        time: bool,
        #[command(flatten)]
        of: Of,
    },
    /// For how long memory has been idle: percentiles by bytes, when the record ends.
    Idle {
        /// A file for a picture of how much has been idle for how long: .svg or .png.
        #[arg(long, short)]
        output: Option<PathBuf>,
        #[command(flatten)]
        of: Of,
    },
    /// What schemes did.
    Schemes(Of),
    /// All regions of all snapshots, a line for each.
    Regions(Of),
    /// Writes the record anew: to the binary format, or to damo's.
    Convert {
        /// The new file: damo's format if its name ends in .damon, this project's own otherwise.
        #[arg(long, short)]
        output: PathBuf,
        /// The record; - for standard input.
        file: PathBuf,
    },
}

#[derive(Args)]
struct Of {
    /// Of which series of the record, by number; of that which covers most if none is given.
    #[arg(long)]
    series: Option<usize>,
    /// Plain numbers: bytes, microseconds, basis points.
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
    /// The record; - for standard input.
    file: PathBuf,
}

impl Of {
    const fn style(&self) -> Style {
        match (self.raw, self.json) {
            (_, true) => Style::Json,
            (true, _) => Style::Raw,
            _ => Style::Units,
        }
    }

    fn source(&self) -> Source {
        Source::new(self.file.clone(), self.series)
    }
}

fn main() -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let done = report(Arguments::parse().report, &mut out).and_then(|()| Ok(out.flush()?));
    ended("report", done.map_err(Into::into))
}

fn report(report: Report, out: &mut dyn Write) -> Result<(), ReportError> {
    match report {
        Report::Heatmap { output, ranges, of } => {
            heat::report(&of.source(), &heat::Options { picture: output, ranges, style: of.style() }, out)
        }
        Report::Access { order, most, all, of } => {
            let options = access::Options { order, most, all, style: of.style() };
            access::report(&of.source(), options, out)
        }
        Report::Wss { output, min_accesses, skip, time, of } => {
            let options = wss::Options { picture: output, min_accesses, skip, by_time: time, style: of.style() };
            wss::report(&of.source(), &options, out)
        }
        Report::Idle { output, of } => idle::report(&of.source(), of.style(), output.as_deref(), out),
        Report::Schemes(of) => schemes::report(&of.source(), of.style(), out),
        Report::Regions(of) => regions::report(&of.source(), of.style(), out),
        Report::Convert { output, file } => Source::new(file, None).convert(&output),
    }
}
