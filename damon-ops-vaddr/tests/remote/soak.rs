//! Processes that come, die, exec, map, unmap, fork and move between cgroups at random, while they are monitored and
//! pids are used again.
//!
//! Short by default; `DAMON_SOAK_SECONDS=600` makes it ten minutes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant as Clock};

use damon_core::{Attrs, AttrsSpec, Monitor, Next, Ops, Rng, TargetId, Window};
use damon_ops_vaddr::remote::Watch;

use crate::child::Workload;
use crate::support::{in_vm, lacks, remote, say};

const MOST: usize = 6;

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// When the process began: with its pid it is who it is.
fn began(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.to_owned())
}

struct One {
    workload: Workload,
    mapped: bool,
    children: u32,
}

/// Does something at random to the processes.
fn stir(all: &mut Vec<One>, rng: &mut Rng, group: &Path, done: &mut BTreeMap<&'static str, u32>) {
    let enter = |dir: &Path, pid: u32| drop(std::fs::write(dir.join("cgroup.procs"), pid.to_string()));
    let pick = rng.below(10);
    if all.len() < 2 || (pick == 0 && all.len() < MOST) {
        let workload = Workload::start();
        enter(group, workload.pid());
        all.push(One { workload, mapped: false, children: 0 });
        *done.entry("start").or_default() += 1;
        return;
    }
    let which = rng.below(all.len() as u64) as usize;
    let one = &mut all[which];
    let name = match pick {
        1 => {
            all.swap_remove(which).workload.kill();
            "die"
        }
        2 => {
            one.workload.tell("exec again");
            (one.mapped, one.children) = (false, 0);
            "exec"
        }
        3 => {
            one.workload.tell("unmap");
            one.mapped = false;
            "unmap"
        }
        4 if one.children < 2 => {
            one.workload.tell("fork workload");
            one.children += 1;
            "fork"
        }
        5 => {
            enter(&PathBuf::from("/sys/fs/cgroup"), one.workload.pid());
            "leave"
        }
        6 => {
            enter(group, one.workload.pid());
            "enter"
        }
        7 if one.mapped => {
            one.workload.tell("sweep 0 32 2000 writes");
            "sweep"
        }
        _ => {
            one.workload.map(if pick == 8 { "huge" } else { "private" }, if pick == 8 { 1024 } else { 128 });
            one.mapped = true;
            "map"
        }
    };
    *done.entry(name).or_default() += 1;
}

#[test]
fn whatever_processes_do_no_target_is_taken_for_another_and_nothing_leaks() {
    let group = PathBuf::from("/sys/fs/cgroup/damon-test-soak");
    if !in_vm() {
        return lacks("a machine whose pids may be used up");
    }
    // The first use opens what stays open: time zone, standard streams.
    drop(remote());
    std::fs::create_dir_all(&group).unwrap();
    let (limit, files) = (Path::new("/proc/sys/kernel/pid_max"), open_files());
    let pids = std::fs::read_to_string(limit).unwrap();
    std::fs::write(limit, "400").unwrap();

    let time = std::env::var("DAMON_SOAK_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(20);
    let ms = Duration::from_millis;
    let spec = AttrsSpec {
        sampling: ms(5),
        aggregation: ms(50),
        update: ms(100),
        max_nr_regions: 100,
        ..AttrsSpec::default()
    };
    let mut monitor = Monitor::new(Attrs::try_from(spec).unwrap(), 1);
    let mut remote = remote().unwrap();
    let watch = remote.watch(Watch::cgroup(&group)).unwrap();
    let (mut all, mut rng, mut done) = (Vec::new(), Rng::new(7), BTreeMap::new());
    let mut who: BTreeMap<TargetId, (u32, String)> = BTreeMap::new();
    let (mut windows, mut unknown, mut transient) = (0_u64, 0_u64, 0);
    let begun = Clock::now();
    let now = || damon_core::Instant::from_nanos(begun.elapsed().as_nanos() as u64);
    while begun.elapsed() < Duration::from_secs(time) {
        stir(&mut all, &mut rng, &group, &mut done);
        for _ in 0..3 {
            let next = match monitor.begin(now(), &mut remote) {
                Ok(Next::At(at)) => at,
                Ok(_) => panic!("nobody pauses it"),
                Err(e) if remote.fault(&e) == damon_core::Fault::Transient => {
                    transient += 1;
                    continue;
                }
                Err(e) => panic!("{e}"),
            };
            // Between arming and checking too.
            if rng.below(4) == 0 {
                stir(&mut all, &mut rng, &group, &mut done);
            }
            std::thread::sleep(next - now());
            match monitor.end(now(), &mut remote) {
                Ok(Window::Counted(stats) | Window::Aggregated(stats)) => {
                    windows += 1;
                    unknown += u64::from(stats.unknown);
                }
                Ok(_) => {}
                Err(e) if remote.fault(&e) == damon_core::Fault::Transient => transient += 1,
                Err(e) => panic!("{e}"),
            }
        }
        for (target, process) in remote.roster().all() {
            let Some(began) = began(process.pid()).filter(|_| process.is_alive()) else { continue };
            let is = (process.pid(), began);
            let was = who.entry(target).or_insert_with(|| is.clone());
            assert_eq!(*was, is, "target {} is another process", target.get());
        }
    }
    std::fs::write(limit, pids.trim()).unwrap();
    let pids: std::collections::BTreeSet<u32> = who.values().map(|w| w.0).collect();
    say(&format!(
        "soak of {time} s: {done:?}; {windows} windows, {unknown} samples unknown, {transient} transient errors, {} targets \
         with {} pids between them",
        who.len(),
        pids.len()
    ));
    assert!(who.len() > 5 && windows > 100);
    drop(all);
    remote.unwatch(watch);
    drop(remote);
    assert_eq!(open_files(), files, "open files");
}
