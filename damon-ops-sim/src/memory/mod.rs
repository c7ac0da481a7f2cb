//! A backend whose checks are draws from a known access rate.
//!
//! Each page has a first read and a first write after it was armed, at times that a Poisson process of the workload's
//! rate would give. They are a function of the seed, the arming, and the page, so a check may be repeated, and shows
//! what it showed before or an access that came since.

mod exposure;
mod mapping;

use std::collections::BTreeMap;
use std::convert::Infallible;

use damon_core::{
    AddrRange, Instant, Ops, Sample, Seen, Span, TargetEvent, TargetId, TargetSpec, Want, runs_by_target,
};

use crate::chance::draw;
use crate::clock::Clock;
use crate::workload::{Heat, Workload};
use exposure::{Exposure, seek};
use mapping::Mapped;

pub use mapping::{Mapping, SimTarget};

/// Why a target cannot be simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SimTargetError {
    /// Two mappings have addresses in common.
    #[error("mappings {first} and {second} overlap: an address belongs to one mapping")]
    Overlap {
        /// The lower one.
        first: AddrRange,
        /// The other.
        second: AddrRange,
    },
    /// Memory has pages of a power of two bytes.
    #[error("page_bytes is {0}, but must be a power of two")]
    PageBytes(u64),
}

/// What a program did to a page, as told by [`SimMemory::touch`].
#[derive(Clone, Copy, Debug, Default)]
struct Touched {
    read: bool,
    written: bool,
}

#[derive(Debug)]
struct Held {
    target: SimTarget,
    exposure: Exposure,
}

/// Memory of known truth, for any number of targets.
///
/// Its only input is time: the clock that it was made with. Pages are those of [`with_page_bytes`](Self::with_page_bytes).
#[derive(Debug)]
pub struct SimMemory {
    clock: Clock,
    seed: u64,
    page: u64,
    targets: BTreeMap<TargetId, Held>,
    events: Vec<TargetEvent>,
    /// When samples were armed, and how often that was done.
    armed_at: Option<Instant>,
    armings: u64,
    touched: BTreeMap<(TargetId, u64), Touched>,
}

impl SimMemory {
    /// Empty memory of 4,096-byte pages on `clock`. All its chance comes from `seed`.
    pub fn new(seed: u64, clock: &Clock) -> Self {
        Self {
            clock: clock.clone(),
            seed,
            page: 4096,
            targets: BTreeMap::new(),
            events: Vec::new(),
            armed_at: None,
            armings: 0,
            touched: BTreeMap::new(),
        }
    }

    /// The same with pages of another size: what the rates of a workload are per.
    ///
    /// # Errors
    /// Where it is no power of two.
    pub fn with_page_bytes(self, page_bytes: u64) -> Result<Self, SimTargetError> {
        if !page_bytes.is_power_of_two() {
            return Err(SimTargetError::PageBytes(page_bytes));
        }
        Ok(Self { page: page_bytes, ..self })
    }

    /// Puts a target in, or in another's place, without telling the monitor, to whom its owner gives the spec.
    pub fn insert(&mut self, id: TargetId, target: SimTarget) {
        self.targets.insert(id, Held { target, exposure: Exposure::default() });
    }

    /// Puts a target in and has the monitor learn of it: [`TargetEvent::Joined`].
    pub fn join(&mut self, spec: TargetSpec, target: SimTarget) {
        self.insert(spec.id, target);
        self.events.push(TargetEvent::Joined(spec));
    }

    /// Ends a target: [`TargetEvent::Gone`]. False if there is none.
    pub fn exit(&mut self, id: TargetId) -> bool {
        let was = self.targets.remove(&id).is_some();
        if was {
            self.events.push(TargetEvent::Gone(id));
        }
        was
    }

    /// Puts another program in a target's place: [`TargetEvent::Replaced`].
    pub fn exec(&mut self, id: TargetId, target: SimTarget) {
        self.insert(id, target);
        self.events.push(TargetEvent::Replaced(id));
    }

    /// Gives a target another workload from now on; false if there is none. What it did in a window that runs is
    /// taken to have been the new one's too.
    pub fn set_workload(&mut self, id: TargetId, workload: impl Workload + 'static) -> bool {
        let held = self.targets.get_mut(&id);
        if let Some(Held { target, exposure }) = held {
            target.workload = Box::new(workload);
            exposure.void();
            return true;
        }
        false
    }

