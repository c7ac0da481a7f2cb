//! What a monitor asks of the memory it watches: the [`Ops`] trait and its vocabulary.
//!
//! Counterpart: `struct damon_operations` (`include/linux/damon.h`, Linux 7.3). There the core calls a backend that it
//! owns; here each step borrows one, so that the same monitor runs on real memory, in a simulation, or on reports alone.

mod dynamic;
mod router;

use alloc::vec::Vec;

use crate::filter::Probe;
use crate::sight::{Extent, Seen, Span};
use crate::target::{Space, TargetEvent, TargetId};

pub use dynamic::{DynError, DynOps, Erased};
pub use router::{BackendId, Router, RouterError};

/// One address to look at, and then what was seen there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sample {
    /// The sampled address: a multiple of the granule.
    pub addr: u64,
    /// Whose address it is.
    pub target: TargetId,
    /// Filled in by [`Ops::check`].
    pub seen: Seen,
    /// Filled in by [`Ops::check`] where it observed more than the granule.
    pub extent: Extent,
    /// Filled in by [`Ops::check`]: bit *i* tells whether the page passes probe *i* of [`Want::probes`].
    pub attrs: u8,
}

impl Sample {
    /// An address that was not looked at yet.
    #[inline]
    pub const fn new(target: TargetId, addr: u64) -> Self {
        Self { addr, target, seen: Seen::Unknown, extent: Extent::GRANULE, attrs: 0 }
    }
}

/// What [`Ops::check`] shall find out.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Want<'a> {
    /// Fill in [`Sample::seen`]. False in attributes-only mode: then nothing was armed before.
    pub access: bool,
    /// Fill in [`Sample::attrs`], a bit for each of these.
    pub probes: &'a [Probe],
}

impl<'a> Want<'a> {
    /// Accesses, and the attributes that `probes` ask for.
    pub const fn new(access: bool, probes: &'a [Probe]) -> Self {
        Self { access, probes }
    }
}

/// Is an error worth another try?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The same step may succeed when it is called again.
    Transient,
    /// It will not.
    Fatal,
}

/// The memory that is watched: who is there, where, and was it accessed.
///
/// A monitor calls in this order: [`targets`](Self::targets) and [`ranges`](Self::ranges) at the start and once in an
/// update interval; then for each sampling window [`arm`](Self::arm), the caller's sleep, and [`check`](Self::check)
/// of the same samples. All addresses are of the target's own space, whatever that is: bytes of a process, physical
/// memory, offsets of a file, slots of a cache.
///
/// ```
/// use damon_core::{Ops, Sample, Seen, Sees, Span, AddrRange, TargetId, Want};
///
/// /// A cache of 1,000 slots that knows which were used since they were armed.
/// struct Cache { used: [bool; 1_000] }
///
/// impl Ops for Cache {
///     type Error = core::convert::Infallible;
///     fn ranges(&mut self, _: TargetId, out: &mut Vec<Span>) -> Result<(), Self::Error> {
///         out.extend(AddrRange::new(0, 1_000).map(|range| Span { range, sees: Sees::Accesses }));
///         Ok(())
///     }
///     fn arm(&mut self, samples: &[Sample]) -> Result<(), Self::Error> {
///         for s in samples { self.used[s.addr as usize] = false; }
///         Ok(())
///     }
///     fn check(&mut self, samples: &mut [Sample], _: &Want<'_>) -> Result<(), Self::Error> {
///         for s in samples {
///             s.seen = if self.used[s.addr as usize] { Seen::Accessed } else { Seen::Idle };
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Ops {
    /// What can go wrong.
    type Error: core::error::Error + Send + Sync + 'static;

    /// Who joined, left or was replaced since the last call. Events are appended; those appended before an error are taken.
    fn targets(&mut self, events: &mut Vec<TargetEvent>) -> Result<(), Self::Error> {
        let _ = events;
        Ok(())
    }

    /// The ranges of a target as they are now, ascending and apart from each other, appended to `out`, which is empty.
    ///
    /// Nothing appended means that nothing is mapped. A target that has exited is no error: it has no ranges, and
    /// [`targets`](Self::targets) says [`TargetEvent::Gone`].
    fn ranges(&mut self, target: TargetId, out: &mut Vec<Span>) -> Result<(), Self::Error>;

    /// Makes the next access to each sample visible. All targets at once, sorted by target and address, no address twice.
    ///
    /// What was armed before and is not in `samples` is forgotten. After an error it is called again, with these or other samples.
    fn arm(&mut self, samples: &[Sample]) -> Result<(), Self::Error>;

    /// Fills in what was seen of each armed sample.
    ///
    /// It reads and changes nothing: called again, after an error too, it gives the same answer or a later one (an access
    /// that came in between), until the next [`arm`](Self::arm). What could not be checked stays [`Seen::Unknown`].
    fn check(&mut self, samples: &mut [Sample], want: &Want<'_>) -> Result<(), Self::Error>;

    /// A reported address in somebody else's terms (a process and its address, a file and its offset) as a target and
    /// an address of it. `None`: not watched here.
    fn resolve(&mut self, space: Space, addr: u64) -> Option<(TargetId, u64)> {
        let _ = (space, addr);
        None
    }

    /// Is `error`, which one of the calls above gave, worth another try?
    fn fault(&self, error: &Self::Error) -> Fault {
        let _ = error;
        Fault::Fatal
    }
}

/// No memory at all: for monitors that live on reports, about targets whose ranges their owner gives.
impl Ops for () {
    type Error = core::convert::Infallible;
    fn ranges(&mut self, _: TargetId, _: &mut Vec<Span>) -> Result<(), Self::Error> {
        Ok(())
    }
    fn arm(&mut self, _: &[Sample]) -> Result<(), Self::Error> {
        Ok(())
    }
    fn check(&mut self, _: &mut [Sample], _: &Want<'_>) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// The runs of samples that belong to one target each, in order.
///
/// Samples come sorted by target, so a backend that keeps something per target works run by run.
///
/// ```
/// use damon_core::{runs_by_target, Sample, TargetId};
/// let (a, b) = (TargetId::new(1), TargetId::new(2));
/// let mut samples = [Sample::new(a, 0), Sample::new(a, 4096), Sample::new(b, 0)];
/// let lens: Vec<_> = runs_by_target(&mut samples).map(|(id, run)| (id, run.len())).collect();
/// assert_eq!(lens, [(a, 2), (b, 1)]);
/// ```
pub fn runs_by_target(samples: &mut [Sample]) -> impl Iterator<Item = (TargetId, &mut [Sample])> {
    samples.chunk_by_mut(|a, b| a.target == b.target).filter_map(|run| Some((run.first()?.target, run)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_two_words() {
        assert_eq!(size_of::<Sample>(), 16);
    }
}
