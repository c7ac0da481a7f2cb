//! A program: its memory, what it accesses now, and how far it has come.

use super::pattern::{About, Pattern};
use super::spec::{ProcessSpec, Spec, SpecError};
use crate::chance::draw;

#[derive(Debug)]
pub(super) struct Process {
    pub(super) spec: ProcessSpec,
    /// Its blocks are these, consecutive.
    pub(super) first: u32,
    pub(super) blocks: usize,
    /// Blocks that were touched so far.
    pub(super) present: usize,
    areas: Vec<(usize, f64, Pattern)>,
    /// When its accesses change.
    pub(super) repaint_at: f64,
    /// What it had written by then is renewed.
    pub(super) renewed_at: f64,
    /// Operations until the last step, and in a second since then.
    pub(super) ops: f64,
    pub(super) rate: f64,
    /// The rate of the step before.
    pub(super) was: f64,
    /// Seconds of its threads that it owes.
    pub(super) debt: f64,
    /// Accesses of an operation, by node.
    pub(super) by_node: Vec<f64>,
}

impl Process {
    /// The program in `place`, whose blocks begin with `first`.
    pub(super) fn new(spec: &Spec, place: usize, first: u32, seed: u64) -> Result<Self, SpecError> {
        let own = &spec.processes[place];
        let shares: f64 = own.memory.iter().map(|a| a.share).sum();
        let areas = own.memory.iter().enumerate().map(|(i, area)| {
            let blocks = spec.blocks(area.gib);
            let seconds = spec.seconds - own.start_s;
            let about = About { block: spec.block(), blocks, seconds, seed: draw(draw(seed, place as u64), i as u64) };
            Ok((blocks, area.share / shares.max(f64::MIN_POSITIVE), Pattern::new(&area.pattern, &about)?))
        });
        let areas = areas.collect::<Result<Vec<_>, SpecError>>()?;
        Ok(Self {
            spec: own.clone(),
            first,
            blocks: areas.iter().map(|a| a.0).sum(),
            present: 0,
            areas,
            repaint_at: 0.0,
            renewed_at: 0.0,
            ops: 0.0,
            rate: 0.0,
            was: 0.0,
            debt: 0.0,
            by_node: vec![0.0; spec.nodes.len()],
        })
    }

    /// The weights of its blocks at `now`, and when they change.
    pub(super) fn paint(&self, now: f64, out: &mut Vec<f64>) -> f64 {
        out.clear();
        out.resize(self.blocks, 0.0);
        let (mut at, mut until) = (0, f64::INFINITY);
        let t = (now - self.runs_from()).max(0.0);
        for (blocks, share, pattern) in &self.areas {
            until = until.min(pattern.paint(t, *share, &mut out[at..at + blocks]));
            at += blocks;
        }
        until + self.runs_from()
    }

    /// Which of its blocks it has written after `from` and until `to`, in that order.
    pub(super) fn written(&self, from: f64, to: f64) -> Vec<usize> {
        let since = |t: f64| (t - self.runs_from()).max(0.0);
        let mut at = 0;
        let mut all = Vec::new();
        for (blocks, _, pattern) in &self.areas {
            all.extend(pattern.written(since(from), since(to), *blocks).map(|i| at + i));
            at += blocks;
        }
        all
    }

    pub(super) fn runs_from(&self) -> f64 {
        self.spec.start_s + self.spec.load_s
    }

    /// From the first touch on: while it loads it works with what it has.
    pub(super) fn runs(&self) -> bool {
        self.present > 0 && self.spec.threads > 0.0
    }

    /// Blocks that should have been touched by `now`.
    pub(super) fn should_be_present(&self, now: f64) -> usize {
        if now < self.spec.start_s {
            0
        } else if now >= self.runs_from() {
            self.blocks
        } else {
            (self.blocks as f64 * (now - self.spec.start_s) / self.spec.load_s) as usize
        }
    }
}