    /// Gives a target other mappings, as `mmap` and `munmap` do; false if there is no such target.
    ///
    /// Where they differ, samples that are armed become [`Seen::Unknown`].
    ///
    /// # Errors
    /// Where two of them overlap: nothing is changed then.
    pub fn remap(&mut self, id: TargetId, mappings: Vec<Mapping>) -> Result<bool, SimTargetError> {
        let Some(Held { target, .. }) = self.targets.get_mut(&id) else { return Ok(false) };
        target.mapped = Mapped::list(mappings, &target.mapped)?;
        Ok(true)
    }

    /// What a target's workload does at a time: see [`Workload::paint`]. `None` if there is no such target.
    pub(crate) fn paint(&self, id: TargetId, at: Instant, out: &mut Vec<Heat>) -> Option<Instant> {
        self.targets.get(&id).map(|held| held.target.workload.paint(at, out))
    }

    /// Accesses the page of `addr` once, now, besides what the workload does.
    pub fn touch(&mut self, id: TargetId, addr: u64, write: bool) {
        let page = self.touched.entry((id, addr & !(self.page - 1))).or_default();
        page.read |= !write;
        page.written |= write;
    }
}

/// What was touched in the block at `start`.
fn touched_in(touched: &BTreeMap<(TargetId, u64), Touched>, id: TargetId, start: u64, bytes: u64) -> Touched {
    let block = touched.range((id, start)..=(id, start.saturating_add(bytes - 1)));
    block.fold(Touched::default(), |sum, (_, t)| Touched { read: sum.read | t.read, written: sum.written | t.written })
}

impl Ops for SimMemory {
    type Error = Infallible;

    fn targets(&mut self, events: &mut Vec<TargetEvent>) -> Result<(), Infallible> {
        events.append(&mut self.events);
        Ok(())
    }

    fn ranges(&mut self, id: TargetId, out: &mut Vec<Span>) -> Result<(), Infallible> {
        if let Some(held) = self.targets.get(&id) {
            out.extend(held.target.mapped.iter().map(Mapped::span));
        }
        Ok(())
    }

    fn arm(&mut self, _: &[Sample]) -> Result<(), Infallible> {
        self.armed_at = Some(self.clock.now());
        self.armings += 1;
        self.touched.clear();
        for held in self.targets.values_mut() {
            held.target.mapped.iter_mut().for_each(|m| m.armed = true);
        }
        Ok(())
    }

    fn check(&mut self, samples: &mut [Sample], want: &Want<'_>) -> Result<(), Infallible> {
        let (now, page) = (self.clock.now(), self.page);
        let key = draw(self.seed, self.armings);
        for (id, run) in runs_by_target(samples) {
            let Some(Held { target, exposure }) = self.targets.get_mut(&id) else {
                run.iter_mut().for_each(|s| s.seen = Seen::Unknown);
                continue;
            };
            target.mapped.iter_mut().for_each(|m| m.look_for(want.probes, page));
            let armed_at = self.armed_at.filter(|_| want.access);
            if let Some(from) = armed_at {
                exposure.cover(&*target.workload, from, now);
            }
            let key = draw(key, id.get().into());
            let (mut at_map, mut at_dose) = (0, 0);
            for s in run {
                s.seen = Seen::Unknown;
                at_map = seek(&target.mapped, at_map, s.addr, |m| m.mapping.range);
                let Some(m) = target.mapped.get(at_map).filter(|m| m.mapping.range.contains(s.addr)) else { continue };
                s.attrs = m.attrs;
                s.extent = m.extent(page);
                if !m.armed || armed_at.is_none() {
                    continue;
                }
                let (start, bytes) = (s.extent.start(s.addr), s.extent.bytes());
                let odds = match bytes == page {
                    true => exposure.page(&mut at_dose, start),
                    false => exposure.block(&mut at_dose, start, bytes, page),
                };
                let (reads, writes) = odds.unwrap_or_default();
                // Reads and writes are processes of their own: a draw for each.
                let (mut read, mut written) = (reads.hit(key, start), writes.hit(key, !start));
                if !self.touched.is_empty() {
                    let by_hand = touched_in(&self.touched, id, start, bytes);
                    read |= by_hand.read;
                    written |= by_hand.written;
                }
                s.seen = m.shows(read, written);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
