//! Which blocks are accessed when: patterns as weights of blocks that add up to one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;

use damon_core::Rng;

use super::PAGE;
use super::spec::{PatternSpec, SpecError};
use crate::chance::draw;
use crate::trace;

/// A scan is painted so often.
const STEP: f64 = 1.0;

/// So many of the most popular items are placed one by one; what the others add is spread evenly.
const PLACED: u64 = 100_000;

/// A pattern of so many blocks.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    Fixed(Vec<f64>),
    /// Weights by how many blocks ago it was written, and blocks written in a second.
    Latest(Vec<f64>, f64),
    Spots(Spots),
    Scan(f64),
    Phases(Vec<(f64, Pattern)>),
    Parts(Vec<Vec<f64>>, f64),
}

/// Spots that are hot, and how they change.
#[derive(Clone, Debug)]
pub(super) struct Spots {
    /// Blocks of a spot.
    size: usize,
    /// Hot ones first.
    order: Vec<usize>,
    hot: usize,
    accesses: f64,
    /// When, and which places of the order are exchanged then.
    changes: Vec<(f64, usize, usize)>,
}

/// What patterns are made for.
pub(super) struct About {
    pub(super) block: u64,
    pub(super) blocks: usize,
    pub(super) seconds: f64,
    pub(super) seed: u64,
}

impl Pattern {
    pub(super) fn new(spec: &PatternSpec, about: &About) -> Result<Self, SpecError> {
        let n = about.blocks;
        Ok(match spec {
            PatternSpec::Idle {} => Self::Fixed(vec![0.0; n]),
            PatternSpec::Uniform {} => Self::Fixed(vec![1.0 / n as f64; n]),
            PatternSpec::Zipf { theta, item_bytes, scrambled: false } => Self::Fixed(zipf(about, *theta, *item_bytes)),
            PatternSpec::Zipf { theta, item_bytes, .. } => Self::Fixed(scrambled(about, *theta, *item_bytes)),
            PatternSpec::Latest { theta, item_bytes, mib_per_s } => {
                Self::Latest(zipf(about, *theta, *item_bytes), mib_per_s * (1u64 << 20) as f64 / about.block as f64)
            }
            PatternSpec::Spots { spot_mib, memory, accesses, life_s } => {
                Self::Spots(Spots::new(about, *spot_mib << 20, *memory, *accesses, *life_s))
            }
            PatternSpec::Scan { pass_s } => Self::Scan(*pass_s),
            PatternSpec::Phases { phases } => {
                let made = phases.iter().enumerate().map(|(i, phase)| {
                    let seed = draw(about.seed, i as u64);
                    Ok((phase.seconds, Self::new(&phase.pattern, &About { seed, ..*about })?))
                });
                Self::Phases(made.collect::<Result<_, SpecError>>()?)
            }
            PatternSpec::Trace { file, parts } => {
                let parts = traced(file, *parts, n)?;
                let each = about.seconds / parts.len().max(1) as f64;
                Self::Parts(parts, each)
            }
        })
    }

