//! Memory traces of real programs: converts them, says what is in them, and replays them into a monitor that is told all,
//! a thousandth, or nothing, to compare the pictures found with the exact one.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use damon_core::{Attrs, AttrsSpec};
use damon_ops_sim::trace::{self, BinaryWriter, CsvWriter, Event, Feed, Footprint, Replay, Reports};
use examples::ending::ended;

/// Reads valgrind lackey's text, CSV and the compact binary form; `-` is standard input or output.
#[derive(Parser)]
enum Args {
    /// Writes a trace in another form.
    Convert {
        /// The trace.
        from: PathBuf,
        /// Where to.
        to: PathBuf,
        /// In which form.
        #[arg(long, value_enum, default_value_t = Form::Binary)]
        form: Form,
    },
    /// Replays a trace and compares what a monitor finds with what happened.
    Compare(Compare),
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// About three bytes an access.
    Binary,
    /// For other programs.
    Csv,
}

#[derive(clap::Args)]
struct Compare {
    /// The trace; it is read several times.
    trace: PathBuf,
    /// Instructions in a sampling window.
    #[arg(long, default_value = "100000")]
    window: NonZeroU64,
    /// One in so many events, where they are thinned.
    #[arg(long, default_value = "1000")]
    every: NonZeroU32,
    /// At least so many regions.
    #[arg(long, default_value_t = 10)]
    min_regions: usize,
    /// At most so many regions, and checks in a window.
    #[arg(long, default_value_t = 1_000)]
    max_regions: usize,
    /// Aggregations at the beginning that are not scored.
    #[arg(long, default_value_t = 2)]
    warmup: u64,
    /// Of the monitor.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let done = match Args::parse() {
        Args::Convert { from, to, form } => convert(&from, &to, form),
        Args::Compare(how) => compare(&how),
    };
    ended("trace", done)
}

/// The events of the trace at `path`.
fn read(path: &Path) -> Result<impl Iterator<Item = Result<Event, trace::TraceError>>, Box<dyn Error>> {
    let from: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let file = File::open(path).map_err(|e| format!("cannot open {}: {e}", path.display()))?;
        Box::new(BufReader::with_capacity(1 << 20, file))
    };
    Ok(trace::read(from)?)
}

fn convert(from: &Path, to: &Path, form: Form) -> Result<(), Box<dyn Error>> {
    let events = read(from)?;
    let to: Box<dyn Write> = if to == Path::new("-") {
        Box::new(io::stdout().lock())
    } else {
        Box::new(File::create(to).map_err(|e| format!("cannot write {}: {e}", to.display()))?)
    };
    let to = BufWriter::with_capacity(1 << 20, to);
    let mut n = 0_u64;
    match form {
        Form::Binary => {
            let mut writer = BinaryWriter::new(to)?;
            for event in events {
                writer.write(&event?)?;
                n += 1;
            }
            writer.finish()?;
        }
        Form::Csv => {
            let mut writer = CsvWriter::new(to)?;
            for event in events {
                writer.write(&event?)?;
                n += 1;
            }
            writer.finish()?;
        }
    }
    eprintln!("trace: {n} events");
    Ok(())
}

fn compare(how: &Compare) -> Result<(), Box<dyn Error>> {
    let mut footprint = Footprint::new(4096);
    let (mut events, mut instructions) = (0_u64, 0);
    for event in read(&how.trace)? {
        let event = event?;
        footprint.add(&event);
        (events, instructions) = (events + 1, event.at);
    }
    let attrs = Attrs::try_from(AttrsSpec {
        min_nr_regions: how.min_regions,
        max_nr_regions: how.max_regions,
        ..AttrsSpec::default()
    })?;

    let checks = |checks, reports| Feed { checks, reports };
    let thinned = Reports::Every(how.every);
    let feeds = [
        ("first touches reported".to_owned(), checks(false, Reports::FirstTouches)),
        (format!("1 in {} events reported", how.every), checks(false, thinned)),
        ("checks".to_owned(), checks(true, Reports::None)),
        (format!("checks and 1 in {}", how.every), checks(true, thinned)),
        ("nothing".to_owned(), checks(false, Reports::None)),
    ];
    let out = &mut io::stdout().lock();
    writeln!(out, "| told of | error | precision | recall | captured | reports/window | checks/window |")?;
    writeln!(out, "|---|---:|---:|---:|---:|---:|---:|")?;
    let mut aggregations = 0;
    for (name, feed) in feeds {
        let replay =
            Replay { feed, ticks_per_window: how.window, warmup: how.warmup, ..Replay::new(attrs.clone(), how.seed) };
        let found = replay.run(&footprint, read(&how.trace)?)?;
        let per_window = |n: u64| n as f64 / found.windows.max(1) as f64;
        writeln!(
            out,
            "| {name} | {:.3} | {:.2} | {:.2} | {:.2} | {:.0} | {:.0} |",
            found.score.mae,
            found.score.precision,
            found.score.recall,
            found.captured,
            per_window(found.reports),
            per_window(found.checks),
        )?;
        aggregations = found.aggregations;
    }
    writeln!(
        out,
        "trace: {events} events of {instructions} instructions, {} pages, {aggregations} aggregations scored",
        footprint.pages().len()
    )?;
    Ok(())
}
