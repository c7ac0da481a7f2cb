//! Several backends as one: each target belongs to one of them.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use super::{DynError, DynOps, Fault, Ops, Sample, Span, Want, runs_by_target};
use crate::target::Space;
use crate::target::{TargetEvent, TargetId};

/// Sends each target's samples to the backend that knows the target, so that one monitor compares processes, files and
/// caches on one scale.
///
/// Targets that a backend announces ([`TargetEvent::Joined`]) are its own from then on; those that the user adds to the
/// monitor are given to a backend with [`route`](Self::route).
///
/// ```
/// use damon_core::{Erased, Router, TargetId};
/// let mut router = Router::new();
/// let reports_only = router.add(Box::new(Erased(())));
/// router.route(TargetId::new(7), reports_only);
/// ```
#[derive(Default)]
pub struct Router {
    backends: Vec<Box<DynOps>>,
    routes: BTreeMap<TargetId, usize>,
    /// Samples of one backend, gathered: its targets need not be neighbours.
    batch: Vec<Sample>,
    events: Vec<TargetEvent>,
}

/// Which of a [`Router`]'s backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendId(usize);

/// What went wrong, and in which of a [`Router`]'s backends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RouterError {
    /// The backend failed.
    #[error("backend {index}: {error}")]
    Backend {
        /// Its place in the order of [`Router::add`].
        index: usize,
        /// Its error.
        #[source]
        error: DynError,
    },
    /// Two backends claim one target. The first keeps it.
    #[error("target {} joins backend {second}, but belongs to backend {first}: give each target an id of its own", .target.get())]
    TwoOwners {
        /// The target.
        target: TargetId,
        /// Who has it.
        first: usize,
        /// Who announced it again.
        second: usize,
    },
}

impl Router {
    /// A router without backends.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a backend.
    pub fn add(&mut self, backend: Box<DynOps>) -> BackendId {
        self.backends.push(backend);
        BackendId(self.backends.len() - 1)
    }

    /// Gives a target to a backend, whoever had it before.
    pub fn route(&mut self, target: TargetId, to: BackendId) {
        self.routes.insert(target, to.0);
    }

