//! The shortest node agent: pages out what the processes of a cgroup have not used for so many seconds, until it is told to stop.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use damon_core::{Attrs, Monitor};
use damon_ops_paddr::HostMetrics;
use damon_ops_vaddr::Remote;
use damon_ops_vaddr::linux::act::Guardrails;
use damon_ops_vaddr::remote::Watch;
use damos::context::{Budget, Context};
use damos::preset::Reclaim;
use damos::runner::Kdamond;
use signal_hook::consts::SIGTERM;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let done = match &args[..] {
        [cgroup, seconds] => seconds.parse().map_err(Box::from).and_then(|s| run(cgroup, Duration::from_secs(s))),
        _ => Err("usage: node_agent CGROUP SECONDS, such as node_agent system.slice/batch.service 120".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("node_agent: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(cgroup: &str, min_age: Duration) -> Result<(), Box<dyn Error>> {
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTERM, Arc::clone(&stop))?;

    let mut remote = Remote::new()?;
    remote.watch(Watch::cgroup(Path::new("/sys/fs/cgroup").join(cgroup)))?;
    let actor = remote.actor(Guardrails::default());
    // By default it works while 20 to 50% of the machine's memory is free. This cgroup is to be small in any case.
    let (attrs, schemes) = Reclaim { min_age, watermarks: None, ..Reclaim::default() }.plan();
    // Its targets are the cgroup's processes, which come and go by themselves.
    let monitor = Monitor::new(Attrs::try_from(attrs)?, 1);
    let mut context = Context::new(monitor, remote).with_budget(Budget { cpu_permille: 20, ..Budget::default() })?;
    context.set_actor(actor);
    context.set_metrics(HostMetrics::new());
    context.set_schemes(schemes)?;

    let kdamond = Kdamond::spawn(context)?;
    while !stop.load(Relaxed) && !kdamond.is_finished() {
        thread::sleep(Duration::from_millis(100));
    }
    // What ended the worker, if something has, is the error here.
    let context = kdamond.stop()?;
    let done = context.schemes().stats(0).unwrap_or_default();
    println!(
        "node_agent: paged out {} of {} bytes, {} actions failed",
        done.sz_applied,
        done.sz_tried,
        context.health().failed_actions
    );
    Ok(())
}
