//! Handed-over memory keeps the promises of [`Ops`](damon_core::Ops), whoever's it is and however it is seen.

use damon_core::TargetId;
use damon_ops_sim::conformance::{self, Fixture, Touch};
use damon_ops_vaddr::Method;
use damon_ops_vaddr::handed::Handed;

use crate::support::{Do, Memory, PAGE, Peer, TARGET, handed, registered};

struct Real(Handed, Peer);

impl Fixture for Real {
    type Ops = Handed;

    fn ops(&mut self) -> &mut Handed {
        &mut self.0
    }

    fn target(&self) -> TargetId {
        TARGET
    }

    fn touch(&mut self, addr: u64, touch: Touch) {
        let page = (addr - self.1.range.start()) / PAGE;
        let what = if touch == Touch::Read { Do::Read } else { Do::Write };
        assert_eq!(self.1.tell(what, page), 0);
    }
}

fn conforms(method: Method, memory: Memory) {
    if let Some((ops, peer)) = handed(method, memory, 256) {
        conformance::run(&mut Real(ops, peer)).assert();
    }
}

#[test]
fn write_protection_of_private_memory_conforms() {
    conforms(Method::WpAsync, Memory::Private);
}

#[test]
fn write_protection_of_a_memfd_conforms() {
    conforms(Method::WpAsync, Memory::Shared);
}

#[test]
fn read_write_protection_of_private_memory_conforms() {
    conforms(Method::RwpAsync, Memory::Private);
}

#[test]
fn read_write_protection_of_a_memfd_conforms() {
    conforms(Method::RwpAsync, Memory::Shared);
}

#[test]
fn a_guests_memory_that_its_vmm_registered_conforms() {
    const WP_ASYNC: u64 = 1 << 15;
    const MINOR_SHMEM: u64 = 1 << 10;
    const WP: u64 = 1 << 1;
    const MINOR: u64 = 1 << 2;
    for (features, modes) in [(WP_ASYNC | 1 << 12, WP), (WP_ASYNC | 1 << 12 | MINOR_SHMEM, WP | MINOR)] {
        let (ops, peer) = registered(features, modes, 256);
        conformance::run(&mut Real(ops.unwrap(), peer)).assert();
    }
}
