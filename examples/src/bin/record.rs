//! Records the memory accesses of processes or of physical memory, for `report`, `replay`, or damo.
//!
//! ```text
//! sudo record -o server.damonrec --pid 4321 --duration 1m
//! sudo record -o sort.damon -- sort big.txt
//! ```
//!
//! Needs root, and a kernel with page_idle; where something is missing it says what. The binary format is written snapshot by snapshot,
//! so that a crash loses none; a name that ends in .damon makes it damo's format, written at the end.

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use damon_core::{DynOps, Next, TargetId};
use damon_ops_vaddr::linux::act::Guardrails;
use damos::Context;
use damos::clock::{Clock, thread_cpu_time};
use damos::config::quantity::Micros;
use damos::record::{BinaryWriter, Reader, Recorder, WriteError, to_damo};
use examples::subject::{Monitoring, Opened, Stop, Subject};

/// Records memory accesses.
#[derive(Parser)]
struct Arguments {
    /// The record. A binary one that exists is continued.
    #[arg(long, short, default_value = "damon.damonrec")]
    output: PathBuf,
    /// For so long, such as 10s; until Ctrl-C, or until the command ends, if none is given.
    #[arg(long)]
    duration: Option<Micros>,
    #[command(flatten)]
    monitoring: Monitoring,
    #[command(flatten)]
    subject: Subject,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(snapshots) => {
            eprintln!("record: {snapshots} snapshots");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("record: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Arguments) -> Result<u64, Box<dyn Error>> {
    // damo's format ends with the record: until then it is in the other, beside it.
    let damo = args.output.extension().is_some_and(|e| e == "damon");
    let path = if damo { args.output.with_extension("damon.partial") } else { args.output.clone() };
    let stop = Stop::new(args.duration.map(Micros::duration))?;
    let (ops, mut opened) = args.subject.open(Guardrails::default())?;
    let mut context = args.monitoring.context(&mut opened, ops)?;
    let writer = BinaryWriter::append(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let snapshots = record(&mut context, &mut opened, Recorder::from(writer), &stop)?;
    if damo {
        finish(&path, &args.output)?;
    }
    Ok(snapshots)
}

fn record(
    context: &mut Context<Box<DynOps>>,
    opened: &mut Opened,
    mut recorder: Recorder<File>,
    stop: &Stop,
) -> Result<u64, Box<dyn Error>> {
    let clock = Clock::new();
    let (mut snapshots, mut known) = (0, Vec::new());
    loop {
        let mut written = Ok(());
        let next = context.step_with(clock.now(), thread_cpu_time(), |context| {
            snapshots += 1;
            written = write(&mut recorder, context, opened, &mut known);
        })?;
        written?;
        let wait = match next {
            Next::At(due) => clock.until(due),
            _ => Duration::from_secs(1),
        };
        if stop.wait(wait, &mut opened.command) {
            return Ok(snapshots);
        }
    }
}

/// The snapshot; before the first of a target, what is mapped there.
fn write(
    recorder: &mut Recorder<File>,
    context: &Context<Box<DynOps>>,
    opened: &Opened,
    known: &mut Vec<TargetId>,
) -> Result<(), WriteError> {
    let (view, snapshot) = (context.view(), context.view().snapshot());
    for target in snapshot.targets.iter().map(|t| t.id) {
        if !known.contains(&target) {
            known.push(target);
            recorder.mappings(target, view.attrs(), &opened.mappings(target))?;
        }
    }
    recorder.record(view.attrs(), &snapshot)
}

fn finish(partial: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    let file =
        File::create(to).map_err(|e| format!("{}: {e}; the record is in {}", to.display(), partial.display()))?;
    to_damo(|| Reader::open(partial), BufWriter::new(file))?;
    Ok(std::fs::remove_file(partial)?)
}
