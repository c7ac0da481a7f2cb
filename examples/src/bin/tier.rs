//! Moves hot memory to fast nodes and cold memory to slow ones, by what it finds of nodes and tiers.
//!
//! ```text
//! sudo tier --dry-run
//! sudo tier --live
//! sudo tier --config tier.toml --cgroup /system.slice/database.service --prometheus 127.0.0.1:9464
//! sudo tier --cgroup /tenants --share /tenants/batch=20 --primary /tenants/database
//! ```
//!
//! Without a parameter it tiers all of physical memory. Needs root, page_idle, and nodes of different speed, one of them without
//! CPUs. What a process's cpuset or a mapping's memory policy keeps on its node stays there, and that is said. Counterpart:
//! `samples/damon/mtier.c`, whose goals it has.

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};
use examples::agent::{Agent, Options};
use examples::subject::Subject;
use examples::tiering::{Live, Planner, Primary, Share, Shares, Steering};

/// Memory tiering.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Shows nodes and flows, redrawn once in a second.
    #[arg(long)]
    live: bool,
    /// How much of the quota a cgroup's processes get, relative to others' 100, such as /batch=20: for --cgroup and --pid. May be given
    /// again.
    #[arg(long, value_name = "CGROUP=WEIGHT")]
    share: Vec<Share>,
    /// Whose memory comes first: the processes of a cgroup, such as /database, or those that descend from a pid; for --cgroup and --pid.
    /// Theirs is promoted first, and demoted last. May be given again.
    #[arg(long, value_name = "CGROUP|PID")]
    primary: Vec<Primary>,
    /// Moves memory whatever its mapping's memory policy says (mbind, set_mempolicy, numactl).
    #[arg(long)]
    ignore_policies: bool,
    #[command(flatten)]
    subject: Option<Subject>,
}

/// Here a subject may be left out.
fn arguments() -> Result<Arguments, clap::Error> {
    let command = Arguments::command().mut_group("Subject", |group| group.required(false));
    Arguments::from_arg_matches(&command.get_matches())
}

fn main() -> ExitCode {
    let Arguments { options, live, share, primary, ignore_policies, subject } =
        arguments().unwrap_or_else(|e| e.exit());
    let options = options.ignoring_policies(ignore_policies);
    let subject = subject.unwrap_or_else(Subject::machine);
    let planner = Planner::new(subject.is_physical());
    let agent = Agent { name: "tier", plan: |text: &str| planner.plan(text, options.is_dry_run()) };
    let whose = [("--share", share.is_empty()), ("--primary", primary.is_empty())];
    if let Some((what, _)) = whose.iter().find(|(_, none)| subject.is_physical() && !none) {
        return agent.ended(Err(format!("physical memory is nobody's: for {what} give --cgroup or --pid").into()));
    }
    let (mut live, mut shares, mut steering) =
        (live.then(Live::default), Shares::new(share, primary), Steering::default());
    let done = agent.run(&options, &subject, &mut |context, opened| {
        steering.keep(&planner, context)?;
        let Some(plan) = planner.last() else { return Ok(()) };
        if let Some(live) = &mut live {
            live.look(&plan, context, opened);
        }
        shares.keep(&planner, context, opened)
    });
    agent.ended(done)
}
