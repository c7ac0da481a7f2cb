//! Agents: programs that watch others' memory and act on it until they are asked to stop.
//!
//! They have the same life: a file says what to do, SIGHUP has it read again (all of it or nothing), SIGINT and SIGTERM end it with
//! nothing left behind, `--dry-run` does nothing but say what it would do, `--prometheus` shows what is seen and done.

pub mod config;
pub mod scrape;

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use damon_core::{Attrs, AttrsSpec, DynOps, Monitor, Next};
use damon_ops_paddr::HostMetrics;
use damon_ops_vaddr::linux::act::{Guardrails, LeftAlone};
use damos::clock::{Clock, thread_cpu_time};
use damos::context::Budget;
use damos::scheme::Scheme;
use damos::{Context, telemetry};
use signal_hook::consts::SIGHUP;

use crate::heatmap::bytes;
use crate::subject::{Opened, Stop, Subject};

/// Somebody looks so often at least.
const OFTEN: Duration = Duration::from_secs(1);

/// What all agents are told on the command line.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// What to do: a TOML file. Without one the defaults hold.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Only says what it would do.
    #[arg(long)]
    dry_run: bool,
    /// Serves its figures to Prometheus at this address, such as 127.0.0.1:9464.
    #[arg(long)]
    prometheus: Option<SocketAddr>,
    /// A cgroup to leave alone, and those below it, as /proc/PID/cgroup names it; may be given again.
    #[arg(long)]
    protect: Vec<PathBuf>,
    /// CPU time that it may take, in thousandths of a CPU; beyond that it looks less often.
    #[arg(long, default_value_t = 20)]
    cpu_permille: u32,
    #[arg(skip)]
    ignore_policies: bool,
}

impl Options {
    /// The same; whoever acts migrates whatever memory policies say, if `wanted`.
    #[must_use]
    pub fn ignoring_policies(mut self, wanted: bool) -> Self {
        self.ignore_policies = wanted;
        self
    }

    /// Shall it only say what it would do?
    pub const fn is_dry_run(&self) -> bool {
        self.dry_run
    }
}

/// What an agent does: how it watches, and its schemes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How it watches.
    pub attrs: AttrsSpec,
    /// What it does about it.
    pub schemes: Vec<Scheme>,
}

/// An agent: its name, and how it makes its plan of the text of its file.
#[derive(Clone, Copy, Debug)]
pub struct Agent<F> {
    /// What it is called.
    pub name: &'static str,
    /// Makes the plan.
    pub plan: F,
}

/// What an agent does besides: called after each step, once in a second at least.
pub type Besides<'a> = &'a mut dyn FnMut(&mut Context<Box<DynOps>>, &Opened) -> Result<(), Box<dyn Error>>;

impl<F: Fn(&str) -> Result<Plan, Box<dyn Error>>> Agent<F> {
    /// Runs on `subject`, and says what went wrong.
    pub fn main(&self, options: &Options, subject: &Subject) -> ExitCode {
        self.ended(self.run(options, subject, &mut |_, _| Ok(())))
    }

