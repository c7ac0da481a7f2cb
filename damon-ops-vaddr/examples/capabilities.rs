//! Prints which ways to see accesses to one's own memory work here, and what they see in this process.

use std::error::Error;
use std::sync::Arc;

use damon_core::TargetId;
use damon_ops_vaddr::{Own, SharedMap};

fn main() -> Result<(), Box<dyn Error>> {
    let map = Arc::new(SharedMap::new("cache", 1 << 20)?);
    let mut own = Own::new(TargetId::new(0))?;
    own.watch_shared(&map)?;
    own.watch_found()?;
    println!("{}", own.capabilities());
    Ok(())
}