    /// Adds the weights at `t` seconds after the start, times `share`, to `out`, and says when they change.
    pub(super) fn paint(&self, t: f64, share: f64, out: &mut [f64]) -> f64 {
        let n = out.len();
        let mut add = |weights: &[f64]| out.iter_mut().zip(weights).for_each(|(o, w)| *o += share * w);
        match self {
            Self::Fixed(weights) => {
                add(weights);
                f64::INFINITY
            }
            Self::Latest(weights, per_s) => {
                let written = (t * per_s) as usize;
                for (ago, w) in weights.iter().enumerate() {
                    out[(written + n - 1 - ago % n) % n] += share * w;
                }
                ((written + 1) as f64 / per_s).max(t + STEP)
            }
            Self::Spots(spots) => spots.paint(t, share, out),
            Self::Scan(pass_s) => {
                // What is passed until the next painting, at least a block.
                let per_s = n as f64 / pass_s;
                let (from, to) = ((t * per_s) as usize, ((t + STEP) * per_s) as usize);
                let blocks = (to - from).clamp(1, n);
                (from..from + blocks).for_each(|b| out[b % n] += share / blocks as f64);
                t + STEP
            }
            Self::Phases(phases) => {
                let all: f64 = phases.iter().map(|p| p.0).sum();
                let (mut begin, mut left) = (t - t % all, t % all);
                for (seconds, pattern) in phases {
                    if left < *seconds {
                        // Each time from its own beginning, so that it is the same each time.
                        return pattern.paint(left, share, out).min(*seconds) + begin;
                    }
                    begin += seconds;
                    left -= seconds;
                }
                t + STEP
            }
            Self::Parts(parts, each) => {
                let i = ((t / each) as usize).min(parts.len().saturating_sub(1));
                parts.get(i).into_iter().for_each(|p| add(p));
                if i + 1 < parts.len() { (i + 1) as f64 * each } else { f64::INFINITY }
            }
        }
    }

    /// Which of `n` blocks were written after `from` and until `to`, each at most once.
    pub(super) fn written(&self, from: f64, to: f64, n: usize) -> impl Iterator<Item = usize> + use<> {
        let (first, last) = match self {
            Self::Latest(_, per_s) => ((from * per_s) as usize, (to * per_s) as usize),
            _ => (0, 0),
        };
        (first.max(last.saturating_sub(n))..last).map(move |i| i % n)
    }
}

/// The sum of r^-theta for the ranks from `from` to before `to`, counted from 1: its integral but for the first.
fn mass(theta: f64, from: f64, to: f64) -> f64 {
    let first = if from < 1.0 && to >= 1.0 { 1.0 } else { 0.0 };
    let integral =
        |x: f64| if (theta - 1.0).abs() < 1e-9 { libm::log(x) } else { libm::pow(x, 1.0 - theta) / (1.0 - theta) };
    let (from, to) = (from.max(1.0) + 0.5, to.max(1.0) + 0.5);
    first + integral(to) - integral(from)
}

/// Blocks of items in order of rank.
fn zipf(about: &About, theta: f64, item: u64) -> Vec<f64> {
    let items = (about.block / item.min(about.block)) as f64;
    let all = mass(theta, 0.0, about.blocks as f64 * items);
    (0..about.blocks).map(|b| mass(theta, b as f64 * items, (b + 1) as f64 * items) / all).collect()
}

fn scrambled(about: &About, theta: f64, item: u64) -> Vec<f64> {
    let items = about.blocks as u64 * (about.block / item.min(about.block));
    let placed = items.min(PLACED);
    let all = mass(theta, 0.0, items as f64);
    let rest = mass(theta, placed as f64, items as f64) / all;
    let mut weights = vec![rest / about.blocks as f64; about.blocks];
    for rank in 0..placed {
        let block = draw(about.seed, rank) % about.blocks as u64;
        weights[block as usize] += mass(theta, rank as f64, (rank + 1) as f64) / all;
    }
    weights
}

impl Spots {
    fn new(about: &About, bytes: u64, memory: f64, accesses: f64, life_s: Option<f64>) -> Self {
        let size = ((bytes / about.block) as usize).clamp(1, about.blocks);
        let spots = about.blocks / size;
        let hot = ((spots as f64 * memory) as usize).clamp(1, spots);
        let mut rng = Rng::new(about.seed);
        let mut order: Vec<usize> = (0..spots).collect();
        for i in (1..spots).rev() {
            order.swap(i, rng.below(i as u64 + 1) as usize);
        }
        let mut changes = Vec::new();
        if let Some(life) = life_s.filter(|_| hot < spots) {
            let every = life / hot as f64;
            let mut t = 0.0;
            loop {
                t += exponential(&mut rng) * every;
                if t >= about.seconds {
                    break;
                }
                changes.push((t, rng.below(hot as u64) as usize, hot + rng.below((spots - hot) as u64) as usize));
            }
        }
        Self { size, order, hot, accesses, changes }
    }