    /// Says what went wrong.
    pub fn ended(&self, result: Result<(), Box<dyn Error>>) -> ExitCode {
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                self.say(&e.to_string());
                ExitCode::FAILURE
            }
        }
    }

    /// Runs until it is asked to stop, or what it watches is gone.
    ///
    /// # Errors
    /// When it may not watch or act here, when its file is wrong at the start, or when watching fails for good.
    pub fn run(&self, options: &Options, subject: &Subject, besides: Besides<'_>) -> Result<(), Box<dyn Error>> {
        let stop = Stop::new(None)?;
        let reload = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGHUP, Arc::clone(&reload))?;
        let plan = self.read(options)?;
        let scraped = options.prometheus.map(scrape::serve).transpose()?;
        if let Some(address) = scraped.as_ref().and_then(scrape::Scraped::address) {
            self.say(&format!("figures are at http://{address}/metrics"));
        }
        telemetry::describe();

        let (protected_cgroups, ignore_policies) = (options.protect.clone(), options.ignore_policies);
        let rails = Guardrails { protected_cgroups, ignore_policies, ..Guardrails::default() };
        let (ops, mut opened) = subject.open(rails)?;
        self.say(&opened.capabilities);
        let mut monitor = Monitor::new(Attrs::try_from(plan.attrs)?, 1);
        opened.targets.drain(..).for_each(|target| monitor.add_target(target));
        let budget = Budget { cpu_permille: options.cpu_permille, ..Budget::default() };
        let mut context = Context::new(monitor, ops).with_budget(budget)?;
        context.set_metrics(HostMetrics::new());
        opened.act(&mut context)?;
        context.set_schemes(plan.schemes)?;
        self.say("watching");
        let reload = || reload.swap(false, Ordering::Relaxed).then_some(options);
        let done = self.watch(&mut context, &mut opened, &stop, reload, besides);
        self.report(&context, &opened);
        drop(scraped);
        done
    }

    fn watch<'a>(
        &self,
        context: &mut Context<Box<DynOps>>,
        opened: &mut Opened,
        stop: &Stop,
        reload: impl Fn() -> Option<&'a Options>,
        besides: Besides<'_>,
    ) -> Result<(), Box<dyn Error>> {
        let (clock, mut said) = (Clock::new(), Vec::new());
        loop {
            let next =
                context.step_with(clock.now(), thread_cpu_time(), |context| telemetry::publish(context, self.name))?;
            if let Some(options) = reload() {
                match self.reload(options, context) {
                    Ok(()) => self.say("read its file again"),
                    Err(e) => self.say(&format!("goes on as before: {e}")),
                }
            }
            besides(context, opened)?;
            for (_, why) in reasons(&opened.left_alone()) {
                if !said.contains(&why) {
                    self.say(&format!("leaves alone {why}"));
                    said.push(why);
                }
            }
            let wait = match next {
                Next::At(due) => clock.until(due).min(OFTEN),
                _ => OFTEN,
            };
            if stop.wait(wait, &mut opened.command) {
                return Ok(());
            }
        }
    }

    /// All of the new plan, or nothing of it.
    fn reload(&self, options: &Options, context: &mut Context<Box<DynOps>>) -> Result<(), Box<dyn Error>> {
        let plan = self.read(options)?;
        let attrs = Attrs::try_from(plan.attrs)?;
        context.set_schemes(plan.schemes)?;
        context.commit(attrs);
        Ok(())
    }

    fn read(&self, options: &Options) -> Result<Plan, Box<dyn Error>> {
        let path = options.config.as_deref();
        let text = path.map_or_else(|| Ok(String::new()), std::fs::read_to_string);
        let of = |e: &dyn std::fmt::Display| format!("{}: {e}", path.unwrap_or(Path::new("the defaults")).display());
        let mut plan = text.map_err(Box::from).and_then(|text| (self.plan)(&text)).map_err(|e| of(&e))?;
        plan.schemes.iter_mut().for_each(|scheme| scheme.dry_run |= options.dry_run);
        Ok(plan)
    }

    fn report(&self, context: &Context<Box<DynOps>>, opened: &Opened) {
        for (i, scheme) in context.schemes().schemes().enumerate() {
            let s = context.schemes().stats(i).unwrap_or_default();
            let (did, action) = (if scheme.dry_run { "would have applied" } else { "applied" }, scheme.action);
            let (tried, applied, back) = (bytes(s.sz_tried), bytes(s.sz_applied), bytes(s.sz_came_back));
            // Who does not guard against it does not look.
            let back = scheme.thrash_guard.map_or(String::new(), |_| format!("; {back} came back"));
            self.say(&format!("{did} {action:?} to {applied} of {tried} that it was tried on{back}"));
        }
        for (size, why) in reasons(&opened.left_alone()) {
            self.say(&format!("left alone {}: {why}", bytes(size)));
        }
        if let Some(e) = context.last_action_error() {
            self.say(&format!("{} actions failed, the last: {e}", context.health().failed_actions));
        }
    }

    fn say(&self, what: &str) {
        eprintln!("{}: {what}", self.name);
    }
}

/// What was left alone, in bytes, and why: reasons that there were.
pub fn reasons(left: &LeftAlone) -> impl Iterator<Item = (u64, &'static str)> {
    let all = [
        (left.this_process, "memory of this process"),
        (left.protected_cgroup, "memory of protected cgroups"),
        (left.pinned, "pinned memory"),
        (left.mapped_elsewhere, "memory that others map, too"),
        (left.memory_min, "memory that keeps a cgroup at its memory.min"),
        (left.cpuset, "memory whose process may not use the other node (cpuset.mems)"),
        (left.policy, "memory whose policy keeps it on its node (mbind, set_mempolicy)"),
    ];
    all.into_iter().filter(|(size, _)| *size > 0)
}
