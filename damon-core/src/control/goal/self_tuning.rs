//! A tuner that learns what a byte does to the score, and asks for the size that reaches the goal.

use super::feed_loop;
use super::model::{Fit, MAX_DEAD, Process, RECORD};

/// The score that is tuned to.
const GOAL: i64 = feed_loop::GOAL as i64;
/// The first size: 24 pages a window harm nobody, and with [`PROBE`] the fifth window is at 122 MiB.
const FIRST: u64 = 96 << 10;
/// What a size grows by from one window to the next while it is not known what it does. With 6 four orders of magnitude
/// are gone through in 8 windows; more would reach too far where effects come late.
const PROBE: u64 = 6;
/// The least change in points that is a response: `12_000 / PROBE.pow(3)`, of which the last of growing sizes did
/// `(PROBE - 1) / PROBE`. So where effects come two windows late, the two sizes that are on their way when the first is
/// seen carry the score to 12,000 at most.
const RESPONSE: i64 = 46;
/// Windows that a size is held at most to tell a response from noise.
const MAX_HELD: i64 = 3;
/// A score in whole points, the quotient of whole numbers, is never read better.
const LEAST_NOISE: i64 = 5;
/// Noise before any was measured: four times that is a tenth of the way that the first size may go unnoticed.
const FIRST_NOISE: i64 = 150;
/// Noise that leaves no doubt of a response of [`RESPONSE`]: a fifth of it.
const CLEAR: i64 = 10;
/// The least noise that a fresh model is used with: it is not known better than to half a percent.
const IN_USE: i64 = 50;
/// Beyond this many times the noise, a mean deviation, something is not noise: of even noise one in a thousand is.
const NOT_NOISE: i64 = 4;
/// A step that tells of the gain: as large as what counts as near the goal.
const TELLING: i64 = 1_000;
/// What one step can change of what is known of the gain, so that one bad reading does no more.
const MAX_LEARNED: u64 = 4;
/// A step goes at most this many times as far as what was seen: `GOAL / RESPONSE`, rounded.
const FARTHEST: u64 = 200;
/// A deviation that is more than a gain that is wrong by a seventh explains.
const FAR_OFF: i64 = 1_500;
/// Three such windows in a row or nearly: each counts 2, others 1 less.
const MAX_MISSES: u8 = 4;
/// Higher scores are as good as this one: hundred times the goal.
const MAX_SCORE: u64 = 100 * feed_loop::GOAL;
/// A size beyond any memory.
const MAX_SIZE: u64 = 1 << 60;

/// What was seen of a response up to the last window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Watch {
    /// The score when probing began.
    from: i64,
    /// What the score did in a window by itself.
    drift: i64,
    /// What it did in the last window beyond that.
    response: i64,
    dead: usize,
    /// Windows since it no longer grew, and what it did in them.
    held: i64,
    moved: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Ever more, until the score responds: since `windows`, from the score `from`; `response` is what was not one.
    Probe { from: i64, windows: i64, response: i64 },
    /// No more, until it is seen what kind of response that is.
    Watch(Watch),
    /// What is known is used. It is `proved` once a step did as foreseen.
    Regulate { proved: bool },
}

