//! Looks twice at a surprising page: a hit where hardly anything is accessed.
//!
//! It may be chance, or a small hot spot that no bin will ever show. A few more checks of just that page tell, one a window, and a page
//! that is hot becomes a region of its own, whose boundaries then find out how far the spot reaches.

use alloc::vec::Vec;

use super::log::ln_ratio;
use crate::target::TargetId;

/// A hit is surprising where rates are below 12%, in 1/2^16, as 15 checks or more show.
pub(super) const RARE: u32 = 7_864;
pub(super) const KNOWN: u32 = 15;
/// In regions of so many granules or more.
pub(super) const WIDE: u64 = 8;
/// So much says that the page is hot, and so little that it is not: 3 nats and −2.9.
const ACCEPT: i16 = 768;
const REJECT: i16 = -742;
/// A hot page is hit four times in five; in 1/256.
const HOT: u32 = 205;
/// After so many looks it is not worth another.
const LOOKS: u8 = 12;

/// A page under suspicion.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspect {
    pub(super) target: TargetId,
    pub(super) addr: u64,
    /// The rate around it, in 1/256.
    around: u8,
    looks: u8,
    /// For it being hot, in nats times 256.
    evidence: i16,
}

/// What was learned of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Open,
    Hot,
    Chance,
}

impl Suspect {
    /// A page that was hit where the rate is `around`, in 1/2^16.
    pub(super) fn new(target: TargetId, addr: u64, around: u32) -> Self {
        // With a margin of 3%, for a rate that is not known well.
        let around = ((around >> 8) + 8).min(255) as u8;
        Self { target, addr, around, looks: 0, evidence: 0 }
    }

    /// Takes in another check of it.
    pub(super) fn learn(&mut self, hit: bool) {
        let p0 = u32::from(self.around);
        let w = if hit { ln_ratio(HOT, p0) } else { ln_ratio(256 - HOT, 256 - p0) };
        self.evidence = self.evidence.saturating_add(w as i16);
        self.looks += 1;
    }

    /// What the checks so far come to.
    pub(super) fn verdict(&self) -> Verdict {
        match self.evidence {
            e if e > ACCEPT => Verdict::Hot,
            e if e < REJECT || self.looks >= LOOKS => Verdict::Chance,
            _ => Verdict::Open,
        }
    }
}

/// The pages under suspicion, by target and address.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    list: Vec<Suspect>,
    /// Put on it in this aggregation.
    new: usize,
}

impl Suspects {
    pub(super) fn list(&self) -> &[Suspect] {
        &self.list
    }

    pub(super) fn list_mut(&mut self) -> &mut Vec<Suspect> {
        &mut self.list
    }

    /// Another aggregation.
    pub(super) fn renew(&mut self) {
        self.new = 0;
    }

    /// Takes one up, of a `budget` of checks at most an eighth at a time and a sixteenth in an aggregation.
    pub(super) fn add(&mut self, s: Suspect, budget: usize) {
        if self.new > budget / 16 || self.list.len() > budget / 8 {
            return;
        }
        if let Err(at) = self.list.binary_search_by_key(&(s.target, s.addr), |s| (s.target, s.addr)) {
            self.list.insert(at, s);
            self.new += 1;
        }
    }

    /// Those of a target and of all after it.
    pub(super) fn from(&mut self, target: TargetId) -> &mut [Suspect] {
        let at = self.list.partition_point(|s| s.target < target);
        self.list.get_mut(at..).unwrap_or_default()
    }

    /// Drops those of a target, or of all.
    pub(super) fn forget(&mut self, target: Option<TargetId>) {
        self.list.retain(|s| target.is_some_and(|t| s.target != t));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(looks: &[bool]) -> Verdict {
        let mut s = Suspect::new(TargetId::new(0), 0, 4_000);
        looks.iter().for_each(|&hit| s.learn(hit));
        s.verdict()
    }

    #[test]
    fn two_hits_more_convict_and_two_misses_clear() {
        assert_eq!((verdict(&[true]), verdict(&[true, true])), (Verdict::Open, Verdict::Hot));
        assert_eq!((verdict(&[false]), verdict(&[false, false])), (Verdict::Open, Verdict::Chance));
        let undecided = [true, false].repeat(6);
        assert_eq!(verdict(&undecided[..11]), Verdict::Hot, "hits say more than misses");
    }

    #[test]
    fn they_are_few_in_order_and_each_once() {
        let mut list = Suspects::default();
        for addr in [9, 3, 3, 7, 5, 1, 8, 2, 6, 4] {
            list.add(Suspect::new(TargetId::new(0), addr, 0), 80);
        }
        assert_eq!(list.list().iter().map(|s| s.addr).collect::<Vec<_>>(), [1, 3, 5, 7, 8, 9]);
        list.renew();
        list.forget(Some(TargetId::new(0)));
        assert!(list.list().is_empty());
    }
}
