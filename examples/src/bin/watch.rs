//! Shows live where memory is hot: a heat map that scrolls, the hottest regions, the working set, idle times, schemes at work.
//!
//! ```text
//! watch --demo
//! sudo watch --pid 4321
//! sudo watch --output sort.txt -- sort big.txt
//! sudo watch --cgroup /system.slice/db.service --scheme pageout.json --dry-run
//! ```
//!
//! Needs root, and a kernel with page_idle; without it one process is watched coarsely, and `--demo` as well as ever. On no terminal it prints a line a second.

use std::error::Error;
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use damon_core::DynOps;
use damon_ops_paddr::HostMetrics;
use damon_ops_vaddr::linux::ClearRefs;
use damos::Context;
use damos::config::quantity::Micros;
use examples::ending::ended;
use examples::heatmap::wants_colour;
use examples::subject::{How, Monitoring, Opened, Output, Stop, Subject};
use examples::watch::{Live, State, expects_unicode};
use examples::{schemes, watch};

/// Shows live where memory is hot.
#[derive(Parser)]
struct Arguments {
    /// For so long, such as 10s; until it is quit if none is given.
    #[arg(long)]
    duration: Option<Micros>,
    /// Watches one process by what of each mapping was referenced (clear_refs): coarse, slows it down, needs no page_idle. Done by itself
    /// where there is no page_idle and no scheme is given.
    #[arg(long)]
    coarse: bool,
    /// Has the schemes of a configuration in damo's format carried out.
    #[arg(long)]
    scheme: Option<PathBuf>,
    /// The schemes only say what they would do.
    #[arg(long, requires = "scheme")]
    dry_run: bool,
    /// A file for what the command prints; on a terminal it is lost otherwise.
    #[arg(long)]
    output: Option<PathBuf>,
    /// Prints a line a second even on a terminal.
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    monitoring: Monitoring,
    #[command(flatten)]
    subject: Subject,
}

/// So long at most does somebody wait for the next aggregation.
const LONGEST: Duration = Duration::from_secs(2);
/// The coarse method forgets once in a second at most; windows are a little longer, so that none comes too soon.
const COARSE: Duration = Duration::from_millis(1_050);

fn main() -> ExitCode {
    ended("watch", run(&Arguments::parse()))
}

fn run(args: &Arguments) -> Result<(), Box<dyn Error>> {
    let stop = Stop::new(args.duration.map(Micros::duration))?;
    let no_screen = no_screen(args.plain);
    let (context, opened, instead) = open(args, no_screen.is_none())?;
    let mut info = instead.as_ref().map_or(String::new(), |why| format!("{why}\n{}\n", watch::COARSELY));
    info += &opened.capabilities;
    if opened.command.is_some() && no_screen.is_none() && args.output.is_none() {
        info += "\nwhat the command prints is lost: --output FILE keeps it";
    }
    let mut state = State::new(args.subject.to_string(), info, wants_colour());
    state.said = instead.map(|_| "watched coarsely, by whole mappings: press i for why".into());
    if let Some(why) = no_screen {
        eprintln!("{}", state.info);
        eprintln!("watch: a line a second instead of a picture: {why}");
        return Live::start(context, opened, state)?.lines(&stop);
    }
    Live::start(context, opened, state)?.screen(&stop, expects_unicode())
}

/// What is watched, and why not page by page if it was to be.
type Watched = (Context<Box<DynOps>>, Opened, Option<String>);

fn open(args: &Arguments, screen: bool) -> Result<Watched, Box<dyn Error>> {
    let schemes = args.scheme.as_deref().map(schemes::read).transpose()?;
    let output = || -> Result<_, Box<dyn Error>> {
        Ok(match &args.output {
            Some(path) => Output::File(File::create(path).map_err(|e| format!("{}: {e}", path.display()))?),
            None if screen => Output::Nowhere,
            None => Output::Shared,
        })
    };
    let open = |coarse: bool| {
        let how = How { coarse: coarse.then_some(ClearRefs::LEAST), output: output()?, ..How::default() };
        args.subject.open_as(how)
    };
    let (mut coarse, mut instead) = (args.coarse, None);
    let mut opened = open(coarse);
    if let Err(why) = &opened {
        if !coarse && args.scheme.is_none() && args.subject.is_one_process() {
            (coarse, instead) = (true, Some(why.to_string()));
            opened = open(true);
        }
    }
    let (ops, mut opened) = opened.map_err(|e| match &instead {
        Some(why) => format!("{why}\nnor can it be watched coarsely: {e}").into(),
        None if args.coarse => e,
        None => format!("{e}\n{}", watch::OTHERWISE).into(),
    })?;
    let monitoring = args.monitoring.clone();
    let monitoring = if coarse { monitoring.no_shorter_than(COARSE) } else { monitoring.no_longer_than(LONGEST) };
    let mut context = monitoring.context(&mut opened, ops)?;
    if let Some(mut schemes) = schemes {
        schemes.iter_mut().for_each(|scheme| scheme.dry_run |= args.dry_run);
        context.set_metrics(HostMetrics::new());
        opened.act(&mut context)?;
        context.set_schemes(schemes)?;
    }
    Ok((context, opened, instead))
}

/// Why there is no picture, if there is none.
fn no_screen(plain: bool) -> Option<&'static str> {
    match () {
        () if plain => Some("--plain asks for it"),
        () if !io::stdout().is_terminal() => Some("standard output is no terminal"),
        () if !io::stdin().is_terminal() => Some("standard input is no terminal, there are no keys"),
        () if std::env::var_os("TERM").is_none_or(|t| t.is_empty() || t == "dumb") => {
            Some("TERM names none that can draw")
        }
        () => None,
    }
}
