//! What of a document this library can do, and what to write of what it does. What cannot be is a [`Refusal`].

mod context;
mod filter;
mod pattern;
mod probe;
mod quota;
mod refusal;
mod scheme;

use std::collections::BTreeMap;

use damon_core::{AttrsSpec, TargetSpec};

use super::document::{Context, Document, Kdamond, OpsKind};
use crate::scheme::Scheme;
use refusal::{At, Judge};

pub use refusal::{Refusal, Refusals, Why};

/// A document's context in this library's words: what to make a monitor and its schemes of.
///
/// Which backend watches is the caller's to choose: the document says only [`ops`](Self::ops) and the pids.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// In which kind of address space.
    pub ops: OpsKind,
    /// How it is monitored. Checked: [`Attrs::try_from`](damon_core::Attrs) takes it.
    pub attrs: AttrsSpec,
    /// Whose memory.
    pub targets: Vec<Watched>,
    /// What is done about it.
    pub schemes: Vec<Scheme>,
    /// Start paused.
    pub paused: bool,
}

/// Whose memory is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The process; `None` for physical memory.
    pub pid: Option<i64>,
    /// The target. It is called by its place in the list, from 0 on, for that is how documents name targets.
    pub spec: TargetSpec,
}

/// Who knows memory cgroups: documents name them by path, this library by id.
///
/// `()` knows none, a map of ids by path those in it.
pub trait Cgroups {
    /// The id of the cgroup at `path` from the mount point on: the inode of its directory. `None` if there is none.
    fn id(&self, path: &str) -> Option<u64>;

    /// The path of the cgroup with this id. `None` if it is not known.
    fn path(&self, id: u64) -> Option<String>;
}

impl Cgroups for () {
    fn id(&self, _: &str) -> Option<u64> {
        None
    }

    fn path(&self, _: u64) -> Option<String> {
        None
    }
}

impl Cgroups for BTreeMap<String, u64> {
    fn id(&self, path: &str) -> Option<u64> {
        self.get(path).copied()
    }

    fn path(&self, id: u64) -> Option<String> {
        self.iter().find(|(_, i)| **i == id).map(|(path, _)| path.clone())
    }
}

impl Document {
    /// What each context of the document asks for, in order, the kdamonds one after the other. Figures (`state`, `pid`,
    /// `effective_sz_bytes`, `stats` but for `max_nr_snapshots`) and `refresh_ms`, which is about the kernel's files, are
    /// left aside.
    ///
    /// # Errors
    /// All that this library cannot do, each with its place in the document.
    pub fn configs(&self, cgroups: &dyn Cgroups) -> Result<Vec<Config>, Refusals> {
        let mut judge = Judge::new(cgroups);
        let mut configs = Vec::new();
        for (k, kdamond) in self.kdamonds.iter().enumerate() {
            let at = At::default().item("kdamonds", k);
            for (c, context) in kdamond.contexts.iter().enumerate() {
                configs.push(context::read(context, &at.item("contexts", c), &mut judge));
            }
        }
        judge.done(configs)
    }
}

impl Context {
    /// What the context asks for.
    ///
    /// # Errors
    /// As [`Document::configs`], the places within the context.
    pub fn to_config(&self, cgroups: &dyn Cgroups) -> Result<Config, Refusals> {
        let mut judge = Judge::new(cgroups);
        let config = context::read(self, &At::default(), &mut judge);
        judge.done(config)
    }
}

impl Config {
    /// The context of a document that asks for just this.
    ///
    /// # Errors
    /// All that documents have no words for, each with the place in the context where it would stand.
    pub fn to_context(&self, cgroups: &dyn Cgroups) -> Result<Context, Refusals> {
        let mut judge = Judge::new(cgroups);
        let context = context::write(self, &At::default(), &mut judge);
        let context = judge.done(context)?;
        // The proof that nothing is missing: it is read as what was written.
        let read = context.to_config(cgroups)?;
        let mut judge = Judge::new(cgroups);
        if read.attrs != self.attrs {
            judge.refuse(&At::default().key("intervals"), BEYOND);
        }
        let mut same = |name, i, equal: bool| {
            if !equal {
                judge.refuse(&At::default().item(name, i), BEYOND);
            }
        };
        self.targets.iter().zip(&read.targets).enumerate().for_each(|(i, (t, r))| same("targets", i, t == r));
        self.schemes.iter().zip(&read.schemes).enumerate().for_each(|(i, (s, r))| same("schemes", i, s == r));
        judge.done(context)
    }
}

const BEYOND: Why = Why::NotSupported("has settings that documents have no words for: leave them at their defaults");

/// A document of one kdamond with this one context.
impl From<Context> for Document {
    fn from(context: Context) -> Self {
        Self { kdamonds: vec![Kdamond { contexts: vec![context], ..Kdamond::default() }] }
    }
}
