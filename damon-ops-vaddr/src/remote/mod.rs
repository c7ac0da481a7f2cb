//! The memory of other processes, watched as root by the idle flags of their pages.
//!
//! Counterpart: `mm/damon/vaddr.c`, Linux 7.3, which reads accessed bits itself.
//!
//! ```no_run
//! use damon_core::{Attrs, AttrsSpec, Monitor};
//! use damon_ops_vaddr::{Remote, remote::Watch};
//!
//! let mut remote = Remote::new()?;
//! remote.watch(Watch::tree(4711))?;
//! remote.watch(Watch::cgroup("/sys/fs/cgroup/system.slice"))?;
//! println!("{}", remote.capabilities());
//! // The processes become the monitor's targets by themselves, as they come and go.
//! let monitor = Monitor::new(Attrs::try_from(AttrsSpec::default())?, 1);
//! # let _ = monitor;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod act;
mod canary;
mod capabilities;
mod coarse;
mod error;
mod idle;
mod members;
mod roster;
mod target;
mod verify;

use std::collections::BTreeMap;
use std::path::PathBuf;

use damon_core::{AddrRange, Fault, Ops, Sample, Sees, Space, Span, TargetEvent, TargetId, Want};

pub use crate::group::Who;
pub use act::{RemoteActError, RemoteActor};
pub use capabilities::{Capabilities, Method, MethodReport, Refused, WatchedProcess};
pub use coarse::{Coarse, CoarseError};
pub use error::{OpenError, RemoteError, WatchError};
pub use members::Watch;
pub use roster::Roster;

use canary::Canary;
use idle::{Armed, IdlePages, Look, There};
use target::Target;

use crate::linux::act::Guardrails;
use crate::linux::{Disturbance, Disturbances, FileError, PageFilters, Whereabouts, page_size};
use crate::own::Outcome;

/// How a [`Remote`] is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where `/proc` and `/sys` are. Default: `/`.
    pub root: PathBuf,
    /// The number of the first target; the next have the next. Default 0. For who combines backends in a
    /// [`Router`](damon_core::Router).
    pub first_target: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { root: "/".into(), first_target: 0 }
    }
}

/// Processes that are watched together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(u32);

/// Watches the memory of other processes, each as a target of its own.
///
/// A sample is armed by marking its page idle, and checked by reading whether it still is. The answer is
///
/// | | when |
/// |---|---|
/// | accessed | the flag is gone, by an access of anybody who maps the page; or there is a page where none was |
/// | idle | the flag is there; or there is no page, as before |
/// | unknown | the page has no such flag (it is on no LRU list); another page is there than was armed, or none any more; the address is not mapped, or the process gone |
///
/// A folio of several pages (a transparent huge page) has one flag: the sample's extent says so.
#[derive(Debug)]
pub struct Remote {
    root: PathBuf,
    page: u64,
    methods: Vec<MethodReport>,
    idle: IdlePages,
    canary: Canary,
    disturbances: Disturbances,
    lossy: Vec<Disturbance>,
    filters: PageFilters,
    watches: BTreeMap<u32, Watch>,
    next_watch: u32,
    next_target: u32,
    targets: BTreeMap<TargetId, Target>,
    roster: Roster,
    refused: Vec<Refused>,
    events: Vec<TargetEvent>,
    spans: Vec<AddrRange>,
    /// The samples of the last `arm`, ascending, and what was armed for each.
    keys: Vec<(TargetId, u64)>,
    armed: Vec<Armed>,
    recalled: Vec<Armed>,
    there: Vec<There>,
    places: Vec<Whereabouts>,
    looks: Vec<Look>,
}

// It moves to the thread that monitors.
const _: () = {
    const fn moves<T: Send + Sync>() {}
    moves::<Remote>();
    moves::<Roster>();
};

impl Remote {
    /// A backend that watches nobody yet.
    ///
    /// # Errors
    /// When no method works; the error lists what was tried, why each failed, and what would make it work.
    pub fn new() -> Result<Self, OpenError> {
        Self::with_options(Options::default())
    }

