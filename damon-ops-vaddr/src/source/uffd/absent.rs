//! The same where there is no Linux: nothing can be started.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use damon_core::{AddrRange, Reporter};

use super::{UffdError, UffdSpec, UffdStats};
use crate::SharedMap;

/// Reports minor faults of a [`SharedMap`]: on Linux only.
#[derive(Debug)]
pub struct UffdSource(Infallible);

impl UffdSource {
    /// Not here.
    ///
    /// # Errors
    /// Always: [`UffdError::Unsupported`].
    pub fn start(_: &Arc<SharedMap>, _: &UffdSpec, _: Reporter) -> Result<Self, UffdError> {
        Err(UffdError::Unsupported { source: io::ErrorKind::Unsupported.into() })
    }

    /// Not here.
    ///
    /// # Errors
    /// Never reached.
    pub fn rearm(&self, _: AddrRange) -> Result<(), UffdError> {
        match self.0 {}
    }

    /// Not here.
    pub fn stats(&self) -> UffdStats {
        match self.0 {}
    }
}
