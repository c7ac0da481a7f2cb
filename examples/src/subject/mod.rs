//! What a person points at: a process, a cgroup, a command to run, physical memory. The same words in every program.

mod command;
mod monitoring;
mod stop;

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::Args;
use damon_core::{DynOps, Erased, NodeId, TargetId, TargetSpec};
use damon_ops_paddr::{ActorOptions, Area, Paddr, PaddrActor};
use damon_ops_vaddr::linux::act::Guardrails;
use damon_ops_vaddr::remote::{Roster, Watch};
use damon_ops_vaddr::{Remote, RemoteActor};
use damos::Context;
use damos::record::Mapping;

pub use command::Command;
pub use monitoring::Monitoring;
pub use stop::Stop;

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
    /// A command to run, and its descendants; when it ends, so does this.
    #[arg(last = true)]
    command: Vec<String>,
}

/// What is watched, beside the backend itself.
#[derive(Debug)]
pub struct Opened {
    /// Targets that the backend does not announce itself.
    pub targets: Vec<TargetSpec>,
    /// Which processes there are, where they are processes.
    pub roster: Option<Roster>,
    /// The command that was started.
    pub command: Option<Command>,
    /// What works, who is watched, what is missed.
    pub capabilities: String,
    acting: Acting,
}

/// Who acts on it, once somebody asks.
#[derive(Debug)]
enum Acting {
    Processes(Box<RemoteActor>),
    Physical(Guardrails),
    Taken,
}

impl Subject {
    /// Starts the command if it is one, and opens the backend: it, and what is known beside it. Whoever acts on it later leaves
    /// alone what `rails` say.
    ///
    /// # Errors
    /// When it may not be watched here, with what is missing and the way out; a command is not left running.
    pub fn open(&self, rails: Guardrails) -> Result<(Box<DynOps>, Opened), Box<dyn Error>> {
        if self.paddr || self.node.is_some() {
            return self.physical(rails);
        }
        let mut remote = Remote::new()?;
        let command = if self.command.is_empty() { None } else { Some(Command::start(&self.command)?) };
        remote.watch(match (&self.pid, &self.cgroup, &command) {
            (Some(pid), ..) => Watch::tree(*pid),
            (_, Some(cgroup), _) => Watch::cgroup(directory(cgroup)),
            (.., Some(command)) => Watch::tree(command.pid()),
            _ => return Err("nothing to watch: give --pid, --cgroup, --paddr, --node or a command".into()),
        })?;
        let (roster, capabilities) = (Some(remote.roster()), remote.capabilities().to_string());
        let acting = Acting::Processes(Box::new(remote.actor(rails)));
        Ok((Box::new(Erased(remote)), Opened { targets: Vec::new(), roster, command, capabilities, acting }))
    }

    fn physical(&self, rails: Guardrails) -> Result<(Box<DynOps>, Opened), Box<dyn Error>> {
        let mut paddr = Paddr::new()?;
        let target = TargetId::new(0);
        paddr.watch(target, self.node.map_or(Area::SystemRam, |n| Area::Node(NodeId(n))))?;
        let (targets, capabilities) = (vec![TargetSpec::new(target)], paddr.capabilities().to_string());
        let acting = Acting::Physical(rails);
        Ok((Box::new(Erased(paddr)), Opened { targets, roster: None, command: None, capabilities, acting }))
    }
}

impl Opened {
    /// Has the context's schemes carried out on what was opened.
    ///
    /// # Errors
    /// When that may not be done here.
    pub fn act(&mut self, context: &mut Context<Box<DynOps>>) -> Result<(), Box<dyn Error>> {
        match std::mem::replace(&mut self.acting, Acting::Taken) {
            Acting::Processes(actor) => context.set_actor(*actor),
            Acting::Physical(rails) => {
                let actor = PaddrActor::new(ActorOptions { rails, ..ActorOptions::default() })?;
                context.set_actor(actor);
            }
            Acting::Taken => return Err("somebody acts already".into()),
        }
        Ok(())
    }

    /// What is mapped in a target's addresses now; nothing where that has no meaning, or the process is gone.
    pub fn mappings(&self, target: TargetId) -> Vec<Mapping> {
        let process = self.roster.as_ref().and_then(|roster| roster.process(target));
        let maps = process.and_then(|process| process.maps().ok()).unwrap_or_default();
        maps.into_iter().map(|m| Mapping { start: m.range.start(), end: m.range.end(), name: m.name }).collect()
    }
}

/// `/sys/fs/cgroup` may be left out.
fn directory(cgroup: &Path) -> PathBuf {
    if cgroup.is_absolute() && cgroup.is_dir() {
        return cgroup.into();
    }
    Path::new("/sys/fs/cgroup").join(cgroup.strip_prefix("/").unwrap_or(cgroup))
}