    fn paint(&self, t: f64, share: f64, out: &mut [f64]) -> f64 {
        let mut order = self.order.clone();
        let passed = self.changes.partition_point(|c| c.0 <= t);
        for &(_, a, b) in &self.changes[..passed] {
            order.swap(a, b);
        }
        let (hot, cold) = order.split_at(self.hot);
        let hot_blocks = hot.len() * self.size;
        let cold_blocks = out.len() - hot_blocks;
        // Without cold memory all accesses are to hot memory.
        let to_cold = if cold_blocks == 0 { 0.0 } else { 1.0 - self.accesses };
        let each_cold = to_cold / cold_blocks.max(1) as f64;
        let each_hot = (1.0 - to_cold) / hot_blocks as f64;
        let spotted = (hot.len() + cold.len()) * self.size;
        for spot in cold {
            out[spot * self.size..(spot + 1) * self.size].iter_mut().for_each(|o| *o += share * each_cold);
        }
        out[spotted..].iter_mut().for_each(|o| *o += share * each_cold);
        for spot in hot {
            out[spot * self.size..(spot + 1) * self.size].iter_mut().for_each(|o| *o += share * each_hot);
        }
        // Changes within a step are painted together.
        self.changes.get(passed).map_or(f64::INFINITY, |c| c.0.max(t + STEP))
    }
}

/// Time until an event that comes once in the mean.
pub(super) fn exponential(rng: &mut Rng) -> f64 {
    -libm::log((rng.below(1 << 52) + 1) as f64 / (1u64 << 52) as f64)
}

