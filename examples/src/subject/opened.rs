//! What is known of a subject beside its backend: what is mapped, who acts on it, whether it has ended.

use std::error::Error;

use damon_core::{DynOps, TargetId, TargetSpec};
use damon_ops_paddr::{ActorOptions, PaddrActor};
use damon_ops_vaddr::linux::Process;
use damon_ops_vaddr::linux::act::{Guardrails, LeftAlone, Tally};
use damon_ops_vaddr::remote::Roster;
use damon_ops_vaddr::{OwnActor, RemoteActor};
use damos::Context;
use damos::record::Mapping;

use super::{Command, Demo};

/// What is watched, beside the backend itself.
#[derive(Debug)]
pub struct Opened {
    /// Targets that the backend does not announce itself.
    pub targets: Vec<TargetSpec>,
    /// The command that was started.
    pub command: Option<Command>,
    /// What works, who is watched, what is missed.
    pub capabilities: String,
    pub(super) whose: Whose,
    pub(super) acting: Acting,
    /// What who acts leaves alone.
    pub(super) left: Option<Tally>,
}

/// Whose memory it is.
#[derive(Debug)]
pub(super) enum Whose {
    /// Processes, as they come and go; the one that was named, if one was.
    Processes(Roster, Option<Process>),
    One(Process),
    Demo(Demo),
    Machine,
}

/// Who acts on it, once somebody asks.
#[derive(Debug)]
pub(super) enum Acting {
    Processes(Box<RemoteActor>),
    Own(Box<OwnActor>),
    Physical(Guardrails),
    Nobody,
    Taken,
}

impl Opened {
    /// Has the context's schemes carried out on what was opened.
    ///
    /// # Errors
    /// When that may not be done here.
    pub fn act(&mut self, context: &mut Context<Box<DynOps>>) -> Result<(), Box<dyn Error>> {
        match std::mem::replace(&mut self.acting, Acting::Taken) {
            Acting::Processes(actor) => {
                self.left = Some(actor.tally());
                context.set_actor(*actor);
            }
            Acting::Own(actor) => {
                self.left = Some(actor.tally());
                context.set_actor(*actor);
            }
            Acting::Physical(rails) => {
                let actor = PaddrActor::new(ActorOptions { rails, ..ActorOptions::default() })?;
                self.left = Some(actor.tally());
                context.set_actor(actor);
            }
            Acting::Nobody => {}
            Acting::Taken => return Err("somebody acts already".into()),
        }
        Ok(())
    }

    /// What who acts has left alone until now.
    pub fn left_alone(&self) -> LeftAlone {
        self.left.as_ref().map(Tally::now).unwrap_or_default()
    }

    /// What is mapped in a target's addresses now; nothing where that has no meaning, or the process is gone.
    pub fn mappings(&self, target: TargetId) -> Vec<Mapping> {
        let maps = match &self.whose {
            Whose::Processes(roster, _) => roster.process(target).and_then(|process| process.maps().ok()),
            Whose::One(process) => process.maps().ok(),
            Whose::Demo(demo) => return demo.mappings(),
            Whose::Machine => None,
        };
        let maps = maps.unwrap_or_default().into_iter();
        maps.map(|m| Mapping { start: m.range.start(), end: m.range.end(), name: m.name }).collect()
    }

    /// The process that a target is, where it is one.
    pub fn pid(&self, target: TargetId) -> Option<u32> {
        match &self.whose {
            Whose::Processes(roster, _) => roster.process(target).map(|process| process.pid()),
            Whose::One(process) => Some(process.pid()),
            Whose::Demo(_) => Some(std::process::id()),
            Whose::Machine => None,
        }
    }

    /// What has ended, if nothing comes any more. A cgroup never ends: new processes may join it.
    pub fn ended(&mut self) -> Option<String> {
        if let Some(command) = &mut self.command {
            return command.ended().map(|status| format!("{} has ended: {status}", command.name()));
        }
        let gone = |process: &Process| (!process.is_alive()).then(|| format!("process {} has ended", process.pid()));
        match &self.whose {
            Whose::Processes(roster, Some(first)) if roster.all().is_empty() => gone(first),
            Whose::One(process) => gone(process),
            _ => None,
        }
    }
}
