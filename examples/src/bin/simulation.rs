//! A policy tried before it is let loose: for how long must memory be idle before it is paged out? On a simulated machine, in virtual time.

use std::error::Error;
use std::time::Duration;

use damon_core::{AddrRange, Attrs, Instant, Monitor, Next, NodeId, TargetId, TargetSpec};
use damon_ops_sim::Clock;
use damon_ops_sim::machine::{Costs, Machine, Node, Usage};
use damon_ops_sim::memory::Mapping;
use damon_ops_sim::workload::{Blocks, Heat, Phases, Stack};
use damos::Context;
use damos::preset::{Monitoring, Reclaim};

const MIB: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn Error>> {
    println!("idle for  saved  slowdown  refaults");
    let ages = [2, 10, 40, 120];
    let usages = ages.iter().map(|age| run(*age * SECOND)).collect::<Result<Vec<_>, _>>()?;
    for (age, u) in ages.iter().zip(&usages) {
        println!("{age:>6} s {:>6} {:>9} {:>9}", u.saved().to_string(), u.slowdown(4).to_string(), u.refaults);
    }
    // What a test of the policy would assert: what is used each half minute stays in memory, and two fifths are saved.
    let chosen = &usages[2];
    if chosen.refaults > 1_000 || chosen.saved().0 < 4_000 {
        return Err("40 s is no longer the right age for this load".into());
    }
    println!("simulation: {:.0} minutes, each time the same", 4.0 * chosen.elapsed.as_secs_f64() / 60.0);
    Ok(())
}

/// Ten minutes of a program with 1 GiB: a quarter always in use, a quarter for 5 s of each 30, the rest never.
fn run(min_age: Duration) -> Result<Usage, Box<dyn Error>> {
    let (id, clock) = (TargetId::new(0), Clock::new());
    let block = |start: u64, end: u64| AddrRange::new(start * MIB, end * MIB).ok_or("an empty block");
    let always = Blocks::new([Heat::reads(block(0, 256)?, 50.0)]);
    let now_and_then = Blocks::new([Heat::reads(block(512, 768)?, 50.0)]);
    let program = Phases::new().then(5 * SECOND, now_and_then).then(25 * SECOND, Blocks::default());
    let machine = Machine::new(1, &clock, &[Node { id: NodeId(0), bytes: 2_048 * MIB }], Costs::default());
    machine.insert(id, vec![Mapping::new(block(0, 1_024)?)], Stack::new().with(always).with(program))?;

    let monitoring =
        Monitoring { sampling: SECOND / 20, aggregation: SECOND, max_nr_regions: 100, ..Monitoring::default() };
    let time = SECOND / 20; // of paging out, in each second
    let (attrs, schemes) = Reclaim { min_age, time, watermarks: None, monitoring, ..Reclaim::default() }.plan();
    let mut monitor = Monitor::new(Attrs::try_from(attrs)?, 1);
    monitor.add_target(TargetSpec::new(id));
    let mut context = Context::new(monitor, machine.clone());
    context.set_actor(machine.clone());
    context.set_metrics(machine.clone());
    context.set_schemes(schemes)?;
    while clock.now() < Instant::ZERO + 600 * SECOND {
        match context.step(clock.now(), Duration::ZERO)? {
            Next::At(due) => clock.advance(due - clock.now()),
            _ => return Err("nothing is watched".into()),
        }
    }
    Ok(machine.usage())
}