/// A self-tuning regulator: identifies the process by a step test, then controls it by its model.
///
/// It *probes* with sizes that grow sixfold until the score responds; *watches*, with the size held, how late the response
/// comes and whether it stays or goes on; and *regulates*: what the model does not explain is taken for a load that will
/// stay, and the size is what the model needs to reach the goal under that load. Sizes whose effect has not been seen
/// yet are part of the model, so they are not asked for twice. Every step that is large enough to be told from noise
/// corrects the gain; where another kind of process, or another dead time, explains the last windows much better, that is
/// the model from then on; and where none does, it begins anew.
///
/// It never asks for more than the limit, for much more than was ever really charged, nor for anything while the goal
/// is passed and nothing is known. Pure integer arithmetic: equal inputs, equal sizes. How it does on plants of known
/// laws, beside the kernel's tuners: `docs/tuners.md`.
///
/// ```
/// use damon_core::control::goal::SelfTuning;
/// let mut tuner = SelfTuning::default();
/// let (mut size, mut windows) = (0, 0);
/// // 1 GiB a window would reach the goal: nobody told the tuner.
/// let score = |size: u64| (size * 10_000) >> 30;
/// while score(size) < 9_900 {
///     size = tuner.next_size(Some(score(size)), size, 0);
///     windows += 1;
/// }
/// assert!(windows <= 8 && score(size) < 10_100);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelfTuning {
    phase: Phase,
    process: Process,
    /// Windows until an effect is seen, beyond the next.
    dead: usize,
    /// The gain: how many addresses a window are worth a whole goal of score.
    per_goal: u64,
    /// What the score does without the scheme: its value, or its change per window where sizes move it.
    load: i64,
    /// Mean deviation of the score from what was foreseen.
    noise: i64,
    /// The largest size of which it is known what it does.
    known: u64,
    /// Windows of late that the model was far off in, weighed.
    misses: u8,
    /// The size that was asked for.
    size: u64,
    /// What was charged in the last windows, the last one first.
    charged: [u64; RECORD + MAX_DEAD + 1],
    /// The score before anything was done.
    first: i64,
    /// The last scores, the last one first, and how many are known without a gap.
    scores: [i64; RECORD + 1],
    nr_scores: usize,
    /// The score, or its change, as the process has it.
    output: Option<i64>,
}

impl Default for SelfTuning {
    fn default() -> Self {
        Self {
            phase: Phase::Probe { from: 0, windows: 0, response: 0 },
            process: Process::Holds,
            dead: 0,
            per_goal: 0,
            load: 0,
            noise: FIRST_NOISE,
            known: 0,
            misses: 0,
            size: 0,
            charged: [0; RECORD + MAX_DEAD + 1],
            first: 0,
            scores: [0; RECORD + 1],
            nr_scores: 0,
            output: None,
        }
    }
}

impl SelfTuning {
    /// The size, in addresses, for the charge window that begins: given the [`score`](super::score) at its begin, what was
    /// really `charged` in the window that ended, and the most that is allowed, 0 being no limit. While the score cannot
    /// be read the size is held. To be called once a window.
    pub fn next_size(&mut self, score: Option<u64>, charged: u64, limit: u64) -> u64 {
        let limit = if limit == 0 { MAX_SIZE } else { limit.min(MAX_SIZE) };
        let Some(score) = score.map(|s| s.min(MAX_SCORE) as i64) else {
            // No comparison can be made across the gap.
            (self.nr_scores, self.output) = (0, None);
            self.push(charged);
            self.size = self.size.min(limit);
            return self.size;
        };
        self.push(charged);
        let change = (self.nr_scores > 0).then(|| score - self.scores[0]);
        self.scores.rotate_right(1);
        self.scores[0] = score;
        self.nr_scores = (self.nr_scores + 1).min(self.scores.len());
        let wanted = match self.phase {
            Phase::Probe { from, windows, response } => self.probe(score, change, (from, windows, response)),
            Phase::Watch(watch) => match change {
                Some(change) => self.watch(score, change, watch),
                None => self.size,
            },
            Phase::Regulate { proved } => self.regulate(score, change, proved),
        };
        // What could not be charged is no base to grow from.
        let grow = if matches!(self.phase, Phase::Regulate { proved: false }) { FARTHEST } else { PROBE };
        let most = self.charged[0].max(self.known).saturating_mul(grow).max(FIRST);
        self.size = wanted.min(most).min(limit);
        self.size
    }

    fn push(&mut self, charged: u64) {
        self.charged.rotate_right(1);
        self.charged[0] = charged.min(MAX_SIZE);
    }

