//! Events opened on all CPUs, and their rings: for who has a loop of his own.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use super::cpus::{self, Nodes};
use super::{Layout, PerfError, PerfEvent, PerfSample, Record, Records};
use crate::linux::Pidfd;
use crate::sys::{Event, EventAttr, Ring};

/// Who is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// All threads of the process that has this pid, those that it will have too; not its children.
    Process(u32),
    /// Everybody. It takes `CAP_PERFMON`, or `kernel.perf_event_paranoid` of 0.
    Everybody,
}

/// Samples as they come, drained by whoever calls.
#[derive(Debug)]
pub struct PerfSession {
    rings: Vec<Ring>,
    /// Threads beyond the first, whose samples go to the same rings.
    others: Vec<Event>,
    process: Option<Pidfd>,
    pid: Option<u32>,
    layout: Layout,
    nodes: Nodes,
    buffer: Vec<u8>,
}

/// What a drain brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Samples.
    pub samples: u64,
    /// Samples that the kernel had no room for.
    pub lost: u64,
    /// Samples of somebody else: a child process, before Linux 5.13.
    pub others: u64,
    /// Records that are not what they should be.
    pub bad: u64,
    /// How often the kernel sampled less because too many came.
    pub throttled: u64,
}

impl PerfSession {
    /// Starts to sample. Each CPU gets a ring of `ring_bytes`, rounded up to a power of two of pages.
    ///
    /// # Errors
    /// When it is not permitted, when the hardware lacks the event, when there is no such process, descriptors or memory.
    pub fn open(whom: Whom, event: &PerfEvent, ring_bytes: usize) -> Result<Self, PerfError> {
        let (mut attr, layout) = event.attr(Path::new("/sys"))?;
        let cpus = cpus::online(Path::new("/sys"))?;
        let nodes = Nodes::of_cpus(Path::new("/sys"), &cpus);
        let (process, pid) = match whom {
            Whom::Everybody => (None, None),
            Whom::Process(pid) => {
                let held = Pidfd::open(pid).map_err(|source| PerfError::NoProcess { pid, source })?;
                (Some(held), Some(pid))
            }
        };
        let mut session =
            Self { rings: Vec::new(), others: Vec::new(), process, pid, layout, nodes, buffer: Vec::new() };
        let explain = |e| explain(e, whom, event, cpus.len());
        match pid {
            None => {
                for &cpu in &cpus {
                    session.add_ring(open(&mut attr, None, cpu).map_err(explain)?, ring_bytes)?;
                }
            }
            Some(pid) => {
                session.attach(&mut attr, pid, &cpus, ring_bytes, &explain)?;
            }
        }
        let events = session.rings.iter().map(Ring::event).chain(&session.others);
        for event in events {
            event.enable().map_err(|source| PerfError::Other { what: "start sampling", source })?;
        }
        Ok(session)
    }

    /// Attaches to all threads. New ones inherit the event of the thread that makes them; those that were made by one that
    /// had none yet are found by looking again.
    fn attach(
        &mut self,
        attr: &mut EventAttr,
        pid: u32,
        cpus: &[u32],
        ring_bytes: usize,
        explain: &impl Fn(io::Error) -> PerfError,
    ) -> Result<(), PerfError> {
        let mut attached = HashSet::new();
        loop {
            let new: Vec<u32> = threads(pid)?.into_iter().filter(|tid| attached.insert(*tid)).collect();
            if new.is_empty() {
                return Ok(());
            }
            for tid in new {
                for (i, &cpu) in cpus.iter().enumerate() {
                    let event = match open(attr, Some(tid), cpu) {
                        Ok(event) => event,
                        // A thread that has ended; but not the process.
                        Err(e) if e.raw_os_error() == Some(ESRCH) && self.is_alive() && !self.rings.is_empty() => break,
                        Err(e) => return Err(explain(e)),
                    };
                    match self.rings.get(i) {
                        None => self.add_ring(event, ring_bytes)?,
                        Some(ring) => {
                            let what = "send a thread's samples to the ring of its CPU";
                            event.share_ring_of(ring).map_err(|source| PerfError::Other { what, source })?;
                            self.others.push(event);
                        }
                    }
                }
            }
        }
    }

