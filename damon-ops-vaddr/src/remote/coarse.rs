//! Another process by `clear_refs` and `smaps`, where nothing better works: whole mappings, once in a second or more.

use std::path::Path;
use std::time::Duration;

use damon_core::{Extent, Fault, Ops, Rng, Sample, Seen, Sees, Space, Span, TargetEvent, TargetId, Want};

use super::RemoteError;
use crate::linux::{ClearRefs, Cleared, FileError, Image, Process, ProcessOpenError, Referenced, TooOften, page_size};

/// Why a process cannot be watched so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CoarseError {
    /// The interval is too short.
    #[error(transparent)]
    TooOften(#[from] TooOften),
    /// The process cannot be held.
    #[error(transparent)]
    Process(#[from] ProcessOpenError),
    /// It is this process itself.
    #[error("a process is not to clear its own references while it works: watch it with Own")]
    Oneself,
    /// Its files cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Watches one process by what of each of its mappings was referenced. Nothing uses it unless it is made by hand: it
/// slows the process down, and says little.
///
/// A mapping's rate is right on average, and where in it the accesses were nobody knows: of a mapping of which a
/// quarter of what is in memory was referenced, a quarter of the samples hit. An access by a CPU that still has a page's
/// translation is missed: the kernel flushes none. A window that begins too soon after the
/// last one, by the interval it was made with, tells nothing: its samples are [`Seen::Unknown`]. So the monitor's sampling
/// interval should be no shorter; the least is a second.
///
/// ```no_run
/// # #[cfg(target_os = "linux")] fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use damon_core::{Attrs, AttrsSpec, TargetId};
/// use damon_ops_vaddr::remote::Coarse;
/// let second = Duration::from_secs(1);
/// let coarse = Coarse::new(TargetId::new(0), 4711, second)?;
/// let attrs = Attrs::try_from(AttrsSpec { sampling: second, aggregation: 20 * second, update: 20 * second, ..AttrsSpec::default() })?;
/// # let _ = (coarse, attrs);
/// # Ok(()) }
/// # #[cfg(not(target_os = "linux"))] fn main() {}
/// ```
#[derive(Debug)]
pub struct Coarse {
    target: TargetId,
    process: Process,
    image: Option<Image>,
    refs: ClearRefs,
    page: u64,
    /// Windows so far: each draws other pages to be hit.
    window: u64,
    /// The window under way began with a clean slate.
    armed: bool,
    told: bool,
}

impl Coarse {
    /// Watches process `pid`, called `target`; its references are forgotten at most once in `every`.
    ///
    /// # Errors
    /// When that is less than a second; when there is no such process, it is this one, or its files may not be used.
    pub fn new(target: TargetId, pid: u32, every: Duration) -> Result<Self, CoarseError> {
        let refs = ClearRefs::new(every)?;
        if pid == std::process::id() {
            return Err(CoarseError::Oneself);
        }
        let process = Process::open(Path::new("/"), pid)?;
        ClearRefs::referenced(&process)?;
        let image = process.image()?;
        Ok(Self { target, process, image, refs, page: page_size(), window: 0, armed: false, told: false })
    }

    /// Did this page's sample hit, if so much of its mapping was referenced? The same answer each time it is asked, and
    /// later the same or a hit.
    fn hit(&self, page: u64, mapping: &Referenced) -> bool {
        let draw = Rng::new(page ^ self.window.rotate_left(32)).below(mapping.rss_bytes.max(1));
        draw < mapping.referenced_bytes
    }

    /// The largest block around `addr` that is within the mapping.
    fn extent(&self, addr: u64, mapping: &Referenced) -> Extent {
        let within = |extent: &Extent| {
            let start = extent.start(addr);
            start >= mapping.range.start() && mapping.range.end() - start >= extent.bytes()
        };
        let blocks = (self.page.trailing_zeros()..48).map(|log2| Extent::of(1 << log2));
        blocks.take_while(within).last().unwrap_or(Extent::GRANULE)
    }
}

impl Ops for Coarse {
    type Error = RemoteError;

    fn targets(&mut self, events: &mut Vec<TargetEvent>) -> Result<(), RemoteError> {
        match self.process.image()?.filter(|_| self.process.is_alive()) {
            None if !std::mem::replace(&mut self.told, true) => events.push(TargetEvent::Gone(self.target)),
            None => {}
            image if image != self.image => {
                self.image = image;
                self.armed = false;
                events.push(TargetEvent::Replaced(self.target));
            }
            _ => {}
        }
        Ok(())
    }

    fn ranges(&mut self, target: TargetId, out: &mut Vec<Span>) -> Result<(), RemoteError> {
        if target == self.target {
            let maps = self.process.maps()?;
            let accessible = maps.iter().filter(|m| (m.perms.read || m.perms.write) && !m.name.starts_with("[v"));
            out.extend(accessible.map(|m| Span { range: m.range, sees: Sees::Accesses }));
        }
        Ok(())
    }

    fn arm(&mut self, _: &[Sample]) -> Result<(), RemoteError> {
        self.window += 1;
        self.armed = false;
        self.armed = self.refs.clear(&self.process)? == Cleared::Now;
        Ok(())
    }

    fn check(&mut self, samples: &mut [Sample], want: &Want<'_>) -> Result<(), RemoteError> {
        if !self.armed || !want.access {
            return Ok(());
        }
        let mappings = ClearRefs::referenced(&self.process)?;
        for sample in samples.iter_mut().filter(|s| s.target == self.target) {
            let i = mappings.partition_point(|m| m.range.end() <= sample.addr);
            let Some(mapping) = mappings.get(i).filter(|m| m.range.contains(sample.addr)) else { continue };
            let hit = self.hit(sample.addr / self.page, mapping);
            sample.seen = if hit { Seen::Accessed } else { Seen::Idle };
            sample.extent = self.extent(sample.addr, mapping);
        }
        Ok(())
    }

    fn resolve(&mut self, space: Space, addr: u64) -> Option<(TargetId, u64)> {
        match space {
            Space::Process(pid) if pid == self.process.pid() => Some((self.target, addr)),
            Space::Target(target) if target == self.target => Some((target, addr)),
            _ => None,
        }
    }

    fn fault(&self, error: &RemoteError) -> Fault {
        if error.is_transient() { Fault::Transient } else { Fault::Fatal }
    }
}