    /// More, unless the score did what it did not do by itself or as noise.
    fn probe(&mut self, score: i64, change: Option<i64>, was: (i64, i64, i64)) -> u64 {
        let (from, windows, grew) = was;
        let Some(change) = change.filter(|_| windows > 0) else {
            if self.size == 0 {
                self.first = score;
            }
            return self.start_probe(score);
        };
        // What it did by itself so far.
        let drift = if windows > 1 { ((score - change - from) / (windows - 1)).min(0) } else { 0 };
        let response = change - drift;
        if response >= RESPONSE.max(NOT_NOISE * self.noise.min(FIRST_NOISE)) {
            let watch = Watch { from, drift, response, dead: 0, held: 0, moved: 0 };
            if score >= GOAL {
                return self.identify(score, Process::Holds, &watch);
            }
            self.phase = Phase::Watch(watch);
            return self.size;
        }
        // A peak that fades, as a quiet window is little evidence of quiet. What grows as the size does is no noise.
        let off = if windows == 1 || response > PROBE as i64 / 2 * grew.abs() { 0 } else { response.abs() };
        self.noise = off.min(FIRST_NOISE).max(self.noise / 3).max(LEAST_NOISE);
        self.phase = Phase::Probe { from, windows: windows + 1, response };
        if score >= GOAL {
            return 0;
        }
        self.farther(self.size, score).max(FIRST)
    }

    /// A size with which the score stays below the goal even if all that it rose by, told from noise or not, is the
    /// doing of `size`.
    fn farther(&self, size: u64, score: i64) -> u64 {
        let (missing, risen) = (GOAL - self.first, (score - self.first).max(1));
        let farther = i128::from(size) * i128::from(missing.max(0)) / i128::from(risen);
        u64::try_from(farther).unwrap_or(MAX_SIZE).clamp(size, size.saturating_mul(PROBE))
    }

    /// From the present size: what is on its way is let come first.
    fn start_probe(&mut self, score: i64) -> u64 {
        if score >= GOAL {
            self.phase = Phase::Probe { from: score, windows: 0, response: 0 };
            return 0;
        }
        self.phase = Phase::Probe { from: score, windows: 1, response: 0 };
        self.size.max(FIRST)
    }

    /// Holds the size until it is seen how late a response comes, and whether it goes on.
    fn watch(&mut self, score: i64, change: i64, watch: Watch) -> u64 {
        let response = change - watch.drift;
        if response > 2 * watch.response && watch.held == 0 && watch.dead < MAX_DEAD {
            // What is seen are still the sizes before this one.
            let watch = Watch { response, dead: watch.dead + 1, ..watch };
            if score >= GOAL {
                return self.identify(score, Process::Holds, &watch);
            }
            self.phase = Phase::Watch(watch);
            return self.size;
        }
        // Whether it stays or goes on: what is between the two is noise.
        let off = response.abs().min((response - watch.response).abs());
        self.noise = off.min(FIRST_NOISE).max(self.noise / 2).max(LEAST_NOISE);
        let watch = Watch { held: watch.held + 1, moved: watch.moved + response, ..watch };
        if watch.held * watch.response < 2 * NOT_NOISE * self.noise && score < GOAL && watch.held < MAX_HELD {
            // Whether it stays or goes on cannot be told from noise yet.
            self.phase = Phase::Watch(watch);
            return self.size;
        }
        if watch.moved <= -watch.response / 2 {
            // It went back by itself: that was noise.
            self.noise = self.noise.max(watch.response / 2).min(FIRST_NOISE);
            return self.start_probe(score);
        }
        let goes_on = watch.moved >= watch.held * watch.response / 2;
        self.identify(score, if goes_on { Process::Moves } else { Process::Holds }, &watch)
    }

    /// A model from what was seen while the size was held: the highest gain that the noise allows for, as too little is
    /// soon made good and too much is not.
    fn identify(&mut self, score: i64, process: Process, watch: &Watch) -> u64 {
        let size = self.charged[watch.dead];
        let caution = 2 * self.noise;
        // Earlier effects are part of the drift.
        let by = size - size / PROBE;
        let (output, per_goal) = match process {
            Process::Holds => {
                let whole = per_goal(size, score - watch.from + caution);
                (score, per_goal(by, watch.response + watch.moved + caution).min(whole))
            }
            Process::Moves => {
                let effect = watch.moved / watch.held.max(1);
                (effect + watch.drift, per_goal(by, effect + caution))
            }
        };
        (self.process, self.dead, self.per_goal) = (process, watch.dead, per_goal);
        self.load = output - self.effect(size);
        self.output = Some(output);
        self.misses = 0;
        self.phase = Phase::Regulate { proved: false };
        let needed = self.needed(score);
        if self.noise > CLEAR && needed > size {
            // What was taken for a response may be none, or be more to come: half the way.
            self.noise = self.noise.max(IN_USE);
            return (size + (needed - size) / 2).min(self.farther(size, score));
        }
        self.noise = self.noise.max(IN_USE);
        needed
    }

