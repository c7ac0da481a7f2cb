//! A scarce budget, divided by weight: nobody gets more than wanted, nobody who wants any gets none.

use alloc::vec::Vec;

/// Who wants how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Claims of one group share what the group gets.
    pub group: u32,
    /// The share within the group; the group's own is that of its heaviest member. 0 counts as 1.
    pub weight: u16,
    /// How much is wanted.
    pub want: usize,
}

/// The room that [`Shares::divide`] works in, kept so that dividing again allocates nothing.
#[derive(Debug, Default)]
pub struct Shares {
    given: Vec<usize>,
    /// Group, sum of its weights, its heaviest.
    groups: Vec<(u32, u64, u64)>,
}

impl Shares {
    /// Divides `budget` between `claims`: in proportion to weight, at least 1 for each that wants any (even above the
    /// budget), what one leaves to the others.
    ///
    /// ```
    /// use damon_core::control::shares::{Claim, Shares};
    /// let claim = |weight, want| Claim { group: 0, weight, want };
    /// let mut shares = Shares::default();
    /// assert_eq!(shares.divide(70, &[claim(100, 90), claim(200, 90), claim(400, 90)]), [10, 20, 40]);
    /// assert_eq!(shares.divide(70, &[claim(100, 90), claim(200, 90), claim(400, 10)]), [20, 40, 10]);
    /// ```
    pub fn divide(&mut self, budget: usize, claims: &[Claim]) -> &[usize] {
        self.sum_groups(claims);
        self.given.clear();
        self.given.extend(claims.iter().map(|c| c.want.min(1)));
        let mut left = budget.saturating_sub(self.given.iter().sum());
        // Each round satisfies a claim or hands out all but the rounding: few rounds, bounded by the claims.
        while left > 0 {
            let (mut pot, mut total) = (left as u128, 0);
            for (c, &given) in claims.iter().zip(&self.given).filter(|(c, given)| **given < c.want) {
                pot += given as u128;
                total += u128::from(self.weight(c));
            }
            if total == 0 {
                break;
            }
            let before = left;
            for at_least in [0, 1] {
                for (i, c) in claims.iter().enumerate() {
                    let weight = u128::from(self.weight(c));
                    let Some(given) = self.given.get_mut(i).filter(|given| **given < c.want) else { continue };
                    let fair = (pot * weight / total) as usize;
                    let more = fair.saturating_sub(*given).max(at_least).min(c.want - *given).min(left);
                    *given += more;
                    left -= more;
                }
                if left < before {
                    break;
                }
            }
        }
        &self.given
    }

    fn sum_groups(&mut self, claims: &[Claim]) {
        self.groups.clear();
        self.groups.extend(claims.iter().map(|c| (c.group, c.weight.max(1).into(), c.weight.max(1).into())));
        self.groups.sort_unstable_by_key(|g| g.0);
        self.groups.dedup_by(|next, sum| {
            let same = next.0 == sum.0;
            if same {
                sum.1 += next.1;
                sum.2 = sum.2.max(next.2);
            }
            same
        });
    }

    /// A claim's weight against all others, groups counted in.
    fn weight(&self, c: &Claim) -> u64 {
        // A lone group is divided by weights alone, whatever its own.
        match self.groups.binary_search_by_key(&c.group, |g| g.0).ok().and_then(|i| self.groups.get(i)) {
            Some(&(_, sum, heaviest)) => ((heaviest << 32) * u64::from(c.weight.max(1)) / sum).max(1),
            None => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_group_of_many_gets_no_more_than_a_group_of_one() {
        let mut claims = alloc::vec![Claim { group: 1, weight: 100, want: 1_000 }];
        claims.extend([Claim { group: 2, weight: 100, want: 1_000 }; 10]);
        let mut s = Shares::default();
        let given = s.divide(1_000, &claims);
        assert!((495..=505).contains(&given[0]), "{given:?}");
        assert!(given[1..].iter().all(|&g| (49..=51).contains(&g)), "{given:?}");
    }

    proptest! {
        #[test]
        fn all_is_given_and_nobody_gets_more_than_wanted(
            budget in 0usize..10_000,
            claims in prop::collection::vec((0u32..3, 0u16..1_000, 0usize..2_000), 0..20),
        ) {
            let claims: Vec<_> = claims.into_iter().map(|(group, weight, want)| Claim { group, weight, want }).collect();
            let mut s = Shares::default();
            let given = s.divide(budget, &claims);
            let wanted: usize = claims.iter().map(|c| c.want).sum();
            let floor = claims.iter().filter(|c| c.want > 0).count();
            prop_assert_eq!(given.iter().sum::<usize>(), wanted.min(budget.max(floor)));
            for (g, c) in given.iter().zip(&claims) {
                prop_assert!(*g <= c.want && (*g > 0 || c.want == 0));
            }
        }
    }
}