    fn add_ring(&mut self, event: Event, bytes: usize) -> Result<(), PerfError> {
        self.rings.push(Ring::new(event, bytes).map_err(|source| PerfError::Ring { bytes, source })?);
        Ok(())
    }

    /// Is the process still there? Always, for everybody.
    pub fn is_alive(&self) -> bool {
        self.process.as_ref().is_none_or(Pidfd::is_alive)
    }

    /// On which node each CPU is.
    pub(super) const fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// Gives all samples that have come since the last time to `take`. It does not wait.
    pub fn drain(&mut self, mut take: impl FnMut(&PerfSample)) -> Drained {
        let mut drained = Drained::default();
        for ring in &mut self.rings {
            self.buffer.clear();
            ring.take(&mut self.buffer);
            for record in Records::new(&self.buffer, self.layout) {
                match record {
                    Ok(Record::Sample(s)) if self.pid.is_some() && s.pid != self.pid => drained.others += 1,
                    Ok(Record::Sample(s)) => {
                        drained.samples += 1;
                        take(&s);
                    }
                    Ok(Record::Lost(n)) => drained.lost = drained.lost.saturating_add(n),
                    Ok(Record::Throttled) => drained.throttled += 1,
                    Ok(_) => {}
                    Err(_) => drained.bad += 1,
                }
            }
        }
        drained
    }
}

const ESRCH: i32 = 3;
const ENODEV: i32 = 19;
const EINVAL: i32 = 22;
const EMFILE: i32 = 24;
const EOPNOTSUPP: i32 = 95;

/// Without faults of the kernel itself, if they are not permitted; from then on.
fn open(attr: &mut EventAttr, tid: Option<u32>, cpu: u32) -> io::Result<Event> {
    match Event::open(attr, tid, cpu) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied && !attr.exclude_kernel => {
            let without = EventAttr { exclude_kernel: true, ..*attr };
            let event = Event::open(&without, tid, cpu)?;
            *attr = without;
            Ok(event)
        }
        result => result,
    }
}

fn explain(source: io::Error, whom: Whom, event: &PerfEvent, cpus: usize) -> PerfError {
    let name = event.name().to_owned();
    match (source.raw_os_error(), whom) {
        (Some(ESRCH), Whom::Process(pid)) => PerfError::NoProcess { pid, source },
        (Some(EMFILE), _) => {
            let nr_threads = if let Whom::Process(pid) = whom { threads(pid).map_or(1, |t| t.len()) } else { 1 };
            PerfError::TooManyFiles { needed: cpus * nr_threads }
        }
        (Some(EINVAL | ENODEV | EOPNOTSUPP), _) => PerfError::Refused { event: name, source },
        _ if source.kind() == io::ErrorKind::PermissionDenied => {
            let paranoid = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid");
            let whom = match whom {
                Whom::Process(pid) => format!("process {pid}"),
                Whom::Everybody => "everybody".to_owned(),
            };
            let paranoid = paranoid.map_or_else(|e| format!("unknown ({e})"), |text| text.trim().to_owned());
            PerfError::Forbidden { event: name, whom, paranoid }
        }
        _ => PerfError::Other { what: "open a perf event", source },
    }
}

fn threads(pid: u32) -> Result<Vec<u32>, PerfError> {
    let path = format!("/proc/{pid}/task");
    match std::fs::read_dir(&path) {
        Ok(list) => Ok(list.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Err(PerfError::NoProcess { pid, source }),
        Err(source) => Err(PerfError::Read { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_explained() {
        let explained = |code| {
            let e = io::Error::from_raw_os_error(code);
            explain(e, Whom::Process(std::process::id()), &PerfEvent::page_faults(), 2).to_string()
        };
        let (eacces, eperm) = (13, 1);
        assert!(
            explained(eacces).contains("kernel.perf_event_paranoid is") && explained(eperm).contains("CAP_PERFMON")
        );
        assert!(explained(ESRCH).contains(&format!("process {} is not there", std::process::id())));
        assert!(explained(EMFILE).contains("ulimit -n") && explained(EOPNOTSUPP).contains("precise"));
    }
}