    /// Corrects the model by what it did not foresee, and uses it.
    fn regulate(&mut self, score: i64, change: Option<i64>, mut proved: bool) -> u64 {
        let Some(output) = (match self.process {
            Process::Holds => Some(score),
            Process::Moves => change,
        }) else {
            return self.size;
        };
        let (seen, before) = (self.charged[self.dead], self.charged[self.dead + 1]);
        self.known = self.known.max(seen);
        let off = output - self.effect(seen) - self.load;
        let step = self.effect(seen) - self.effect(before);
        let last = self.output.replace(output);
        let telling = TELLING.max(NOT_NOISE * self.noise);
        let visible = step.abs() >= telling;
        let far = off.abs() > FAR_OFF.max(NOT_NOISE * self.noise);
        self.misses = match far {
            true if visible && off < 0 => self.misses,
            true => self.misses + 2,
            false => self.misses.saturating_sub(1),
        };
        if self.misses > MAX_MISSES {
            // The model does not hold: all over again.
            *self = Self {
                charged: self.charged,
                scores: self.scores,
                nr_scores: self.nr_scores,
                first: self.first,
                ..Self::default()
            };
            return self.start_probe(score);
        }
        if self.rethink(score, change) {
            return self.needed(score);
        }
        if let Some(last) = last.filter(|_| visible) {
            let did = if step > 0 { output - last } else { last - output };
            if !proved && did < step.abs() / 8 {
                self.noise = self.noise.max(FIRST_NOISE / 2);
                return self.start_probe(score);
            }
            proved = true;
            self.phase = Phase::Regulate { proved };
            let learned = per_goal(seen.abs_diff(before), did.max(0) + self.noise);
            self.per_goal = learned.clamp(self.per_goal / MAX_LEARNED, self.per_goal * MAX_LEARNED).clamp(1, MAX_SIZE);
            self.load = output - self.effect(seen);
        } else {
            let all = off.abs() > NOT_NOISE * self.noise;
            self.load += if all { off } else { off / 2 };
            self.learn_noise(off);
            if all && off > 0 && score > GOAL && self.process == Process::Holds {
                // Is there more load, or does a byte do more, as where the goal was moved? The smaller step is right for
                // one of them, and tells.
                let in_proportion = u128::from(seen) * u128::from(feed_loop::GOAL) / u128::from(score.unsigned_abs());
                return self.needed(score).max(u64::try_from(in_proportion).unwrap_or(seen));
            }
        }
        self.needed(score)
    }

    /// Is there a model that explains the last windows much better? Then that is the one.
    fn rethink(&mut self, score: i64, change: Option<i64>) -> bool {
        if self.nr_scores < self.scores.len() {
            return false;
        }
        let fit = |process, dead| Fit::new(&self.scores, &self.charged[dead..], process);
        let mine = fit(self.process, self.dead);
        let mut best = mine;
        let mut choice = (self.process, self.dead);
        for process in [Process::Holds, Process::Moves] {
            for dead in 0..=MAX_DEAD {
                let f = fit(process, dead);
                if f.unexplained < best.unexplained {
                    (best, choice) = (f, (process, dead));
                }
            }
        }
        let telling = i128::from(TELLING) * i128::from(TELLING);
        // Four times less variance is half the deviation.
        let better = 4 * best.unexplained < mine.unexplained.min(best.explained) && best.explained > telling;
        if choice == (self.process, self.dead) || !better {
            return false;
        }
        (self.process, self.dead) = choice;
        self.per_goal = per_goal(best.size, best.effect);
        let output = match self.process {
            Process::Holds => score,
            Process::Moves => change.unwrap_or(0),
        };
        self.load = output - self.effect(self.charged[self.dead]);
        self.output = Some(output);
        self.misses = 0;
        true
    }

