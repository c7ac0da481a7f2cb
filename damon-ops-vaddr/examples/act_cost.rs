//! What acting on another process costs here: nanoseconds a page, in batches beside one page a call. As root.
//!
//! `cargo run --release -p damon-ops-vaddr --example act_cost`

use std::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use damon_core::{Action, AddrRange, Dest, Filter, NodeId, PageFilter};
use damon_ops_vaddr::PrivateMap;
use damon_ops_vaddr::linux::act::{self, Run, Selector};
use damon_ops_vaddr::linux::{Pidfd, ProcessPagemap};

const PAGE: u64 = 4096;
/// Pages that are acted on in a round, every other one of the child's.
const PAGES: u64 = 8_192;
/// Of which the fastest counts: others use the machine too.
const ROUNDS: u32 = 15;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some("child") {
        return child();
    }
    let mut child =
        Command::new(std::env::current_exe()?).arg("child").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("the child says nothing")?).read_line(&mut line)?;
    let all = AddrRange::from_len(line.trim().parse()?, 2 * PAGES * PAGE).ok_or("no range")?;
    let result = measure(&Pidfd::open(child.id())?, all);
    child.kill()?;
    child.wait()?;
    result
}

/// Has memory, until its standard input ends.
fn child() -> Result<(), Box<dyn Error>> {
    let map = PrivateMap::new((2 * PAGES * PAGE) as usize)?;
    map.advise_huge(false)?;
    map.atomics().iter().step_by(512).for_each(|word| word.store(1, Relaxed));
    println!("{}", map.range().start());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn measure(process: &Pidfd, all: AddrRange) -> Result<(), Box<dyn Error>> {
    let pages: Vec<AddrRange> =
        (0..PAGES).filter_map(|n| AddrRange::from_len(all.start() + 2 * n * PAGE, PAGE)).collect();
    let addrs: Vec<u64> = pages.iter().map(|page| page.start()).collect();
    let runs: Vec<Run> = pages.iter().map(|&range| Run { range, page: PAGE }).collect();
    let here = [Dest { node: NodeId(0), weight: 1 }];
    let done = |done: act::Done| done.error.map_or(Ok(()), |e| Err(Box::<dyn Error>::from(e)));

    println!("{:<34} {:>10} {:>10} {:>7}", "ns per page", "batched", "one a call", "ratio");
    let row = |what: &str, batched: f64, single: f64| {
        println!("{what:<34} {batched:>10.0} {single:>10.0} {:>6.1}x", single / batched);
    };
    let batched = fastest(|| done(act::advise(process, Action::Cold, &pages)))?;
    let single = fastest(|| pages.iter().try_for_each(|page| done(act::advise(process, Action::Cold, &[*page]))))?;
    row("cold, every other page", batched, single);
    let range = fastest(|| done(act::advise(process, Action::Cold, &[all])))? / 2.0;
    println!("{:<34} {range:>10.0}", "cold, one range");
    let batched = fastest(|| done(act::advise(process, Action::LruPrio, &pages)))?;
    println!("{:<34} {batched:>10.0}", "lru_prio");
    let batched = fastest(|| act::nodes_of(process, &addrs).map(drop).map_err(Into::into))?;
    let single =
        fastest(|| addrs.iter().try_for_each(|addr| act::nodes_of(process, &[*addr]).map(drop).map_err(Into::into)))?;
    row("which node it is on", batched, single);
    let batched = fastest(|| done(act::migrate(process, &runs, &here, false)))?;
    let single = fastest(|| runs.iter().try_for_each(|run| done(act::migrate(process, &[*run], &here, false))))?;
    row("migrate to where it is", batched, single);
    if std::path::Path::new("/sys/devices/system/node/node1").exists() {
        let mut node = 0;
        let mut there = || {
            node = 1 - node;
            [Dest { node: NodeId(node), weight: 1 }]
        };
        let batched = fastest(|| done(act::migrate(process, &runs, &there(), false)))?;
        let single = fastest(|| {
            let dests = there();
            runs.iter().try_for_each(|run| done(act::migrate(process, &[*run], &dests, false)))
        })?;
        row("migrate to the other node", batched, single);
    }
    let (mut selector, root) = (Selector::new("/".as_ref(), PAGE), format!("/proc/{}/pagemap", process.pid()));
    let mut pagemap = ProcessPagemap::open(root.into(), PAGE)?;
    let anon = [Filter { page: PageFilter::Anon, matching: true, allow: true }];
    let (mut out, all_pages) = (Vec::new(), pages.len() as f64 / (all.size() / PAGE) as f64);
    let batched = fastest(|| {
        out.clear();
        Ok(selector.passing(&mut pagemap, all, &anon, &mut out)?)
    })?;
    let single = fastest(|| {
        out.clear();
        Ok(pages.iter().try_for_each(|&page| selector.passing(&mut pagemap, page, &anon, &mut out))?)
    })?;
    row("is it anonymous", batched * all_pages, single);
    Ok(())
}

/// Nanoseconds for each of [`PAGES`], in the fastest round.
fn fastest(mut f: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        f()?;
        best = best.min(start.elapsed().as_nanos() as f64 / PAGES as f64);
    }
    Ok(best)
}
