//! The actor for other processes keeps the promises of [`ApplyOps`](damon_core::ApplyOps).

use damon_core::{AddrRange, NodeId, TargetId};
use damon_ops_sim::conformance::{self, ActFixture};
use damon_ops_vaddr::RemoteActor;
use damon_ops_vaddr::linux::act::Guardrails;

use crate::actor::{TARGET, actor_of};
use crate::child::Child;
use crate::support::{PAGE, is_root, swapped, turn};

struct Real {
    child: Child,
    actor: RemoteActor,
    range: AddrRange,
    private: bool,
}

impl ActFixture for Real {
    type Actor = RemoteActor;

    fn actor(&mut self) -> &mut RemoteActor {
        &mut self.actor
    }

    fn target(&self) -> TargetId {
        TARGET
    }

    fn range(&self) -> AddrRange {
        self.range
    }

    fn reset(&mut self) -> bool {
        self.child.is_intact(self.range)
    }

    fn paged_out(&mut self, range: AddrRange) -> Option<u64> {
        self.private.then(|| swapped(self.child.pid(), range) * PAGE)
    }

    fn nodes(&self) -> Vec<NodeId> {
        let there = |n: &u16| std::path::Path::new(&format!("/sys/devices/system/node/node{n}")).exists();
        (0..2).filter(there).map(NodeId).collect()
    }
}

#[test]
fn acting_on_another_process_conforms() {
    let _turn = turn();
    if !is_root() {
        return;
    }
    for private in [true, false] {
        let mut child = Child::new();
        let range = if private { child.anon(1_024 * PAGE) } else { child.shared(1_024 * PAGE) };
        let actor = actor_of(&child, Guardrails::default());
        conformance::run_acting(&mut Real { child, actor, range, private }).assert();
    }
}
