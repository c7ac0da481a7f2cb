//! Doing an action to memory of another process: as few system calls as there can be, and all that each did counted.
//!
//! Counterpart: `damon_va_apply_scheme` (`mm/damon/vaddr.c`, Linux 7.3), from outside. Nothing here changes what is in
//! memory, and no page outside the given ranges is touched.
//!
//! | action | call | takes |
//! |---|---|---|
//! | cold, lru_deprio | `process_madvise(MADV_COLD)` | `CAP_SYS_NICE`, and to be allowed to trace the process |
//! | pageout | `process_madvise(MADV_PAGEOUT)` | the same; swap for anonymous memory |
//! | willneed | `process_madvise(MADV_WILLNEED)` | the same |
//! | collapse | `process_madvise(MADV_COLLAPSE)`, whole blocks | the same |
//! | migrate_hot, migrate_cold | `move_pages` | to be allowed to trace; `CAP_SYS_NICE` for pages that others map too |
//! | hugepage, nohugepage | refused: the kernel takes them for one's own memory only | |
//! | lru_prio | `process_vm_readv`, a byte of each page in memory, twice | to be allowed to attach to the process |

mod advise;
mod error;
mod guard;
mod migrate;
mod place;
mod prio;
mod reach;
mod select;

pub use advise::advise;
pub use error::ProcessError;
pub use guard::{Guard, Guardrails, LeftAlone, Tally, parse_cgroup};
pub use migrate::{Run, migrate, nodes_of};
pub use place::{by_node, on_nodes};
pub use reach::Kept;
pub(crate) use reach::Reach;
pub use select::Selector;
pub(crate) use select::whole_pages;

use damon_core::{Action, Unsupported};

use crate::sys::{Advice, Pidfd, errno, nodes_of as query, read_bytes};
use error::lacking;

/// What was done. What succeeded before something failed counts, and so does what succeeded after it.
#[derive(Debug, Default)]
#[must_use]
pub struct Done {
    /// Bytes that it was done to: for a migration, that are on their node now.
    pub size: u64,
    /// System calls that it took.
    pub calls: u32,
    /// The first thing that went wrong. The ranges after it were tried, unless none could have succeeded.
    pub error: Option<ProcessError>,
}

impl Done {
    /// This and `other`, which came later.
    pub fn and(self, other: Self) -> Self {
        Self { size: self.size + other.size, calls: self.calls + other.calls, error: self.error.or(other.error) }
    }
}

/// The advice that an action is.
pub(crate) const fn advice(action: Action) -> Option<Advice> {
    Some(match action {
        Action::Cold | Action::LruDeprio => Advice::Cold,
        Action::Pageout => Advice::Pageout,
        Action::Willneed => Advice::Willneed,
        Action::Hugepage => Advice::Hugepage,
        Action::Nohugepage => Advice::Nohugepage,
        Action::Collapse => Advice::Collapse,
        _ => return None,
    })
}

/// Would `action` be done to others' memory at all, and to that of `process`? It is tried, on no memory.
///
/// # Errors
/// When it would not: no call does it, the kernel lacks it, or a privilege is missing.
pub fn supports(action: Action, process: Option<&Pidfd>) -> Result<(), Unsupported> {
    let why = match action {
        Action::Stat => return Ok(()),
        Action::Hugepage | Action::Nohugepage => {
            "the kernel takes this advice about one's own memory only: let the process call madvise, or use collapse"
        }
        Action::LruPrio => {
            // Nothing is mapped there, so who may read gets EFAULT.
            let tried = process.map_or(Ok(0), |process| read_bytes(process.pid(), &[0]));
            let Err(e) = tried else { return Ok(()) };
            if e.raw_os_error() == Some(errno::EFAULT) {
                return Ok(());
            }
            lacking("process_vm_readv", &e)
        }
        Action::MigrateHot | Action::MigrateCold => {
            let Some(process) = process else { return Ok(()) };
            let Err(e) = query(process.pid(), &[], &mut Vec::new()) else { return Ok(()) };
            lacking("move_pages", &e)
        }
        _ => match advice(action) {
            Some(advice) => {
                let tried = match process {
                    Some(process) => process.advise(&[], advice).map(|_| ()),
                    None => Pidfd::open(std::process::id()).and_then(|this| this.advise(&[], advice)).map(|_| ()),
                };
                let Err(e) = tried else { return Ok(()) };
                lacking("process_madvise", &e)
            }
            None => "the kernel knows no such action: use an actor of your own",
        },
    };
    Err(Unsupported::new(action, why))
}
