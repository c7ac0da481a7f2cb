//! Where the hot sets are, and when they move: known before the run.

use damon_core::{AddrRange, Rng};

/// Hot sets start at multiples of this: no power of two that regions would meet by chance.
const STEP: u64 = 52 << 10;

/// The places of one hot set, one for each phase: each apart from the one before, so that every move is a move.
#[derive(Clone, Debug)]
pub struct Schedule {
    places: Vec<AddrRange>,
}

impl Schedule {
    /// `phases` places of `bytes` bytes inside `mapping`, drawn by `rng`. Where a mapping has no room for another place
    /// (it has with three times the bytes), the set stays.
    pub fn new(mapping: AddrRange, bytes: u64, phases: usize, rng: &mut Rng) -> Self {
        let bytes = bytes.clamp(1, mapping.size());
        let slots = (mapping.size() - bytes) / STEP + 1;
        let apart = bytes.div_ceil(STEP);
        let mut slot = rng.below(slots);
        let mut places = Vec::with_capacity(phases.max(1));
        loop {
            let start = mapping.start() + slot * STEP;
            places.extend(AddrRange::from_len(start, bytes));
            if places.len() >= phases {
                return Self { places };
            }
            // Below the last place there are so many slots apart from it, and above it the others.
            let below = (slot + 1).saturating_sub(apart);
            let above = slots.saturating_sub(slot + apart);
            slot = match rng.below(below + above) {
                _ if below + above == 0 => slot,
                n if n < below => n,
                n => slot + apart + (n - below),
            };
        }
    }

    /// Where the set is in a phase; the last place for those after it.
    pub fn place(&self, phase: usize) -> AddrRange {
        self.places[phase.min(self.places.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_move_goes_somewhere_else_inside_the_mapping() {
        let mapping = AddrRange::new(1 << 30, (1 << 30) + (256 << 20)).unwrap();
        let schedule = Schedule::new(mapping, 48 << 20, 50, &mut Rng::new(1));
        for phase in 0..50 {
            let place = schedule.place(phase);
            assert_eq!((place.size(), place.intersection(mapping)), (48 << 20, Some(place)));
            assert_eq!(place.start() % 4096, 0);
            assert!(phase == 0 || place.intersection(schedule.place(phase - 1)).is_none());
        }
        assert_eq!(schedule.place(99), schedule.place(49));
    }

    #[test]
    fn where_there_is_no_other_place_the_set_stays_inside() {
        let mapping = AddrRange::new(0, 100 << 20).unwrap();
        for (bytes, size) in [(80 << 20, 80 << 20), (300 << 20, 100 << 20)] {
            let schedule = Schedule::new(mapping, bytes, 3, &mut Rng::new(1));
            assert_eq!((schedule.place(2), schedule.place(0).size()), (schedule.place(0), size));
        }
    }

    #[test]
    fn equal_seeds_move_alike() {
        let mapping = AddrRange::new(0, 256 << 20).unwrap();
        let places = |seed| Schedule::new(mapping, 40 << 20, 6, &mut Rng::new(seed)).places;
        assert_eq!(places(3), places(3));
        assert_ne!(places(3), places(4));
    }
}
