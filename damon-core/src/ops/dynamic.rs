//! Backends behind a pointer: [`DynOps`] and the error that makes it possible.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;

use super::{Fault, Ops, Sample, Span, Want};
use crate::target::Space;
use crate::target::{TargetEvent, TargetId};

/// Any error, as an error: `Box<dyn Error>` is none itself, so a backend behind a pointer could not name it.
pub struct DynError(Box<dyn Error + Send + Sync>);

impl DynError {
    /// Wraps `error`.
    pub fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }

    /// The wrapped error, if it is an `E`.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for DynError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for DynError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for DynError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// A backend behind a pointer: `Box<DynOps>` is made of any [`Erased`] backend.
///
/// ```
/// use damon_core::{DynOps, Erased};
/// let backends: Vec<Box<DynOps>> = vec![Box::new(Erased(())), Box::new(Erased(()))];
/// # let _ = backends;
/// ```
pub type DynOps = dyn Ops<Error = DynError> + Send;

/// A backend whose errors are [`DynError`]s.
#[derive(Clone, Debug, Default)]
pub struct Erased<O>(pub O);

impl<O: Ops> Ops for Erased<O> {
    type Error = DynError;
    fn targets(&mut self, events: &mut Vec<TargetEvent>) -> Result<(), DynError> {
        self.0.targets(events).map_err(DynError::new)
    }
    fn ranges(&mut self, target: TargetId, out: &mut Vec<Span>) -> Result<(), DynError> {
        self.0.ranges(target, out).map_err(DynError::new)
    }
    fn arm(&mut self, samples: &[Sample]) -> Result<(), DynError> {
        self.0.arm(samples).map_err(DynError::new)
    }
    fn check(&mut self, samples: &mut [Sample], want: &Want<'_>) -> Result<(), DynError> {
        self.0.check(samples, want).map_err(DynError::new)
    }
    fn resolve(&mut self, space: Space, addr: u64) -> Option<(TargetId, u64)> {
        self.0.resolve(space, addr)
    }
    fn fault(&self, error: &DynError) -> Fault {
        error.downcast_ref().map_or(Fault::Fatal, |e| self.0.fault(e))
    }
}

macro_rules! forward {
    ($pointer:ty) => {
        impl<O: Ops + ?Sized> Ops for $pointer {
            type Error = O::Error;
            fn targets(&mut self, events: &mut Vec<TargetEvent>) -> Result<(), O::Error> {
                (**self).targets(events)
            }
            fn ranges(&mut self, target: TargetId, out: &mut Vec<Span>) -> Result<(), O::Error> {
                (**self).ranges(target, out)
            }
            fn arm(&mut self, samples: &[Sample]) -> Result<(), O::Error> {
                (**self).arm(samples)
            }
            fn check(&mut self, samples: &mut [Sample], want: &Want<'_>) -> Result<(), O::Error> {
                (**self).check(samples, want)
            }
            fn resolve(&mut self, space: Space, addr: u64) -> Option<(TargetId, u64)> {
                (**self).resolve(space, addr)
            }
            fn fault(&self, error: &O::Error) -> Fault {
                (**self).fault(error)
            }
        }
    };
}

forward!(Box<O>);
forward!(&mut O);

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[derive(Debug, thiserror::Error)]
    #[error("broken for now")]
    struct Broken;

    struct Flaky;
    impl Ops for Flaky {
        type Error = Broken;
        fn ranges(&mut self, _: TargetId, _: &mut Vec<Span>) -> Result<(), Broken> {
            Err(Broken)
        }
        fn arm(&mut self, _: &[Sample]) -> Result<(), Broken> {
            Err(Broken)
        }
        fn check(&mut self, _: &mut [Sample], _: &Want<'_>) -> Result<(), Broken> {
            Err(Broken)
        }
        fn fault(&self, Broken: &Broken) -> Fault {
            Fault::Transient
        }
    }

    #[test]
    fn an_erased_backend_keeps_message_type_and_judgement_of_its_errors() {
        let mut ops: Box<DynOps> = Box::new(Erased(Flaky));
        let e = ops.arm(&[]).unwrap_err();
        assert_eq!(e.to_string(), "broken for now");
        assert!(e.downcast_ref::<Broken>().is_some());
        assert_eq!(ops.fault(&e), Fault::Transient);
        assert_eq!(ops.fault(&DynError::new(fmt::Error)), Fault::Fatal, "somebody else's error");
    }
}