/// The pages of a trace spread over blocks: the weight of each in each part of it.
fn traced(file: &std::path::Path, parts: usize, blocks: usize) -> Result<Vec<Vec<f64>>, SpecError> {
    let failed = |source| SpecError::Trace { path: file.into(), source };
    let opened = File::open(file).map_err(|e| failed(e.into()))?;
    let events = trace::read(BufReader::new(opened)).map_err(failed)?;
    let events = events.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut pages: BTreeMap<u64, usize> = events.iter().map(|e| (e.addr / PAGE, 0)).collect();
    pages.values_mut().enumerate().for_each(|(i, rank)| *rank = i);
    let last = events.last().map_or(0, |e| e.at) + 1;
    let mut out = vec![vec![0.0; blocks]; parts];
    for event in &events {
        let part = (u128::from(event.at) * parts as u128 / u128::from(last)) as usize;
        let rank = pages.get(&(event.addr / PAGE)).copied().unwrap_or_default();
        // Each page has as many blocks as any other.
        let (from, to) =
            (rank * blocks / pages.len(), ((rank + 1) * blocks / pages.len()).max(rank * blocks / pages.len() + 1));
        let each = 1.0 / (to - from) as f64;
        out[part][from..to].iter_mut().for_each(|w| *w += each);
    }
    for part in &mut out {
        let all: f64 = part.iter().sum();
        if all > 0.0 {
            part.iter_mut().for_each(|w| *w /= all);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: About = About { block: 1 << 22, blocks: 250, seconds: 300.0, seed: 5 };

    fn painted(spec: &PatternSpec, t: f64) -> (Vec<f64>, f64) {
        let mut out = vec![0.0; ABOUT.blocks];
        let until = Pattern::new(spec, &ABOUT).unwrap().paint(t, 1.0, &mut out);
        (out, until)
    }

    fn spots(life_s: Option<f64>) -> PatternSpec {
        PatternSpec::Spots { spot_mib: 16, memory: 0.2, accesses: 0.9, life_s }
    }

    #[test]
    fn the_weights_of_every_pattern_add_up_to_one_at_any_time() {
        let zipf = |scrambled| PatternSpec::Zipf { theta: 0.99, item_bytes: 1_000, scrambled };
        let phases = [spots(None), PatternSpec::Uniform {}]
            .map(|pattern| super::super::spec::PhaseSpec { seconds: 20.0, pattern });
        for spec in [
            PatternSpec::Uniform {},
            zipf(true),
            zipf(false),
            PatternSpec::Latest { theta: 0.99, item_bytes: 1_000, mib_per_s: 10.0 },
            spots(None),
            spots(Some(30.0)),
            PatternSpec::Scan { pass_s: 33.0 },
            PatternSpec::Phases { phases: phases.to_vec() },
            PatternSpec::Trace { file: concat!(env!("CARGO_MANIFEST_DIR"), "/traces/true.lackey").into(), parts: 7 },
        ] {
            for t in [0.0, 7.3, 25.0, 299.0] {
                let (weights, until) = painted(&spec, t);
                let sum: f64 = weights.iter().sum();
                assert!((sum - 1.0).abs() < 1e-9 && weights.iter().all(|&w| w >= 0.0), "{spec:?} at {t}: {sum}");
                assert!(until > t, "{spec:?} at {t} until {until}");
            }
        }
    }

    #[test]
    fn the_first_of_zipf_is_that_much_more_popular() {
        let about = About { block: 1_000, blocks: 1_000, ..ABOUT };
        let weights = zipf(&about, 0.99, 1_000);
        assert!((weights[0] / weights[99] / libm::pow(100.0, 0.99) - 1.0).abs() < 0.05, "{}", weights[0] / weights[99]);
    }

    #[test]
    fn spots_live_as_long_as_they_should() {
        let Pattern::Spots(s) = Pattern::new(&spots(Some(30.0)), &About { seconds: 30_000.0, ..ABOUT }).unwrap() else {
            panic!("no spots");
        };
        let expected = s.hot as f64 * 1_000.0;
        assert!((s.changes.len() as f64 / expected - 1.0).abs() < 0.05, "{} of {expected}", s.changes.len());
        let hot = |t| painted(&spots(Some(30.0)), t).0.iter().filter(|&&w| w > 1e-2).count();
        assert_eq!((hot(0.0), hot(200.0)), (48, 48));
        assert_eq!(painted(&spots(None), 0.0).0, painted(&spots(None), 1e3).0);
    }

    #[test]
    fn the_latest_written_is_the_most_popular() {
        let latest = PatternSpec::Latest { theta: 0.99, item_bytes: 1_000, mib_per_s: 4.0 };
        for (t, newest) in [(0.0, 249), (1.0, 0), (3.5, 2)] {
            let weights = painted(&latest, t).0;
            assert!(weights.iter().all(|&w| w <= weights[newest]), "{t}");
        }
    }

    #[test]
    fn every_block_is_written_as_often_as_writing_goes_around() {
        let latest = PatternSpec::Latest { theta: 0.99, item_bytes: 1_000, mib_per_s: 10.0 };
        let pattern = Pattern::new(&latest, &ABOUT).unwrap();
        // 250 blocks of 4 MiB: once around in 100 s.
        let mut times = vec![0; ABOUT.blocks];
        for t in 0..2_000 {
            let at = |t| f64::from(t) / 10.0;
            pattern.written(at(t), at(t + 1), ABOUT.blocks).for_each(|b| times[b] += 1);
        }
        assert!(times.iter().all(|&n| n == 2), "{times:?}");
        assert_eq!(pattern.written(10.0, 10.9, ABOUT.blocks).collect::<Vec<_>>(), [25, 26]);
        assert_eq!(Pattern::Scan(1.0).written(0.0, 100.0, 5).count(), 0);
    }

    #[test]
    fn a_scan_passes_every_block_once_in_a_pass() {
        let scan = PatternSpec::Scan { pass_s: 50.0 };
        let mut passed = vec![0; ABOUT.blocks];
        for t in 0..50 {
            painted(&scan, f64::from(t)).0.iter().zip(&mut passed).for_each(|(&w, n)| *n += usize::from(w > 0.0));
        }
        assert!(passed.iter().all(|&n| n == 1), "{passed:?}");
    }
}
