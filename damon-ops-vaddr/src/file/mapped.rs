//! Where the backends of this crate find their mappings.

use damon_core::TargetId;

use super::Mapped;
use crate::handed::{Handed, HandedError};
use crate::linux::Mapping;
use crate::own::{Own, OwnError};
use crate::remote::{Remote, RemoteError};

impl Mapped for Own {
    fn mappings(&mut self, each: &mut dyn FnMut(TargetId, u32, &[Mapping])) -> Result<(), OwnError> {
        self.refresh()?;
        each(self.target(), std::process::id(), Own::mappings(self));
        Ok(())
    }
}

impl Mapped for Handed {
    fn mappings(&mut self, each: &mut dyn FnMut(TargetId, u32, &[Mapping])) -> Result<(), HandedError> {
        self.refresh()?;
        each(self.target(), self.pid(), self.mapped());
        Ok(())
    }
}

impl Mapped for Remote {
    fn mappings(&mut self, each: &mut dyn FnMut(TargetId, u32, &[Mapping])) -> Result<(), RemoteError> {
        for (target, process) in self.processes() {
            each(target, process.pid(), &process.maps()?);
        }
        Ok(())
    }
}
