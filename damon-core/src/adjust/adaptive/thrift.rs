//! Spends little while nothing surprising happens, and all there is when something does.
//!
//! Where the user set no `max_checks`, a window may have one check for each of `max_nr_regions`, as the kernel's. That is what it takes to learn
//! a picture; to see that it still holds takes less. So what is spent falls by an eighth with each aggregation that brings nothing new, down
//! to a quarter, and is at once all again when regions had to be cut, rates changed, boundaries moved or a hot page was found: more of
//! that than chance alone brings.

/// Below so many checks nothing is saved: what is left could not tell a change from chance.
const LEAST: usize = 64;
/// One surprise in so many regions is chance.
const CHANCE: usize = 16;

/// How much of the budget is spent.
#[derive(Debug)]
pub(super) struct Thrift {
    /// In 1/256.
    level: usize,
    /// What this aggregation brought.
    pub(super) surprises: usize,
}

const ALL: usize = 256;

impl Default for Thrift {
    fn default() -> Self {
        Self { level: ALL, surprises: 0 }
    }
}

impl Thrift {
    /// Of so many checks at most: those to spend in a window.
    pub(super) fn spend(&self, most: usize) -> usize {
        (most * self.level / ALL).max(LEAST.min(most))
    }

    /// All of them again.
    pub(super) fn alarm(&mut self) {
        self.level = ALL;
    }

    /// An aggregation of so many regions is over.
    pub(super) fn review(&mut self, nr_regions: usize) {
        if self.surprises > nr_regions / CHANCE {
            self.level = ALL;
        } else {
            self.level = (self.level - self.level / 8).max(ALL / 4);
        }
        self.surprises = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_falls_to_a_quarter_and_rises_at_once() {
        let mut t = Thrift::default();
        assert_eq!(t.spend(1_000), 1_000);
        (0..99).for_each(|_| t.review(100));
        assert_eq!((t.spend(1_000), t.spend(100), t.spend(40)), (250, 64, 40));
        t.surprises = 6;
        t.review(100);
        assert_eq!(t.spend(1_000), 250, "six of a hundred regions: chance");
        t.surprises = 7;
        t.review(100);
        assert_eq!(t.spend(1_000), 1_000);
    }
}
