//! The backend keeps the promises of [`Ops`](damon_core::Ops), on memory of each kind.

use damon_core::{AddrRange, TargetId};
use damon_ops_sim::conformance::{self, Fixture, Touch};
use damon_ops_vaddr::remote::Watch;

use crate::child::Workload;
use crate::support::{Noticed, PAGE, joined, remote};

struct Real {
    ops: Noticed,
    workload: Workload,
    target: TargetId,
    memory: AddrRange,
}

impl Fixture for Real {
    type Ops = Noticed;

    fn ops(&mut self) -> &mut Noticed {
        &mut self.ops
    }

    fn target(&self) -> TargetId {
        self.target
    }

    fn touch(&mut self, addr: u64, touch: Touch) {
        let page = (addr - self.memory.start()) / PAGE;
        match touch {
            Touch::Read => self.workload.tell(&format!("read {page}")),
            Touch::Write => self.workload.tell(&format!("write {page}")),
        };
    }
}

fn conforms(kind: &str, pages: u64) {
    let Some(remote) = remote() else { return };
    let mut workload = Workload::start();
    let memory = workload.map(kind, pages);
    let mut ops = Noticed(remote);
    // The suite's memory alone: the rest of the process is touched by what it says.
    ops.0.watch(Watch { ranges: vec![memory], ..Watch::process(workload.pid()) }).unwrap();
    let target = joined(&mut ops)[0];
    conformance::run(&mut Real { ops, workload, target, memory }).assert();
}

#[test]
fn private_memory_conforms() {
    conforms("private", 256);
}

#[test]
fn shared_memory_conforms() {
    conforms("shared", 256);
}

#[test]
fn huge_pages_conform() {
    conforms("huge", 8 * 512);
}
