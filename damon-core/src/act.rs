//! What can be done to memory: actions, and the [`ApplyOps`] trait of who does them.
//!
//! Counterpart: `enum damos_action`, `damon_operations::apply_scheme` (`include/linux/damon.h`, Linux 7.3). Acting is not a
//! kind of seeing: a callback, another process or a dry run may act on what any source saw.

use alloc::boxed::Box;
use core::error::Error;
use core::time::Duration;

use crate::addr::AddrRange;
use crate::filter::Filter;
use crate::ops::{DynError, Erased};
use crate::target::TargetId;
use crate::time::Instant;
use crate::units::NodeId;

/// What to do to a range of memory. Named as in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Action {
    /// Expect accesses: read it in.
    Willneed,
    /// Expect none: first to go when memory is short.
    Cold,
    /// Page it out.
    Pageout,
    /// Back it with huge pages.
    Hugepage,
    /// Back it with small pages.
    Nohugepage,
    /// Collapse it into huge pages now.
    Collapse,
    /// Move it to the warm end of its LRU list.
    LruPrio,
    /// Move it to the cold end of its LRU list.
    LruDeprio,
    /// Migrate it, the hottest first.
    MigrateHot,
    /// Migrate it, the coldest first.
    MigrateCold,
    /// Nothing: only count it.
    Stat,
    /// Something that only the backend understands: evict from a cache, balloon a guest.
    Custom(u16),
}

/// A node to migrate to, and how much of all that is migrated goes there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Dest {
    /// The node.
    pub node: NodeId,
    /// Its share, relative to the other destinations'.
    pub weight: u32,
}

/// What is asked of a backend.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Request<'a> {
    /// What to do.
    pub action: Action,
    /// To which pages: see [`passes`](crate::passes).
    pub filters: &'a [Filter],
    /// Where to, for migrations; to stat: what could go there is counted, as far as who acts can tell.
    pub dests: &'a [Dest],
}

impl<'a> Request<'a> {
    /// `action` to all pages that pass `filters`, to `dests` where it migrates.
    pub const fn new(action: Action, filters: &'a [Filter], dests: &'a [Dest]) -> Self {
        Self { action, filters, dests }
    }
}

/// What was done. A failure half-way still says what was done before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Applied<E> {
    /// Addresses that the action was applied to with success.
    pub size: u64,
    /// Addresses that passed the request's filters.
    pub filter_passed: u64,
    /// How long it took.
    pub took: Duration,
    /// What went wrong after that.
    pub error: Option<E>,
}

impl<E> Applied<E> {
    /// All of it, at no cost.
    pub const fn whole(range: AddrRange) -> Self {
        Self { size: range.size(), filter_passed: range.size(), took: Duration::ZERO, error: None }
    }

    /// Nothing, because of `error`.
    pub const fn failed(error: E) -> Self {
        Self { size: 0, filter_passed: 0, took: Duration::ZERO, error: Some(error) }
    }
}

/// A request that a backend will not do. It says so when it is asked first, not when it should act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{action:?} is not supported here: {why}")]
#[non_exhaustive]
pub struct Unsupported {
    /// What was asked.
    pub action: Action,
    /// Why not, and the way out.
    pub why: &'static str,
}

impl Unsupported {
    /// `action` will not be done because of `why`.
    pub const fn new(action: Action, why: &'static str) -> Self {
        Self { action, why }
    }
}

/// Who acts on memory.
///
/// ```
/// use damon_core::{Action, AddrRange, Applied, ApplyOps, Request, TargetId, Unsupported};
///
/// /// A cache that can drop slots.
/// struct Cache { dropped: Vec<AddrRange> }
///
/// impl ApplyOps for Cache {
///     type Error = core::convert::Infallible;
///     fn supports(&self, _: Option<TargetId>, req: &Request<'_>) -> Result<(), Unsupported> {
///         match req.action {
///             Action::Stat | Action::Custom(1) => Ok(()),
///             other => Err(Unsupported::new(other, "slots can only be dropped: custom action 1")),
///         }
///     }
///     fn apply(&mut self, _: TargetId, range: AddrRange, _: &Request<'_>) -> Applied<Self::Error> {
///         self.dropped.push(range);
///         Applied::whole(range)
///     }
/// }
/// ```
pub trait ApplyOps {
    /// What can go wrong.
    type Error: Error + Send + Sync + 'static;