    /// Calls `f` on each backend that has samples here, with just those.
    fn each(
        &mut self,
        samples: &mut [Sample],
        mut f: impl FnMut(&mut DynOps, &mut [Sample]) -> Result<(), DynError>,
    ) -> Result<(), RouterError> {
        for (index, backend) in self.backends.iter_mut().enumerate() {
            let routes = &self.routes;
            let own = |id: TargetId| routes.get(&id) == Some(&index);
            self.batch.clear();
            self.batch.extend(samples.iter().filter(|s| own(s.target)));
            f(&mut **backend, &mut self.batch).map_err(|error| RouterError::Backend { index, error })?;
            let mut done = self.batch.iter();
            for (_, run) in runs_by_target(samples).filter(|(id, _)| own(*id)) {
                for (sample, done) in run.iter_mut().zip(&mut done) {
                    *sample = *done;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("backends", &self.backends.len())
            .field("routes", &self.routes)
            .finish_non_exhaustive()
    }
}

impl Ops for Router {
    type Error = RouterError;

    fn targets(&mut self, events: &mut Vec<TargetEvent>) -> Result<(), RouterError> {
        for (index, backend) in self.backends.iter_mut().enumerate() {
            self.events.clear();
            let result = backend.targets(&mut self.events);
            let mut clash = None;
            for event in self.events.drain(..) {
                let id = match &event {
                    TargetEvent::Joined(spec) => spec.id,
                    TargetEvent::Gone(id) | TargetEvent::Replaced(id) => *id,
                };
                let owner = self.routes.get(&id).copied();
                match (&event, owner) {
                    (TargetEvent::Joined(_), Some(first)) if first != index => {
                        clash = Some(RouterError::TwoOwners { target: id, first, second: index });
                        continue;
                    }
                    (TargetEvent::Joined(_), _) => drop(self.routes.insert(id, index)),
                    (TargetEvent::Gone(_), Some(first)) if first == index => drop(self.routes.remove(&id)),
                    _ => {}
                }
                events.push(event);
            }
            result.map_err(|error| RouterError::Backend { index, error })?;
            clash.map_or(Ok(()), Err)?;
        }
        Ok(())
    }

    fn ranges(&mut self, target: TargetId, out: &mut Vec<Span>) -> Result<(), RouterError> {
        let Some((index, backend)) = self.routes.get(&target).and_then(|&i| Some((i, self.backends.get_mut(i)?)))
        else {
            return Ok(());
        };
        backend.ranges(target, out).map_err(|error| RouterError::Backend { index, error })
    }

    fn arm(&mut self, samples: &[Sample]) -> Result<(), RouterError> {
        for (index, backend) in self.backends.iter_mut().enumerate() {
            self.batch.clear();
            self.batch.extend(samples.iter().filter(|s| self.routes.get(&s.target) == Some(&index)));
            backend.arm(&self.batch).map_err(|error| RouterError::Backend { index, error })?;
        }
        Ok(())
    }

    fn check(&mut self, samples: &mut [Sample], want: &Want<'_>) -> Result<(), RouterError> {
        self.each(samples, |backend, batch| backend.check(batch, want))
    }

    fn resolve(&mut self, space: Space, addr: u64) -> Option<(TargetId, u64)> {
        self.backends.iter_mut().find_map(|b| b.resolve(space, addr))
    }

    fn fault(&self, error: &RouterError) -> Fault {
        match error {
            RouterError::Backend { index, error } => self.backends.get(*index).map_or(Fault::Fatal, |b| b.fault(error)),
            RouterError::TwoOwners { .. } => Fault::Fatal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::AddrRange;
    use crate::ops::Erased;
    use crate::sight::{Seen, Sees};
    use alloc::string::ToString;
    use alloc::vec;

    /// Says the same of every sample, and announces one target.
    struct Always(Seen, TargetId);
    impl Ops for Always {
        type Error = fmt::Error;
        fn targets(&mut self, events: &mut Vec<TargetEvent>) -> Result<(), fmt::Error> {
            events.push(TargetEvent::Joined(crate::TargetSpec::new(self.1)));
            Ok(())
        }
        fn ranges(&mut self, _: TargetId, out: &mut Vec<Span>) -> Result<(), fmt::Error> {
            out.push(Span { range: AddrRange::ordered(0, 4096), sees: Sees::Accesses });
            Ok(())
        }
        fn arm(&mut self, samples: &[Sample]) -> Result<(), fmt::Error> {
            if samples.iter().all(|s| s.target == self.1) { Ok(()) } else { Err(fmt::Error) }
        }
        fn check(&mut self, samples: &mut [Sample], _: &Want<'_>) -> Result<(), fmt::Error> {
            samples.iter_mut().for_each(|s| s.seen = self.0);
            Ok(())
        }
    }

    #[test]
    fn each_target_is_asked_of_its_own_backend() {
        let (a, b, nobody) = (TargetId::new(1), TargetId::new(2), TargetId::new(3));
        let mut router = Router::new();
        router.add(Box::new(Erased(Always(Seen::Written, b))));
        router.add(Box::new(Erased(Always(Seen::Idle, a))));
        let mut events = Vec::new();
        router.targets(&mut events).unwrap();
        assert_eq!(events.len(), 2);
        let mut samples: Vec<_> = [a, a, b, nobody].iter().map(|&t| Sample::new(t, 0)).collect();
        router.arm(&samples).unwrap();
        router.check(&mut samples, &Want::new(true, &[])).unwrap();
        let seen: Vec<_> = samples.iter().map(|s| s.seen).collect();
        assert_eq!(seen, vec![Seen::Idle, Seen::Idle, Seen::Written, Seen::Unknown]);
        let mut spans = Vec::new();
        router.ranges(nobody, &mut spans).unwrap();
        assert!(spans.is_empty());
    }

    #[test]
    fn a_target_with_two_owners_is_an_error_that_names_both() {
        let mut router = Router::new();
        router.add(Box::new(Erased(Always(Seen::Idle, TargetId::new(9)))));
        router.add(Box::new(Erased(Always(Seen::Idle, TargetId::new(9)))));
        let e = router.targets(&mut Vec::new()).unwrap_err();
        assert_eq!(
            e.to_string(),
            "target 9 joins backend 1, but belongs to backend 0: give each target an id of its own"
        );
    }
}
