//! What a person points at: a process, a cgroup, a command to run, physical memory. The same words in every program.

mod command;
mod demo;
mod monitoring;
mod opened;
mod stop;

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use damon_core::{DynOps, Erased, NodeId, TargetId, TargetSpec};
use damon_ops_paddr::{Area, Paddr};
use damon_ops_vaddr::linux::Process;
use damon_ops_vaddr::linux::act::Guardrails;
use damon_ops_vaddr::remote::{Coarse, Watch};
use damon_ops_vaddr::{Own, Remote};

pub use command::{Command, Output};
pub use demo::Demo;
pub use monitoring::Monitoring;
pub use opened::Opened;
pub use stop::Stop;

use crate::workload::Memory;
use opened::{Acting, Whose};

/// Whose memory: one of these.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub struct Subject {
    /// A process and its descendants.
    #[arg(long)]
    pid: Option<u32>,
    /// The processes of a cgroup: its directory, or its path under /sys/fs/cgroup.
    #[arg(long)]
    cgroup: Option<PathBuf>,
    /// All physical memory.
    #[arg(long)]
    paddr: bool,
    /// The physical memory of a NUMA node.
    #[arg(long)]
    node: Option<u16>,
    /// A small program that is built in, to try things out: needs no privileges.
    #[arg(long)]
    demo: bool,
    /// A command to run, and its descendants; when it ends, so does this.
    #[arg(last = true)]
    command: Vec<String>,
}

/// How it is opened.
#[derive(Debug, Default)]
pub struct How {
    /// What whoever acts on it leaves alone.
    pub rails: Guardrails,
    /// By what of each mapping was referenced, as [`Coarse`] does it, once in this time; by the idle flags of pages if none is given.
    pub coarse: Option<Duration>,
    /// Where a command's output goes.
    pub output: Output,
}

type Backend = (Box<DynOps>, Opened);

impl Subject {
    /// All physical memory.
    pub const fn machine() -> Self {
        Self { pid: None, cgroup: None, paddr: true, node: None, demo: false, command: Vec::new() }
    }

    /// Is it memory by its physical addresses?
    pub const fn is_physical(&self) -> bool {
        self.paddr || self.node.is_some()
    }

    /// Is it one process, or a command?
    pub fn is_one_process(&self) -> bool {
        self.pid.is_some() || !self.command.is_empty()
    }

    /// Starts the command if it is one, and opens the backend: it, and what is known beside it. Whoever acts on it later leaves
    /// alone what `rails` say.
    ///
    /// # Errors
    /// When it may not be watched here, with what is missing and the way out; a command is not left running.
    pub fn open(&self, rails: Guardrails) -> Result<Backend, Box<dyn Error>> {
        self.open_as(How { rails, ..How::default() })
    }

    /// The same, as `how` says.
    ///
    /// # Errors
    /// As [`open`](Self::open); when it cannot be watched in that way.
    pub fn open_as(&self, how: How) -> Result<Backend, Box<dyn Error>> {
        match how.coarse {
            Some(every) => self.coarse(every, how.output),
            None if self.is_physical() => self.physical(how.rails),
            None if self.demo => demo(),
            None => self.processes(how),
        }
    }

    fn start(&self, output: Output) -> Result<Option<Command>, Box<dyn Error>> {
        Ok(if self.command.is_empty() { None } else { Some(Command::start(&self.command, output)?) })
    }

    fn processes(&self, how: How) -> Result<Backend, Box<dyn Error>> {
        let mut remote = Remote::new()?;
        let command = self.start(how.output)?;
        remote.watch(match (&self.pid, &self.cgroup, &command) {
            (Some(pid), ..) => Watch::tree(*pid),
            (_, Some(cgroup), _) => Watch::cgroup(directory(cgroup)),
            (.., Some(command)) => Watch::tree(command.pid()),
            _ => return Err("nothing to watch: give --pid, --cgroup, --paddr, --node, --demo or a command".into()),
        })?;
        let first = self.pid.and_then(|pid| Process::open(Path::new("/"), pid).ok());
        let (whose, capabilities) = (Whose::Processes(remote.roster(), first), remote.capabilities().to_string());
        let acting = Acting::Processes(Box::new(remote.actor(how.rails)));
        Ok((Box::new(Erased(remote)), Opened { targets: Vec::new(), command, capabilities, whose, acting, left: None }))
    }

    fn physical(&self, rails: Guardrails) -> Result<Backend, Box<dyn Error>> {
        let mut paddr = Paddr::new()?;
        let target = TargetId::new(0);
        paddr.watch(target, self.node.map_or(Area::SystemRam, |n| Area::Node(NodeId(n))))?;
        let (targets, capabilities) = (vec![TargetSpec::new(target)], paddr.capabilities().to_string());
        let (whose, acting) = (Whose::Machine, Acting::Physical(rails));
        Ok((Box::new(Erased(paddr)), Opened { targets, command: None, capabilities, whose, acting, left: None }))
    }

    fn coarse(&self, every: Duration, output: Output) -> Result<Backend, Box<dyn Error>> {
        let command = self.start(output)?;
        let Some(pid) = self.pid.or(command.as_ref().map(Command::pid)) else {
            return Err("the coarse method is for one process: give --pid or a command".into());
        };
        let target = TargetId::new(0);
        let coarse = Coarse::new(target, pid, every)?;
        let process = Process::open(Path::new("/"), pid)?;
        let capabilities = format!(
            "process {pid} by clear_refs and smaps, once in {every:?}: how much of each mapping was accessed, not where in it; \
             not its descendants. This slows it down.\nnever seen: devices (DMA); accesses by a CPU that still has a page's translation"
        );
        let (targets, whose) = (vec![TargetSpec::new(target)], Whose::One(process));
        Ok((
            Box::new(Erased(coarse)),
            Opened { targets, command, capabilities, whose, acting: Acting::Nobody, left: None },
        ))
    }
}

fn demo() -> Result<Backend, Box<dyn Error>> {
    let demo = Demo::start()?;
    let target = TargetId::new(0);
    let mut own = Own::new(target)?;
    for memory in demo.memories() {
        match memory {
            Memory::Shared(_, map) => own.watch_shared(map)?,
            Memory::Private(_, map) => own.watch_private(map.range())?,
        }
    }
    let (targets, capabilities) = (vec![TargetSpec::new(target)], own.capabilities().to_string());
    let (acting, whose) = (Acting::Own(Box::new(own.actor()?)), Whose::Demo(demo));
    Ok((Box::new(Erased(own)), Opened { targets, command: None, capabilities, whose, acting, left: None }))
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { pid: Some(pid), .. } => write!(f, "process {pid}"),
            Self { cgroup: Some(cgroup), .. } => write!(f, "cgroup {}", cgroup.display()),
            Self { node: Some(node), .. } => write!(f, "memory of node {node}"),
            Self { paddr: true, .. } => f.write_str("physical memory"),
            Self { demo: true, .. } => f.write_str("built-in program"),
            Self { command, .. } => f.write_str(&command.join(" ")),
        }
    }
}

/// `/sys/fs/cgroup` may be left out.
fn directory(cgroup: &Path) -> PathBuf {
    if cgroup.is_absolute() && cgroup.is_dir() {
        return cgroup.into();
    }
    Path::new("/sys/fs/cgroup").join(cgroup.strip_prefix("/").unwrap_or(cgroup))
}