    /// Would the request be done, for this target or for any?
    ///
    /// # Errors
    /// When it would not.
    fn supports(&self, target: Option<TargetId>, req: &Request<'_>) -> Result<(), Unsupported>;

    /// Called once before a number of [`apply`](Self::apply), and of [`verify`](Self::verify) that ask where memory lies: to
    /// look up what all of them need.
    fn open(&mut self, now: Instant) -> Result<(), Self::Error> {
        let _ = now;
        Ok(())
    }

    /// Does it.
    fn apply(&mut self, target: TargetId, range: AddrRange, req: &Request<'_>) -> Applied<Self::Error>;

    /// Called once after them: to finish what was batched.
    fn close(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Of how many addresses of the range is it true now that the action is in effect (paged out, on its node)? `None`:
    /// nobody can tell. Asked between [`open`](Self::open) and [`close`](Self::close) it is about memory as it lies, for a
    /// goal on eligible memory; after that, about what was done.
    fn verify(&mut self, target: TargetId, range: AddrRange, req: &Request<'_>) -> Result<Option<u64>, Self::Error> {
        let _ = (target, range, req);
        Ok(None)
    }
}

/// Nobody acts: only [`Action::Stat`] is supported, which counts.
impl ApplyOps for () {
    type Error = core::convert::Infallible;
    fn supports(&self, _: Option<TargetId>, req: &Request<'_>) -> Result<(), Unsupported> {
        match req.action {
            Action::Stat => Ok(()),
            action => Err(Unsupported::new(action, "there is no backend that acts")),
        }
    }
    fn apply(&mut self, _: TargetId, range: AddrRange, _: &Request<'_>) -> Applied<Self::Error> {
        Applied { size: 0, ..Applied::whole(range) }
    }
}

/// One that acts, behind a pointer: made of any [`Erased`] one.
pub type DynApplyOps = dyn ApplyOps<Error = DynError> + Send;

impl<A: ApplyOps> ApplyOps for Erased<A> {
    type Error = DynError;
    fn supports(&self, target: Option<TargetId>, req: &Request<'_>) -> Result<(), Unsupported> {
        self.0.supports(target, req)
    }
    fn open(&mut self, now: Instant) -> Result<(), DynError> {
        self.0.open(now).map_err(DynError::new)
    }
    fn apply(&mut self, target: TargetId, range: AddrRange, req: &Request<'_>) -> Applied<DynError> {
        let Applied { size, filter_passed, took, error } = self.0.apply(target, range, req);
        Applied { size, filter_passed, took, error: error.map(DynError::new) }
    }
    fn close(&mut self) -> Result<(), DynError> {
        self.0.close().map_err(DynError::new)
    }
    fn verify(&mut self, target: TargetId, range: AddrRange, req: &Request<'_>) -> Result<Option<u64>, DynError> {
        self.0.verify(target, range, req).map_err(DynError::new)
    }
}

macro_rules! forward {
    ($pointer:ty) => {
        impl<A: ApplyOps + ?Sized> ApplyOps for $pointer {
            type Error = A::Error;
            fn supports(&self, target: Option<TargetId>, req: &Request<'_>) -> Result<(), Unsupported> {
                (**self).supports(target, req)
            }
            fn open(&mut self, now: Instant) -> Result<(), A::Error> {
                (**self).open(now)
            }
            fn apply(&mut self, target: TargetId, range: AddrRange, req: &Request<'_>) -> Applied<A::Error> {
                (**self).apply(target, range, req)
            }
            fn close(&mut self) -> Result<(), A::Error> {
                (**self).close()
            }
            fn verify(
                &mut self,
                target: TargetId,
                range: AddrRange,
                req: &Request<'_>,
            ) -> Result<Option<u64>, A::Error> {
                (**self).verify(target, range, req)
            }
        }
    };
}

forward!(Box<A>);
forward!(&mut A);
