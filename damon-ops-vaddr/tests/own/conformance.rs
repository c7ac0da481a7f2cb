//! Every method keeps the promises of [`Ops`](damon_core::Ops).

use std::sync::atomic::Ordering::Relaxed;

use damon_core::{AddrRange, TargetId};
use damon_ops_sim::conformance::{self, ActFixture, Fixture, Touch};
use damon_ops_vaddr::{Method, Own, OwnActor};

use crate::support::{Memory, PAGE, TARGET, watched};

struct Real(Own, Memory);

impl Fixture for Real {
    type Ops = Own;

    fn ops(&mut self) -> &mut Own {
        &mut self.0
    }

    fn target(&self) -> TargetId {
        TARGET
    }

    fn touch(&mut self, addr: u64, touch: Touch) {
        match touch {
            Touch::Read => drop(std::hint::black_box(self.1.at(addr).load(Relaxed))),
            Touch::Write => drop(self.1.at(addr).fetch_add(1, Relaxed)),
        }
    }
}

/// Who acts on it, while it is watched.
struct Acting(OwnActor, Real);

impl ActFixture for Acting {
    type Actor = OwnActor;

    fn actor(&mut self) -> &mut OwnActor {
        &mut self.0
    }

    fn target(&self) -> TargetId {
        TARGET
    }

    fn range(&self) -> AddrRange {
        self.1.1.range()
    }

    fn reset(&mut self) -> bool {
        // Each page was written once.
        (0..self.range().size() / PAGE).all(|n| self.1.1.page(n).load(Relaxed) == 1)
    }
}

fn conforms(method: Method) {
    if let Some((own, memory)) = watched(method, 512) {
        conformance::run(&mut Real(own, memory)).assert();
    }
    if let Some((own, memory)) = watched(method, 512) {
        let actor = own.actor().unwrap();
        conformance::run_acting(&mut Acting(actor, Real(own, memory))).assert();
    }
}

#[test]
fn zap_with_write_protection_conforms() {
    conforms(Method::ZapTracked);
}

#[test]
fn zap_alone_conforms() {
    conforms(Method::Zap);
}

#[test]
fn write_protection_conforms() {
    conforms(Method::WpAsync);
}

#[test]
fn read_write_protection_conforms() {
    conforms(Method::RwpAsync);
}
