//! Pages out what was not accessed for long, before memory is short: processes', a cgroup's, or all of the machine's.
//!
//! ```text
//! sudo reclaim --dry-run --cgroup /system.slice/batch.service
//! sudo reclaim --config reclaim.toml --paddr --protect /kubepods --prometheus 127.0.0.1:9464
//! ```
//!
//! Counterpart: `DAMON_RECLAIM`, whose defaults it has. Needs root, page_idle, and swap or a zram device.

use std::process::ExitCode;

use clap::Parser;
use damos::preset;
use examples::agent::{Agent, Options, Plan, config};
use examples::subject::Subject;

/// Proactive reclaim.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    subject: Subject,
}

fn main() -> ExitCode {
    let agent = Agent {
        name: "reclaim",
        plan: |text: &str| {
            let file = toml::from_str::<config::Reclaim>(text)?;
            let thrash_guard = file.thrash_guard();
            let (attrs, mut schemes) = preset::Reclaim::from(file).plan();
            schemes.iter_mut().for_each(|scheme| scheme.thrash_guard = thrash_guard);
            Ok(Plan { attrs, schemes })
        },
    };
    let Arguments { options, subject } = Arguments::parse();
    agent.main(&options, &subject)
}