    /// The size that reaches the goal under the present load.
    fn needed(&self, score: i64) -> u64 {
        let missing = match self.process {
            Process::Holds => GOAL - self.load,
            Process::Moves => {
                let coming: i64 = self.charged[..self.dead].iter().map(|&c| self.effect(c) + self.load).sum();
                let left = GOAL - score - coming;
                let all = left.abs() > NOT_NOISE * self.noise;
                (if all { left } else { left / 2 }) - self.load
            }
        };
        let size = u128::from(missing.max(0).unsigned_abs()) * u128::from(self.per_goal) / u128::from(feed_loop::GOAL);
        u64::try_from(size).unwrap_or(MAX_SIZE)
    }

    /// What the model has a size do.
    fn effect(&self, size: u64) -> i64 {
        let points = u128::from(size) * u128::from(feed_loop::GOAL) / u128::from(self.per_goal.max(1));
        i64::try_from(points).unwrap_or(i64::MAX).min(2 * MAX_SCORE as i64)
    }

    /// A deviation that is much more than noise was none: it counts as little more.
    fn learn_noise(&mut self, off: i64) {
        let off = off.abs().min(2 * NOT_NOISE * self.noise);
        self.noise = (self.noise + (off - self.noise) / 4).max(LEAST_NOISE);
    }
}

/// The size that is worth a whole goal, where this one is worth `effect`.
fn per_goal(size: u64, effect: i64) -> u64 {
    let size = u128::from(size) * u128::from(feed_loop::GOAL) / u128::from(effect.max(1).unsigned_abs());
    u64::try_from(size).unwrap_or(MAX_SIZE).clamp(1, MAX_SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The sizes of windows in which `size * 10_000 / per_goal` is the score.
    fn on_linear(per_goal: u64, limit: u64) -> [u64; 12] {
        let mut tuner = SelfTuning::default();
        let mut size = 0;
        core::array::from_fn(|_| {
            size = tuner.next_size(Some(size * 10_000 / per_goal), size, limit);
            size
        })
    }

    #[test]
    fn it_probes_and_then_steps_right_to_the_goal() {
        let sizes = on_linear(1 << 30, 0);
        assert_eq!(sizes[..3], [FIRST, FIRST * 6, FIRST * 36]);
        assert!(sizes[6..].iter().all(|s| s.abs_diff(1 << 30) < 1 << 24), "{sizes:?}");
    }

    #[test]
    fn a_goal_out_of_reach_saturates_at_the_limit() {
        assert_eq!(on_linear(1 << 30, 1 << 28)[9..], [1 << 28; 3]);
        assert_eq!(on_linear(1 << 30, 50_000), [50_000; 12]);
    }

    #[test]
    fn nothing_is_done_where_the_goal_is_passed_already() {
        let mut tuner = SelfTuning::default();
        assert!((0..9).all(|_| tuner.next_size(Some(10_500), 0, 0) == 0));
        assert_eq!(tuner.next_size(Some(9_900), 0, 0), FIRST, "until it is not");
    }

    #[test]
    fn a_score_that_cannot_be_read_holds_the_size() {
        let mut tuner = SelfTuning::default();
        let mut size = 0;
        for window in 0..40 {
            let score = (size * 10_000) >> 30;
            let next = tuner.next_size((window % 16 < 12).then_some(score), size, 0);
            assert!(window % 16 < 12 || next == size);
            size = next;
        }
        assert!(size.abs_diff(1 << 30) < 1 << 24, "{size}");
    }

    #[test]
    fn what_cannot_be_charged_is_not_grown_on() {
        let mut tuner = SelfTuning::default();
        assert!((0..99).all(|_| tuner.next_size(Some(5_000), 0, 0) <= FIRST));
    }

    proptest! {
        #[test]
        fn whatever_happens_the_limit_holds(
            limit in prop_oneof![Just(0), 1..u64::MAX],
            windows in prop::collection::vec((prop::option::of(prop_oneof![0..20_000u64, any::<u64>()]), any::<u64>()), 0..99),
            charges_what_it_asks in any::<bool>(),
        ) {
            let mut tuner = SelfTuning::default();
            let mut size = 0;
            for (score, charged) in windows {
                size = tuner.next_size(score, if charges_what_it_asks { size } else { charged }, limit);
                let most = if limit == 0 { MAX_SIZE } else { limit };
                prop_assert!(size <= most);
            }
        }
    }
}
