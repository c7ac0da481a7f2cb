//! One process as a target: what of it is watched, and is it still the one that it was.

use std::sync::Arc;

use damon_core::{AddrRange, Sample, TargetId};

use super::idle::There;
use super::members::Watch;
use crate::linux::{
    FileError, Image, Layout, MapsError, PagemapEntry, Process, ProcessOpenError, ProcessPagemap, Whereabouts,
};

/// What became of a target since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Same,
    /// It runs something else.
    Replaced,
    Gone,
}

#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) id: TargetId,
    pub(crate) process: Arc<Process>,
    /// Which watch it came with.
    pub(crate) watch: u32,
    layout: Layout,
    /// Only these, ascending and apart; empty: all.
    only: Vec<AddrRange>,
    page: u64,
    pagemap: ProcessPagemap,
    image: Option<Image>,
    /// What is mapped and can be accessed, ascending and apart, as of the last look.
    mapped: Vec<AddrRange>,
    entries: Vec<Option<PagemapEntry>>,
}

impl Target {
    pub(crate) fn new(
        id: TargetId,
        process: Arc<Process>,
        (watch, spec): (u32, &Watch),
        page: u64,
    ) -> Result<Self, ProcessOpenError> {
        let pagemap = process.pagemap(page)?;
        let image = process.image()?;
        let mut only = Vec::new();
        union(spec.ranges.clone(), &mut only);
        let (mapped, entries) = (Vec::new(), Vec::new());
        Ok(Self { id, process, watch, layout: spec.layout, only, page, pagemap, image, mapped, entries })
    }

    /// Did it end, or become another? Then its page table is that of what it is now.
    pub(crate) fn fate(&mut self) -> Result<Fate, FileError> {
        if !self.process.is_alive() {
            return Ok(Fate::Gone);
        }
        // A child of vfork has its parent's memory, which lives on when the child runs another program: its image tells.
        let image = self.process.image()?;
        if image.is_none() {
            return Ok(Fate::Gone);
        }
        if image == self.image && self.pagemap.is_alive()? {
            return Ok(Fate::Same);
        }
        self.image = image;
        match self.process.pagemap(self.page) {
            Ok(pagemap) => self.pagemap = pagemap,
            Err(ProcessOpenError::File(e)) => return Err(e),
            Err(_) => return Ok(Fate::Gone),
        }
        self.mapped.clear();
        Ok(Fate::Replaced)
    }

    /// Its ranges as they are now, appended to `out`; none if it has ended.
    pub(crate) fn ranges(&mut self, out: &mut Vec<AddrRange>) -> Result<(), MapsError> {
        let mappings = self.process.maps()?;
        self.layout.ranges(&mappings, out);
        Layout::Mapped { hole_bytes: 1, max_spans: usize::MAX }.ranges(&mappings, &mut self.mapped);
        if !self.only.is_empty() {
            clip(out, &self.only);
            clip(&mut self.mapped, &self.only);
        }
        Ok(())
    }

    /// What is at the addresses of `samples`, ascending, appended to `there`; and where its content is, to `places`.
    pub(crate) fn look(
        &mut self,
        samples: &[Sample],
        there: &mut Vec<There>,
        places: &mut Vec<Whereabouts>,
    ) -> Result<(), FileError> {
        self.pagemap.entries(samples.iter().map(|s| s.addr), &mut self.entries)?;
        let mut mapped = self.mapped.iter().peekable();
        for (sample, &entry) in samples.iter().zip(&self.entries) {
            while mapped.next_if(|range| range.end() <= sample.addr).is_some() {}
            let inside = mapped.peek().is_some_and(|range| range.contains(sample.addr));
            there.push(if inside { There::of(entry) } else { There::Nowhere });
            places.push(entry.map_or(Whereabouts::Nowhere, Whereabouts::from));
        }
        Ok(())
    }
}

/// Makes `ranges` ascending and apart.
fn union(mut ranges: Vec<AddrRange>, out: &mut Vec<AddrRange>) {
    ranges.sort_unstable_by_key(|r| r.start());
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start() <= last.end() => {
                *last = AddrRange::new(last.start(), range.end().max(last.end())).unwrap_or(*last);
            }
            _ => out.push(range),
        }
    }
}

/// Leaves of `ranges` what is in `only`; both are ascending and apart, and the result is.
fn clip(ranges: &mut Vec<AddrRange>, only: &[AddrRange]) {
    let whole = ranges.len();
    for i in 0..whole {
        let from = only.partition_point(|o| o.end() <= ranges[i].start());
        let both = only[from..].iter().map_while(|o| o.intersection(ranges[i])).collect::<Vec<_>>();
        ranges.extend(both);
    }
    ranges.drain(..whole);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(ends: &[(u64, u64)]) -> Vec<AddrRange> {
        ends.iter().filter_map(|&(a, b)| AddrRange::new(a, b)).collect()
    }

    #[test]
    fn only_what_was_asked_for_is_left() {
        let mut only = Vec::new();
        union(ranges(&[(50, 60), (5, 15), (10, 20), (70, 71)]), &mut only);
        assert_eq!(only, ranges(&[(5, 20), (50, 60), (70, 71)]));
        let mut mapped = ranges(&[(0, 10), (12, 55), (58, 100), (200, 300)]);
        clip(&mut mapped, &only);
        assert_eq!(mapped, ranges(&[(5, 10), (12, 20), (50, 55), (58, 60), (70, 71)]));
    }
}
