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
    /// `phases` places of `bytes` bytes inside `mapping`, drawn by `rng`. `None` if the mapping is smaller than three times that: there might be no other place to go to.
    pub fn new(mapping: AddrRange, bytes: u64, phases: usize, rng: &mut Rng) -> Option<Self> {
        if mapping.size() / 3 < bytes + STEP {
            return None;
        }
        let mut places: Vec<AddrRange> = Vec::with_capacity(phases);
        while places.len() < phases {
            let start = mapping.start() + rng.below((mapping.size() - bytes) / STEP + 1) * STEP;
            let place = AddrRange::from_len(start, bytes)?;
            if places.last().is_none_or(|last| last.intersection(place).is_none()) {
                places.push(place);
            }
        }
        Some(Self { places })
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
        let schedule = Schedule::new(mapping, 48 << 20, 50, &mut Rng::new(1)).unwrap();
        for phase in 0..50 {
            let place = schedule.place(phase);
            assert_eq!((place.size(), place.intersection(mapping)), (48 << 20, Some(place)));
            assert_eq!(place.start() % 4096, 0);
            assert!(phase == 0 || place.intersection(schedule.place(phase - 1)).is_none());
        }
        assert_eq!(schedule.place(99), schedule.place(49));
    }

    #[test]
    fn a_mapping_without_another_place_is_refused() {
        let mapping = AddrRange::new(0, 100 << 20).unwrap();
        assert!(Schedule::new(mapping, 40 << 20, 2, &mut Rng::new(1)).is_none());
    }

    #[test]
    fn equal_seeds_move_alike() {
        let mapping = AddrRange::new(0, 256 << 20).unwrap();
        let places = |seed| Schedule::new(mapping, 40 << 20, 6, &mut Rng::new(seed)).unwrap().places;
        assert_eq!(places(3), places(3));
        assert_ne!(places(3), places(4));
    }
}
