//! A monitor of a virtual machine's memory, beside a VMM that hands that memory over and has a migration in between.
//!
//! Two processes, none of them privileged: the VMM (this program with an argument) has guest memory in a memfd, a thread
//! that touches it as a virtual CPU would, and lends the memory over a socket. Before it migrates it takes the memory
//! back, so that it can write-protect it itself; the monitor pauses, and afterwards goes on with what it knew.

use std::error::Error;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{sleep, spawn};
use std::time::Duration;

use damon_core::{AddrRange, Attrs, AttrsSpec, Monitor, Next, Region, TargetId, TargetSpec, Window};
use damon_ops_vaddr::SharedMap;
use damon_ops_vaddr::handed::{Handed, Link, Offer};
use damos::clock::Clock;

const MIB: usize = 1 << 20;
const LIMIT: Duration = Duration::from_secs(5);
const GUEST: TargetId = TargetId::new(0);
/// Of 64 MiB the guest uses these.
const HOT: std::ops::Range<usize> = 16 * MIB..24 * MIB;

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1) {
        Some(socket) => vmm(&socket),
        None => monitor(),
    }
}

fn vmm(socket: &str) -> Result<(), Box<dyn Error>> {
    let memory = Arc::new(SharedMap::new("guest", 64 * MIB)?);
    memory.atomics().chunks(512).for_each(|page| page[0].store(1, Relaxed));
    spawn({
        let memory = Arc::clone(&memory);
        move || vcpu(&memory)
    });
    let monitor = UnixStream::connect_addr(&SocketAddr::from_abstract_name(socket)?)?;
    let mut lent = Offer::new()?.range(memory.range()).lend(monitor, LIMIT)?;
    sleep(Duration::from_secs(2));
    lent.release(memory.range())?;
    sleep(Duration::from_secs(1)); // a migration would track dirty pages now
    lent.take_back(memory.range())?;
    sleep(Duration::from_secs(2));
    Ok(())
}

/// Writes to every hot page, over and over.
fn vcpu(memory: &SharedMap) {
    let hot = memory.atomics().chunks(512).take(HOT.end / 4096).skip(HOT.start / 4096);
    for page in hot.cycle() {
        page[0].fetch_add(1, Relaxed);
    }
}

fn monitor() -> Result<(), Box<dyn Error>> {
    let socket = format!("damon-guest-{}", std::process::id());
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&socket)?)?;
    let mut vmm = Command::new(std::env::current_exe()?).arg(&socket).spawn()?;
    let mut ops = Handed::accept(listener.accept()?.0, GUEST, LIMIT)?;
    for watched in ops.watched() {
        let how = watched.method.map_or_else(|| "nothing".to_owned(), |m| m.to_string());
        println!("{} of process {}: {} by {how}", watched.name, ops.pid(), watched.range);
    }
    let base = ops.watched().map(|w| w.range.start()).min().unwrap_or(0);

    let attrs = AttrsSpec { min_nr_regions: 16, max_nr_regions: 100, ..AttrsSpec::default() };
    let mut monitor = Monitor::new(Attrs::try_from(attrs)?, 1);
    monitor.add_target(TargetSpec::new(GUEST));
    let clock = Clock::new();
    // The hot ranges and the highest age of the last aggregation, and that age when monitoring paused.
    let (mut hot, mut age, mut paused_at) = (Vec::new(), 0, None);
    loop {
        match ops.attend() {
            Link::Watching => monitor.resume(),
            Link::Released => {
                paused_at = Some(age);
                monitor.pause();
            }
            Link::Ended => break,
        }
        match monitor.begin(clock.now(), &mut ops)? {
            Next::At(due) => sleep(clock.until(due)),
            _ => sleep(Duration::from_millis(5)),
        }
        if let Window::Aggregated(_) = monitor.end(clock.now(), &mut ops)? {
            let regions = || monitor.view().targets().iter().flat_map(|t| t.regions());
            // The last one may have outlived the guest.
            if regions().next().is_some() && regions().all(|r| r.nr_samples() > 0) {
                age = regions().map(Region::age).max().unwrap_or(0);
                hot = regions().filter(|r| r.nr_accesses() * 2 >= r.nr_samples()).map(Region::range).collect();
            }
            if let Some(before) = paused_at.take() {
                println!("after the migration: the oldest region is {age} aggregations old, before it was {before}");
            }
        }
    }
    vmm.wait()?;

    // Addresses of the VMM as addresses of the guest.
    let guest = |addr: u64| (addr - base) as usize;
    let within = |r: &AddrRange| guest(r.end()).min(HOT.end).saturating_sub(guest(r.start()).max(HOT.start));
    let (found, claimed) =
        (hot.iter().map(within).sum::<usize>(), hot.iter().map(|r| r.size() as usize).sum::<usize>());
    let part = |n: usize, of: usize| n as f64 / of.max(1) as f64;
    println!("guest: precision {:.3} recall {:.3}", part(found, claimed), part(found, HOT.len()));
    Ok(())
}