    /// The same as `options` say.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_options(options: Options) -> Result<Self, OpenError> {
        let Options { root, first_target } = options;
        let report = |outcome| vec![MethodReport { method: Method::PageIdle, outcome }];
        let fails = |why: String| OpenError { tried: report(Outcome::Fails { why, way_out: String::new() }) };
        let mut idle = IdlePages::open(&root).map_err(|e| fails(e.to_string()))?;
        let mut canary = Canary::new(&root).map_err(|e| fails(e.to_string()))?;
        let methods = report(canary::self_test(&mut idle, &mut canary));
        if methods.iter().all(|m| m.outcome != Outcome::Works) {
            return Err(OpenError { tried: methods });
        }
        canary.arm(&mut idle).map_err(|e| fails(e.to_string()))?;
        let (disturbances, page) = (Disturbances::new(&root), page_size());
        Ok(Self {
            lossy: disturbances.find(idle.bitmap()),
            filters: PageFilters::new(&root, page),
            root,
            page,
            methods,
            idle,
            canary,
            disturbances,
            watches: BTreeMap::new(),
            next_watch: 0,
            next_target: first_target,
            targets: BTreeMap::new(),
            roster: Roster::default(),
            refused: Vec::new(),
            events: Vec::new(),
            spans: Vec::new(),
            keys: Vec::new(),
            armed: Vec::new(),
            recalled: Vec::new(),
            there: Vec::new(),
            places: Vec::new(),
            looks: Vec::new(),
        })
    }

    /// What works here, who is watched how, and what is missed.
    pub fn capabilities(&self) -> Capabilities {
        let watched = self.targets.values().map(|t| WatchedProcess {
            target: t.id,
            pid: t.process.pid(),
            method: Method::PageIdle,
        });
        Capabilities {
            methods: self.methods.clone(),
            watched: watched.collect(),
            refused: self.refused.clone(),
            lossy: self.lossy.clone(),
        }
    }

    /// What makes it miss accesses, as of the last look (once in an update interval); empty: nothing that is known.
    pub fn lossy(&self) -> &[Disturbance] {
        &self.lossy
    }

    /// Which process a target is, for who acts: it shows the same as this sees, from another thread too.
    pub fn roster(&self) -> Roster {
        self.roster.clone()
    }

    /// Who acts on the processes that this watches, as they come and go.
    pub fn actor(&self, guardrails: Guardrails) -> RemoteActor {
        RemoteActor::of(self.roster.clone(), guardrails)
    }

    /// The processes that are targets.
    pub(crate) fn processes(&self) -> impl Iterator<Item = (TargetId, &crate::linux::Process)> {
        self.targets.values().map(|t| (t.id, &*t.process))
    }

    /// Looks for what disturbs.
    fn watch_out(&mut self) -> Result<(), FileError> {
        let round = self.canary.check(&mut self.idle)?;
        self.lossy = self.disturbances.find(self.idle.bitmap());
        self.lossy.extend(round.disturbance());
        self.canary.arm(&mut self.idle)
    }

    /// What is at the addresses of `samples` now, in `self.there`.
    fn look(&mut self, samples: &[Sample]) -> Result<(), FileError> {
        self.there.clear();
        self.places.clear();
        for run in samples.chunk_by(|a, b| a.target == b.target) {
            let Some(first) = run.first() else { continue };
            match self.targets.get_mut(&first.target) {
                Some(target) => target.look(run, &mut self.there, &mut self.places)?,
                None => {
                    self.there.resize(self.there.len() + run.len(), There::Nowhere);
                    self.places.resize(self.there.len(), Whereabouts::Nowhere);
                }
            }
        }
        Ok(())
    }

    /// What was armed for `samples`, in `self.recalled`.
    fn recall(&mut self, samples: &[Sample]) {
        self.recalled.clear();
        let mut at = 0;
        for s in samples {
            let key = (s.target, s.addr);
            at += self.keys[at..].partition_point(|&k| k < key);
            let armed = if self.keys.get(at) == Some(&key) { self.armed.get(at) } else { None };
            self.recalled.push(armed.copied().unwrap_or(Armed::No));
        }
    }
}

impl Ops for Remote {
    type Error = RemoteError;

    fn targets(&mut self, events: &mut Vec<TargetEvent>) -> Result<(), RemoteError> {
        let result = self.refresh().and_then(|()| Ok(self.watch_out()?));
        events.append(&mut self.events);
        result
    }

    fn ranges(&mut self, target: TargetId, out: &mut Vec<Span>) -> Result<(), RemoteError> {
        let Some(target) = self.targets.get_mut(&target) else { return Ok(()) };
        target.ranges(&mut self.spans)?;
        out.extend(self.spans.iter().map(|&range| Span { range, sees: Sees::Accesses }));
        Ok(())
    }

    fn arm(&mut self, samples: &[Sample]) -> Result<(), RemoteError> {
        self.keys.clear();
        self.look(samples)?;
        self.idle.arm(&self.there, &mut self.armed)?;
        self.keys.extend(samples.iter().map(|s| (s.target, s.addr)));
        Ok(())
    }

    fn check(&mut self, samples: &mut [Sample], want: &Want<'_>) -> Result<(), RemoteError> {
        self.look(samples)?;
        if want.access {
            self.recall(samples);
            self.idle.check(&self.recalled, &self.there, &mut self.looks)?;
            for (sample, look) in samples.iter_mut().zip(&self.looks) {
                (sample.seen, sample.extent) = (look.seen, look.extent(self.page));
            }
        }
        if !want.probes.is_empty() {
            let mut attrs = Vec::with_capacity(samples.len());
            self.filters.attrs(&self.places, want.probes, &mut attrs)?;
            samples.iter_mut().zip(attrs).for_each(|(sample, attrs)| sample.attrs = attrs);
        }
        Ok(())
    }

    fn resolve(&mut self, space: Space, addr: u64) -> Option<(TargetId, u64)> {
        match space {
            Space::Process(pid) => self.roster.target(pid).map(|target| (target, addr)),
            Space::Target(target) => self.targets.contains_key(&target).then_some((target, addr)),
            _ => None,
        }
    }

    fn fault(&self, error: &RemoteError) -> Fault {
        if error.is_transient() { Fault::Transient } else { Fault::Fatal }
    }
}
